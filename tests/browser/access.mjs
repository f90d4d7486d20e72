// Who cannot see, point or wait: axe-core, the keyboard alone, 200 %, and no motion.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** No rule of axe-core is broken, its best practices included. */
export async function nothingIsViolated(page, where) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const { violations: found } = await globalThis.axe.run();
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  });
  assert.deepEqual(violations, [], `${where}: axe-core`);
}

export async function fits(page, where) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${where}: the page is ${overflow} pixels too wide`);
}

/** Tab reaches everything that can be pressed, typed into or scrolled: of radio buttons one a group. */
export async function theKeyboardReachesAll(page, where) {
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button:enabled, input:enabled, summary, [tabindex='0']")];
    const groups = new Set();
    const shown = all.filter((node) => node.checkVisibility({ visibilityProperty: true }));
    const first = shown.filter(({ type, name }) => type !== "radio" || (!groups.has(name) && groups.add(name)));
    first.forEach((node, index) => { (node.type === "radio" ? document.querySelectorAll(`[name="${node.name}"]`) : [node]).forEach((one) => { one.dataset.reach = index; }); });
    document.activeElement?.blur();
    return first.map((node) => node.id || node.name || node.textContent.trim() || node.href);
  });
  const reached = new Set();
  for (let presses = 0; presses < wanted.length + 5; presses += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      const { outlineStyle } = getComputedStyle(document.activeElement);
      return { index: document.activeElement.dataset.reach, seen: outlineStyle !== "none" || document.activeElement.type === "radio" || document.activeElement.type === "file" };
    });
    if (found.index === undefined) continue;
    assert.ok(found.seen, `${where}: the focus on ${wanted[found.index]} is seen`);
    reached.add(Number(found.index));
  }
  const missed = wanted.filter((_, index) => !reached.has(index));
  assert.deepEqual(missed, [], `${where}: the keyboard reaches everything`);
}

export async function nothingMoves(page, where) {
  const moving = await page.$$eval("*", (nodes) => nodes.filter((node) => {
    const { transitionDuration, animationName } = getComputedStyle(node);
    return node.classList.contains("bar-fill") && transitionDuration !== "0s" || animationName !== "none";
  }).length);
  assert.equal(moving, 0, `${where}: nothing moves by itself`);
}
