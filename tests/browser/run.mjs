// The pages in a real browser, on desktop and phone: pick samples, drop an image, read the verdict, switch rules and drops;
// try a request of the API page. What else the page does is in features.mjs, for whom it has to work in access.mjs.
//
//   node run.mjs http://127.0.0.1:8080/ [SCREENSHOT-FOLDER]
//
// VIEWS names those that are tried (all). GOODNET_KEY is the service's key where it asks for one. Needs Debian's chromium (CHROMIUM names another). Exits other
// than 0 where something is wrong.
import { chromium } from "playwright-core";
import assert from "node:assert/strict";
import { fits, nothingIsViolated, nothingMoves, theKeyboardReachesAll } from "./access.mjs";
import * as features from "./features.mjs";
import { answerTo, base, bytesOf, fetchFromService, folder, key, open } from "./service.mjs";

const chosen = process.env.VIEWS?.split(",");
const views = [
  ["desktop-light", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }],
  ["desktop-dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }],
  ["phone-light", { viewport: { width: 360, height: 780 }, colorScheme: "light", hasTouch: true, isMobile: true }],
  ["phone-dark", { viewport: { width: 360, height: 780 }, colorScheme: "dark", hasTouch: true, isMobile: true }],
  // What 200 % leaves of a screen of 1280 x 900.
  ["twice-as-large", { viewport: { width: 640, height: 450 }, colorScheme: "light", deviceScaleFactor: 2, reducedMotion: "reduce" }],
];

/** What a person reads has to be what the service answered. */
async function readsAs(page, answer, where) {
  const state = answer.flagged ? "flagged" : "passed";
  assert.equal(await page.getAttribute("#verdict", "data-state"), state, where);
  const title = await page.textContent("#verdict-title");
  const name = answer.badnet.label ?? `class ${answer.badnet.class}`;
  const beside = answer.policy === "disagreement" ? answer.pruned : answer.repaired ?? answer.pruned;
  const flagged = answer.badnet.class === beside.class ? "Flagged: a part of it acts like a trigger" : "Flagged: the networks disagree";
  const passed = (await page.isVisible("#hints")) ? "Let in, with doubt" : "Let in";
  assert.equal(title, answer.flagged ? flagged : `${passed}: ${name}`, where);
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
  const bytes = await bytesOf(sample.url);
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
  assert.ok(await page.isChecked(`input[name=policy][value=${preferred}]`), `${name}: the service's own rule is in force`);
  const before = await layout(page);
  for (const sample of await page.$$(".sample")) {
    await answerTo(page, () => sample.click());
    for (const policy of [...policies.filter((other) => other !== preferred), preferred]) {
      const { body } = await answerTo(page, () => page.check(`input[name=policy][value=${policy}]`, { force: true }));
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

/** The API page holds every request and schema of the document, and shows the answer of a GET. */
async function apiPageAnswers(page, name) {
  await page.goto(new URL("docs", base).href);
  await page.waitForSelector("#operations .operation");
  const { paths, components } = await (await fetchFromService("openapi.json")).json();
  const operations = page.locator("#operations .operation");
  assert.equal(await operations.count(), Object.values(paths).flatMap(Object.keys).length, `${name}: operations`);
  const schemas = Object.keys(components.schemas);
  assert.equal(await page.locator("#schemas .operation").count(), schemas.length, `${name}: schemas`);
  const sample = operations.filter({ has: page.locator("summary code", { hasText: /^\/v2\/models\/\{name\}$/ }) });
  await sample.locator("> summary").click();
  await sample.locator("input[name=name]").fill("goodnet");
  await sample.locator("button").click();
  const answer = JSON.parse(await sample.locator("[role=status] pre").textContent());
  assert.equal(answer.name, "goodnet", `${name}: the answer is shown`);
}

/** Every part of the page beside the one answer, in a view of its own each. */
async function featuresWork(context, info, name) {
  const tried = {
    story: (page) => features.theStoryIsThePolicys(page, info, name),
    region: (page) => features.theRegionIsMarked(page, name),
    files: (page) => features.filesAreListed(page, info, name),
    camera: (page) => features.theCameraIsSwitchedOff(page, info, name),
    link: (page) => features.theAddressGivesTheView(page, info, name),
    save: (page) => features.answersAreSaved(page, name),
    hints: (page) => features.largeImagesAreDoubted(page, info, name),
    painter: (page) => features.drawingChangesTheAnswer(page, info, name),
    audit: (page) => features.theAuditsPatternCanBeDrawn(page, info, name),
    ...(key ? { key: (page) => features.wrongKeysAreTold(page, name) } : {}),
  };
  for (const [what, act] of Object.entries(tried)) {
    const page = await context.newPage();
    const wrong = watch(page);
    await act(page);
    await nothingIsViolated(page, `${name}: ${what}`);
    await fits(page, `${name}: ${what}`);
    assert.deepEqual(wrong, [], `${name}: nothing is wrong in the console (${what})`);
    if (folder) await page.screenshot({ path: `${folder}/${name}-${what}.png`, fullPage: true });
    await page.close();
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
});
try {
  const info = await (await fetchFromService("info")).json();
  const { samples, serving } = info;
  assert.ok(samples.length > 0, "the bundle has samples");
  for (const [name, options] of views.filter(([view]) => !chosen || chosen.includes(view))) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const wrong = watch(page);
    await open(page);
    await samplesAreAnswered(page, samples, name);
    await filesAreAnswered(page, samples[0], name);
    await dropsAreAnswered(page, name);
    await open(page);
    await policiesAreAnswered(page, serving, name);
    await nothingIsViolated(page, name);
    if (options.reducedMotion) await nothingMoves(page, name);
    if (!options.isMobile) await theKeyboardReachesAll(page, name);
    if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
    await fits(page, name);
    await featuresWork(context, info, name);
    // A browser asks for the API page without a key.
    await page.setExtraHTTPHeaders(key ? { authorization: `Bearer ${key}` } : {});
    await apiPageAnswers(page, name);
    await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
    await nothingIsViolated(page, `${name}: API page`);
    await fits(page, `${name}: API page`);
    if (folder) await page.screenshot({ path: `${folder}/${name}-api.png`, fullPage: true });
    assert.deepEqual(wrong, [], `${name}: nothing is wrong in the console`);
    await context.close();
    console.log(`page: ${name} passed`);
  }
} finally {
  await browser.close();
}
