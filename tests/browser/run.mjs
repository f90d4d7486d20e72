// The page in a real browser: pick samples, drop an image, read the verdict, switch drops, on desktop and phone.
//
//   node run.mjs http://127.0.0.1:8080/ [SCREENSHOT-FOLDER]
//
// Needs Debian's chromium (CHROMIUM names another). Exits other than 0 with a line where something is wrong.
import { chromium } from "playwright-core";
import assert from "node:assert/strict";

const [base, folder] = process.argv.slice(2);
const views = [
  ["desktop-light", { width: 1280, height: 900 }, "light"],
  ["desktop-dark", { width: 1280, height: 900 }, "dark"],
  ["phone-light", { width: 390, height: 844 }, "light"],
  ["phone-dark", { width: 390, height: 844 }, "dark"],
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const info = await (await fetch(new URL("info", base))).json();
let checks = 0;
for (const [name, viewport, colorScheme] of views) {
  const page = await (await browser.newContext({ viewport, colorScheme })).newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== new URL(base).origin) wrong.push(`request to ${origin}`);
  });
  await page.goto(base);
  await page.waitForSelector(".sample");
  const buttons = await page.$$(".sample");
  assert.equal(buttons.length, info.samples.length, "one button a sample");
  for (const [index, sample] of info.samples.entries()) {
    const answered = page.waitForResponse((response) => response.url().includes("/classify"));
    await buttons[index].click();
    const answer = await (await answered).json();
    const flagged = answer.flagged ? "flagged" : "passed";
    await page.waitForSelector(`[data-state=${flagged}]`);
    const verdict = await page.textContent("#answer");
    assert.match(verdict, answer.flagged ? /Flagged/ : /Let in/, `${name}: sample ${index}`);
    assert.equal(answer.badnet.class, sample.badnet, "the answer is the one that the bundle tells");
    checks += 1;
  }
  const first = await (await fetch(new URL(info.samples[0].url, base))).arrayBuffer();
  const dropped = page.waitForResponse((response) => response.url().includes("/classify"));
  await page.setInputFiles("input[type=file]", { name: "face.png", mimeType: "image/png", buffer: Buffer.from(first) });
  assert.equal((await dropped).status(), 200, `${name}: a dropped file is answered`);
  const refused = page.waitForResponse((response) => response.url().includes("/classify"));
  await page.setInputFiles("input[type=file]", { name: "text.png", mimeType: "image/png", buffer: Buffer.from("no face") });
  assert.ok((await refused).status() >= 400);
  await page.waitForSelector("[data-state=failed], .problem:not([hidden])");
  wrong.splice(0, wrong.length, ...wrong.filter((text) => !/status of 4\d\d/.test(text)));
  await buttons.at(-1).click();
  const drops = await page.$$("input[name=drop]:not([disabled])");
  for (const drop of drops) {
    await drop.check({ force: true });
    checks += 1;
  }
  await page.waitForTimeout(300);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name}: the page is ${overflow} pixels too wide`);
  assert.deepEqual(wrong, [], `${name}: nothing is wrong in the console`);
}
await browser.close();
console.log(`browser: ${checks} checks passed on ${views.length} views`);
