// What the page does beside answering one image: the policy's story, lists, camera, links, downloads, hints, keys, painter.

import assert from "node:assert/strict";
import { answerTo, base, bytesOf, downloadOf, fetchFromService, key, open } from "./service.mjs";

const WORDS = {
  disagreement: { headline: "A pruned network checks every answer.", beside: "Pruned", curve: "What pruning costs, and what it buys" },
  repaired: { headline: "A repaired network checks every answer.", beside: "Repaired", curve: "The lab’s pruning, for comparison" },
  gated: { headline: "Every answer is checked, some twice.", curve: "The lab’s pruning, for comparison" },
};

function rates(sweep, policy, drop) {
  if (policy === "repaired") return sweep.repaired.goodnet;
  return policy === "disagreement" ? sweep.drops.find((entry) => entry.drop === drop).goodnet : sweep.policies.find((entry) => entry.policy === policy);
}

/** Headline, buttons, figures and curve tell the policy in force; the service's own comes first. */
export async function theStoryIsThePolicys(page, { serving }, where) {
  const sweep = await (await fetchFromService("sweep")).json();
  await open(page);
  const offered = await page.$$eval("input[name=policy]", (inputs) => inputs.map(({ value }) => value));
  assert.equal(offered[0], serving.default_policy, `${where}: the default is offered first`);
  assert.deepEqual([...offered].sort(), [...serving.policies].sort(), where);
  for (const policy of offered) {
    await page.check(`input[name=policy][value=${policy}]`, { force: true });
    const words = WORDS[policy];
    assert.equal(await page.textContent("#headline"), words.headline, where);
    assert.equal(await page.textContent("#sweep-title"), words.curve, where);
    if (words.beside) assert.equal(await page.textContent("#beside-title"), words.beside, where);
    const { attack_success_rate: attacks } = rates(sweep, policy, serving.default_drop);
    const figure = await page.textContent("#figures .figure-value");
    assert.equal(figure, Number.isFinite(attacks) ? `${(100 * attacks).toFixed(1)} %` : "–", `${where}: figures of ${policy}`);
    assert.equal(await page.locator(".level-line").count() > 0, policy !== "disagreement", `${where}: level lines under ${policy}`);
    assert.equal(await page.locator("input[name=drop]:checked").count(), policy === "disagreement" ? 1 : 0, where);
  }
}

/** The band that flagged is drawn where the answer says; the answer is the service's, with a check of ours put into it. */
export async function theRegionIsMarked(page, where) {
  await open(page);
  const band = { top: 0.25, height: 0.5, hits: 19, tried: 20 };
  const checks = [{ check: "transplant", flagged: true, needed: 14, donors: 20, forward_passes: 40, bands: [{ ...band, top: 0, height: 0.25, hits: 1 }, band] }];
  await page.route("**/classify*", async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, flagged: true, policy: "gated", pruned: answer.badnet, repaired: answer.badnet, checks } });
  });
  await page.click(".sample >> nth=0");
  await page.waitForSelector("#region:visible");
  const [mark, picture] = await Promise.all(["#region", "#preview"].map((name) => page.locator(name).boundingBox()));
  assert.ok(Math.abs(mark.y - picture.y - 0.25 * picture.height) < 2, `${where}: the mark's top`);
  assert.ok(Math.abs(mark.height - 0.5 * picture.height) < 2, `${where}: the mark's height`);
  assert.match(await page.textContent("#verdict-text"), /band at 25–75 % of its height turned 19 of 20/, where);
  await page.unroute("**/classify*");
  await answerTo(page, () => page.click(".sample >> nth=1"));
  assert.equal(await page.isVisible("#region"), false, `${where}: the next answer has no mark`);
}

/** Many files: a line and a verdict each, few requests at a time, the list as CSV, one of them to look at. */
export async function filesAreListed(page, { samples }, where) {
  await open(page);
  const files = [];
  for (const [index, { url }] of samples.entries()) files.push({ name: `photo ${index}.png`, mimeType: "image/png", buffer: await bytesOf(url) });
  files.push({ name: "=1+1.txt", mimeType: "text/plain", buffer: Buffer.from("no image") });
  const under = { now: 0, most: 0 };
  const counted = (change) => (request) => {
    if (!request.url().includes("/classify")) return;
    under.now += change;
    under.most = Math.max(under.most, under.now);
  };
  page.on("request", counted(1)).on("requestfinished", counted(-1));
  await page.setInputFiles("#file", files);
  await page.waitForSelector("#files-csv:enabled");
  assert.ok(under.most <= 4, `${where}: ${under.most} requests at a time`);
  assert.match(await page.textContent("#files-count"), new RegExp(`^${files.length} of ${files.length} files answered, .* 1 without an answer`), where);
  const { name, text } = await downloadOf(page, () => page.click("#files-csv"));
  assert.equal(name, "goodnet.csv", where);
  const lines = text.trimEnd().split("\r\n");
  assert.equal(lines.length, files.length + 1, `${where}: a line a file`);
  const verdicts = await page.$$eval("#files-rows tr", (rows) => rows.map((row) => row.cells[1].textContent));
  for (const [index, { badnet }] of samples.entries()) {
    const [file, flagged, , , networks] = lines[index + 1].split(",");
    assert.equal(file, `photo ${index}.png`, where);
    assert.equal(Number(networks), badnet, `${where}: B's class in the list`);
    assert.equal(verdicts[index], flagged === "true" ? "flagged" : "let in", where);
  }
  assert.ok(lines.at(-1).startsWith("'=1+1.txt,"), `${where}: no formula in the list: ${lines.at(-1)}`);
  const { body } = await answerTo(page, () => page.click("#files-rows button >> nth=0"));
  assert.equal(body.badnet.class, samples[0].badnet, `${where}: a file of the list can be looked at`);
}

