// The pages in a real browser, on desktop and phone: pick samples, drop an image, read the verdict, switch drops; try a
// request of the API page.
//
//   node run.mjs http://127.0.0.1:8080/ [SCREENSHOT-FOLDER]
//
// GOODNET_KEY is the service's key where it asks for one. Needs Debian's chromium (CHROMIUM names another). Exits other
// than 0 where something is wrong.
import { chromium } from "playwright-core";
import assert from "node:assert/strict";

const [base, folder] = process.argv.slice(2);
const key = process.env.GOODNET_KEY;
const views = [
  ["desktop-light", { width: 1280, height: 900 }, "light"],
  ["desktop-dark", { width: 1280, height: 900 }, "dark"],
  ["phone-light", { width: 390, height: 844 }, "light"],
  ["phone-dark", { width: 390, height: 844 }, "dark"],
];

/** Runs `act` and gives the answer of the request to /classify that it leads to, once the page shows it. */
async function answerTo(page, act) {
  const answered = page.waitForResponse((response) => response.url().includes("/classify"));
  await act();
  const response = await answered;
  await page.waitForSelector("#answer:not([aria-busy])");
  return { status: response.status(), body: await response.json() };
}

/** What a person reads has to be what the service answered. */
async function readsAs(page, answer, where) {
  const state = answer.flagged ? "flagged" : "passed";
  assert.equal(await page.getAttribute("#verdict", "data-state"), state, where);
  const title = await page.textContent("#verdict-title");
  const name = answer.badnet.label ?? `class ${answer.badnet.class}`;
  const flagged = answer.policy === "disagreement" ? "Flagged: the networks disagree" : "Flagged";
  assert.equal(title, answer.flagged ? flagged : `Let in: ${name}`, where);
  const last = answer.checks?.at(-1);
  if (last) {
    const hits = Math.max(...last.bands.map((band) => band.hits));
    const text = await page.textContent("#verdict-text");
    assert.ok(text.includes(`turned ${hits} of `), `${where}: ${text}`);
  }
  const caution = await page.textContent("#caution");
  const { clean_flagged: expected } = answer.measured;
  assert.ok(caution.includes(`${(100 * expected).toFixed(1)} % of the clean`), `${where}: ${caution}`);
  assert.equal(await page.textContent("#badnet-answer"), name, where);
}

/** Tops of everything that an answer could push around. */
function layout(page) {
  return page.$$eval("section, .networks, .caution, .curl, figure", (nodes) => nodes.map((node) => node.offsetTop));
}

async function samplesAreAnswered(page, samples, name) {
  const buttons = await page.$$(".sample");
  assert.equal(buttons.length, samples.length, `${name}: one button a sample`);
  const before = await layout(page);
  for (const [index, sample] of samples.entries()) {
    const { body } = await answerTo(page, async () => {
      await buttons[index].focus();
      await page.keyboard.press("Enter");
    });
    assert.equal(body.badnet.class, sample.badnet, `${name}: the answer is the one that the bundle tells`);
    await readsAs(page, body, `${name}: sample ${index}`);
    assert.deepEqual(await layout(page), before, `${name}: nothing moves when sample ${index} is answered`);
  }
}

/** Drops a file as a person does, with the mouse events' data. */
async function drop(page, bytes) {
  const data = await page.evaluateHandle((numbers) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(numbers)], "face.png", { type: "image/png" }));
    return transfer;
  }, [...bytes]);
  await page.dispatchEvent("#drop-zone", "drop", { dataTransfer: data });
}

async function filesAreAnswered(page, sample, name) {
  const bytes = Buffer.from(await (await fetchFromService(sample.url)).arrayBuffer());
  const dropped = await answerTo(page, () => drop(page, bytes));
  assert.equal(dropped.status, 200, `${name}: a dropped file is answered`);
  await readsAs(page, dropped.body, `${name}: dropped file`);
  const text = { name: "text.png", mimeType: "image/png", buffer: Buffer.from("no face") };
  const refused = await answerTo(page, () => page.setInputFiles("input[type=file]", text));
  assert.ok(refused.status >= 400, `${name}: a text is no image`);
  assert.equal(await page.textContent("#verdict-text"), refused.body.detail, `${name}: the problem is told`);
}

async function dropsAreAnswered(page, name) {
  await answerTo(page, () => page.click(".sample >> nth=-1"));
  for (const choice of await page.$$("input[name=drop]:enabled")) {
    const value = Number(await choice.getAttribute("value"));
    if (await choice.isChecked()) continue;
    const { body } = await answerTo(page, () => choice.check({ force: true }));
    assert.equal(body.drop, value, name);
    await readsAs(page, body, `${name}: drop ${value}`);
    assert.equal(await page.textContent(".marker.chosen text"), `${value} pp`, `${name}: the chart marks the drop`);
  }
}

