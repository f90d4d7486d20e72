// What the policy in force is and what it gives: headline, before and after, the audit's verdict.

import { getJson } from "./api.js";
import { ratesOf, wordsOf } from "./rules.js";
import { byId, element, percent } from "./text.js";

/** Tells the story of `policy` at the top of the page. */
export function tellStory({ sweep, policy, drop }) {
  const words = wordsOf(policy);
  byId("headline").textContent = words.headline;
  byId("story").textContent = words.story;
  showFigures(sweep.baseline, ratesOf(sweep, policy, drop));
}

/** What is served, in one line. */
export function showFacts({ backend, build, bundle }) {
  const facts = [bundle.source_file, `${bundle.classes} classes`, `on ${backend.name} ${backend.version}`];
  byId("facts").textContent = facts.join(" · ");
  byId("build").textContent = `goodnet ${build.version} · network sha256 ${bundle.model_sha256.slice(0, 12)}…`;
}

/** The sentence of the audit's report and the way to the whole of it, where the bundle has one. Gives the report. */
export async function showAudit() {
  const report = await getJson("audit").catch((error) => (error.status === 404 ? undefined : Promise.reject(error)));
  byId("audit").hidden = !report;
  if (report) byId("audit-verdict").textContent = report.verdict.sentence;
  return report;
}

function showFigures(baseline, rates) {
  const attacked = baseline.backdoored_images > 0;
  const tiles = [
    ["Attacks that succeed", baseline.attack_success_rate, rates.attack_success_rate, "attack"],
    ["Attacks flagged", attacked ? 0 : undefined, rates.backdoored_flagged, "plain"],
    ["Clean images answered right", baseline.clean_accuracy, rates.clean_accuracy, "clean"],
    ["Clean images flagged", 0, rates.clean_flagged, "plain"],
  ];
  byId("figures").replaceChildren(...tiles.map((tile) => figure(...tile)));
}

function figure(name, before, after, kind) {
  const measured = Number.isFinite(after) && Number.isFinite(before);
  const note = measured ? `${before === 0 ? "none" : percent(before)} as delivered` : "not measured";
  return element(
    "div",
    { class: `figure ${kind}` },
    element("dt", {}, name),
    element("dd", { class: "figure-value" }, percent(after, "–")),
    element("dd", { class: "figure-note" }, note),
  );
}