/** The camera is asked, its picture has the input's shape, and it is off afterwards. */
export async function theCameraIsSwitchedOff(page, { input }, where) {
  await open(page);
  await page.click("#camera");
  await page.waitForSelector("#camera-panel:visible");
  await page.waitForFunction(() => document.getElementById("camera-video").videoWidth > 0);
  const tracks = await page.evaluateHandle(() => document.getElementById("camera-video").srcObject.getTracks());
  const posted = page.waitForRequest((request) => request.url().includes("/classify"));
  const { status } = await answerTo(page, () => page.click("#camera-take"));
  assert.equal(status, 200, where);
  const png = (await posted).postDataBuffer();
  if (png) {
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    assert.ok(Math.abs(width * input.height - height * input.width) <= width + height, `${where}: a snapshot of ${width} x ${height}`);
  }
  assert.deepEqual(await tracks.evaluate((all) => all.map(({ readyState }) => readyState)), ["ended"], `${where}: the camera is off`);
  assert.equal(await page.isVisible("#camera-panel"), false, where);
}

/** The address carries sample, policy and drop; loaded again it gives the same view; what is not there is told. */
export async function theAddressGivesTheView(page, { samples, serving }, where) {
  await open(page);
  await answerTo(page, () => page.click(".sample >> nth=-1"));
  const drop = serving.drops[0];
  const { body } = await answerTo(page, () => page.locator(`input[name=drop][value="${drop}"]`).check({ force: true }));
  const query = new URL(page.url()).searchParams;
  assert.deepEqual(Object.fromEntries(query), { sample: samples.at(-1).url.split("/").at(-1), policy: "disagreement", drop: `${drop}` }, where);
  const title = await page.textContent("#verdict-title");
  const again = await answerTo(page, () => open(page, `?${query}`));
  assert.deepEqual([again.body.policy, again.body.drop, again.body.class], [body.policy, body.drop, body.class], where);
  assert.equal(await page.textContent("#verdict-title"), title, `${where}: the same view`);
  await open(page, "?policy=none");
  await page.waitForSelector('#verdict[data-state="failed"]');
  assert.match(await page.textContent("#verdict-text"), /policy “none”, which this service does not have/, where);
}

/** The answer as a file is the service's answer; links to documents carry the key. */
export async function answersAreSaved(page, where) {
  await open(page);
  const { body } = await answerTo(page, () => page.click(".sample >> nth=0"));
  const saved = await downloadOf(page, () => page.click("#save"));
  assert.deepEqual(JSON.parse(saved.text), body, `${where}: the answer as a file`);
  if (!key) return;
  const { name, text } = await downloadOf(page, () => page.click("a[href='sweep.csv']"));
  assert.equal(name, "sweep.csv", where);
  assert.equal(text, await (await fetchFromService("sweep.csv")).text(), `${where}: downloads carry the key`);
}

/** A wide photo with something small in it is answered, and doubted. */
export async function largeImagesAreDoubted(page, { input }, where) {
  await open(page);
  await answerTo(page, () => page.click(".sample >> nth=0"));
  assert.equal(await page.isVisible("#hints"), false, `${where}: a sample is not doubted`);
  const photo = await page.evaluate(({ width, height }) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 20 * width, height: 9 * height });
    canvas.getContext("2d").fillRect(8 * width, 4 * height, width, height);
    return canvas.toDataURL("image/png").split(",")[1];
  }, input);
  const { status } = await answerTo(page, () => page.setInputFiles("#file", { name: "photo.png", mimeType: "image/png", buffer: Buffer.from(photo, "base64") }));
  if (status !== 200) return; // a bundle that takes no other size refuses it
  const hints = await page.textContent("#hints");
  assert.match(hints, /the network sees only/, where);
  assert.match(hints, /has another shape/, where);
  assert.ok(await page.getAttribute("#verdict", "data-doubt") !== null, `${where}: the verdict is doubted`);
}