/** Every rule that the bundle knows answers, the service's own first; the lab's rule alone needs no choice. */
async function policiesAreAnswered(page, { policies, default_policy: preferred }, name) {
  assert.equal(await page.isVisible("#policy-field"), policies.length > 1, name);
  assert.equal(await page.inputValue("#policy"), preferred, name);
  const before = await layout(page);
  for (const sample of await page.$$(".sample")) {
    await answerTo(page, () => sample.click());
    for (const policy of [...policies.filter((other) => other !== preferred), preferred]) {
      const { body } = await answerTo(page, () => page.selectOption("#policy", policy, { force: true }));
      assert.equal(body.policy, policy, name);
      await readsAs(page, body, `${name}: ${policy}`);
      assert.deepEqual(await layout(page), before, `${name}: nothing moves under ${policy}`);
    }
  }
}

/** Collects errors of the console and requests to anybody else. A refusal is told in the console too: not an error here. */
function watch(page) {
  const wrong = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== new URL(base).origin) wrong.push(`request to ${origin}`);
  });
  return wrong;
}

/** A wrong key, which the page tells, and the right one. */
async function giveKeys(page) {
  await page.waitForSelector("#key-form:not([hidden])");
  await page.fill("#key", "not-a-key-of-this-service");
  await page.press("#key", "Enter");
  await page.waitForFunction(() => document.getElementById("key-label").textContent.includes("does not know that key"));
  await page.fill("#key", key);
  await page.press("#key", "Enter");
}

async function open(page) {
  await page.goto(base);
  if (key) await giveKeys(page);
  await page.waitForSelector(".sample");
}

async function fetchFromService(path) {
  return fetch(new URL(path, base), { headers: key ? { authorization: `Bearer ${key}` } : {} });
}

/** The API page asks for the key as the page does, and its downloads carry it. */
async function keyIsAsked(page, name) {
  await giveKeys(page);
  await page.waitForSelector("#operations .operation");
  assert.equal(await page.isVisible("#key-form"), false, `${name}: the key is asked for once`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("footer a[href='openapi.yaml']")]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const document = await (await fetchFromService("openapi.yaml")).text();
  assert.equal(Buffer.concat(chunks).toString(), document, `${name}: a download carries the key`);
}

/** The API page holds every request and schema of the document, and shows the answer of a GET. */
async function apiPageAnswers(page, name) {
  await page.goto(new URL("docs", base).href);
  if (key) await keyIsAsked(page, name);
  await page.waitForSelector("#operations .operation");
  const { paths, components } = await (await fetchFromService("openapi.json")).json();
  const operations = page.locator("#operations .operation");
  assert.equal(await operations.count(), Object.values(paths).flatMap(Object.keys).length, `${name}: operations`);
  const schemas = Object.keys(components.schemas);
  assert.equal(await page.locator("#schemas .operation").count(), schemas.length, `${name}: schemas`);
  const sample = operations.filter({ has: page.locator("summary code", { hasText: /^\/v2\/models\/\{name\}$/ }) });
  await sample.locator("summary").click();
  await sample.locator("input[name=name]").fill("goodnet");
  await sample.locator("button").click();
  const answer = JSON.parse(await sample.locator("pre").textContent());
  assert.equal(answer.name, "goodnet", `${name}: the answer is shown`);
}

async function fits(page, name) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name}: the page is ${overflow} pixels too wide`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
try {
  const { samples, serving } = await (await fetchFromService("info")).json();
  assert.ok(samples.length > 0, "the bundle has samples");
  for (const [name, viewport, colorScheme] of views) {
    const page = await (await browser.newContext({ viewport, colorScheme })).newPage();
    const wrong = watch(page);
    await open(page);
    await samplesAreAnswered(page, samples, name);
    await filesAreAnswered(page, samples[0], name);
    await dropsAreAnswered(page, name);
    if (serving.policies.length > 1) await policiesAreAnswered(page, serving, name);
    if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
    await fits(page, name);
    await apiPageAnswers(page, name);
    await fits(page, `${name}: API page`);
    if (folder) await page.screenshot({ path: `${folder}/${name}-api.png`, fullPage: true });
    assert.deepEqual(wrong, [], `${name}: nothing is wrong in the console`);
    console.log(`page: ${name} passed`);
  }
} finally {
  await browser.close();
}