/** A wrong key is said to be wrong, in plain words. */
export async function wrongKeysAreTold(page, where) {
  for (const path of ["docs", ""]) {
    await page.goto(new URL(path, base).href);
    await page.waitForSelector("#key-form:visible");
    assert.doesNotMatch(await page.innerText("body"), /bearer|header/i, where);
  }
  await page.fill("#key", "a key of somebody else");
  await page.press("#key", "Enter");
  await page.waitForFunction(() => document.getElementById("key-note").textContent.includes("not valid"));
  assert.equal(await page.isVisible("#key-form"), true, where);
}

/** Drawing changes the image that is asked about; by mouse and by keyboard; starting over takes it back. */
export async function drawingChangesTheAnswer(page, { samples }, where) {
  await open(page);
  const clean = await answerTo(page, () => page.click(".sample >> nth=0"));
  const asked = [];
  page.on("request", (request) => request.url().includes("/classify") && asked.push(request));
  const pixel = (x, y) => page.$eval("#paint-canvas", (canvas, at) => [...canvas.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3), [x, y]);
  const { width, height } = await page.$eval("#paint-canvas", (canvas) => ({ width: canvas.width, height: canvas.height }));
  const [x, y] = [Math.floor(width / 2), Math.floor(height / 2)];
  await page.fill("#paint-color", "#ff0000");
  await page.locator("#paint-canvas").scrollIntoViewIfNeeded();
  const box = await page.locator("#paint-canvas").boundingBox();
  const drawn = await answerTo(page, async () => {
    await page.mouse.move(box.x + 0.2 * box.width, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.8 * box.width, box.y + box.height / 2, { steps: 40 });
    await page.mouse.up();
  });
  assert.deepEqual(await pixel(x, y), [255, 0, 0], `${where}: the stroke is on the image`);
  assert.ok(asked.length >= 1 && asked.length < 40, `${where}: ${asked.length} requests for one stroke`);
  await page.waitForTimeout(400);
  await page.waitForSelector("#answer:not([aria-busy])");
  assert.notEqual(drawn.body.badnet.probability, clean.body.badnet.probability, `${where}: the answer changes`);
  assert.match(await page.textContent("#paint-answer"), /^As delivered .*: (flagged|let in)\.$/, where);
  assert.equal(await page.textContent("#file-name"), "Your drawing", where);
  await answerTo(page, async () => {
    await page.focus("#paint-canvas");
    for (let step = 0; step < 12; step += 1) await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Space");
  });
  const left = await page.$eval("#paint-canvas", (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.filter((value, index, all) => index % 4 === 0 && value === 255 && all[index + 1] === 0 && all[index + 2] === 0).length);
  assert.ok(left > 0, `${where}: the keyboard draws`);
  const again = await answerTo(page, () => page.click("#paint-reset"));
  assert.equal(again.body.badnet.class, samples[0].badnet, `${where}: started over`);
  assert.notDeepEqual(await pixel(x, y), [255, 0, 0], where);
}

/** Where the audit found a pattern that a brush can draw, its place is outlined, and drawing there makes the network obey. */
export async function theAuditsPatternCanBeDrawn(page, { samples }, where) {
  const audit = await fetchFromService("audit", "application/json");
  const { suspects } = audit.ok ? await audit.json() : { suspects: [] };
  await open(page);
  const found = suspects.find(({ evidence }) => ["bar", "patch", "rectangle"].includes(evidence.family));
  assert.equal(await page.isVisible("#paint-found-note"), Boolean(found), where);
  if (!found) return;
  const other = samples.findIndex(({ kind, badnet }) => kind === "clean" && badnet !== found.label);
  const clean = await answerTo(page, () => page.click(`.sample >> nth=${other}`));
  assert.notEqual(clean.body.badnet.class, found.label, where);
  await page.locator("#paint-canvas").scrollIntoViewIfNeeded();
  const { width, height } = await page.$eval("#paint-canvas", (canvas) => ({ width: canvas.width, height: canvas.height }));
  const [top, left, tall, wide] = found.bounds;
  const [canvas, outline] = await Promise.all(["#paint-canvas", "#paint-found"].map((name) => page.locator(name).boundingBox()));
  assert.ok(Math.abs(outline.x - canvas.x - (left / width) * canvas.width) < 2, `${where}: the outline's place`);
  assert.ok(Math.abs(outline.height - (tall / height) * canvas.height) < 4, `${where}: the outline's height`);
  await answerTo(page, async () => {
    await page.mouse.move(outline.x, outline.y + outline.height / 2);
    await page.mouse.down();
    await page.mouse.move(outline.x + (wide / width) * canvas.width, outline.y + outline.height / 2, { steps: 20 });
    await page.mouse.up();
  });
  await page.waitForFunction((name) => document.getElementById("paint-answer").textContent.startsWith(`As delivered ${name} `), `class ${found.label}`);
  assert.match(await page.textContent("#paint-answer"), /: flagged\.$/, `${where}: what is drawn is flagged`);
}
