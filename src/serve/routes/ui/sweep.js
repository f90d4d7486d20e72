// What the sweep says: figures of the chosen drop, chart, step by step, table.

import { drawChart, points, removal, stepAt } from "./chart.js";
import { byId, element, percent } from "./text.js";

const COMPACT = new Intl.NumberFormat("en");

const REPAIRED = "repaired";
const LAB_RULE = "disagreement";

/** What a rule did on the validation sets; the rates of rules other than the lab's do not depend on the drop. */
export function ratesOf(sweep, drop, policy = LAB_RULE) {
  if (policy === REPAIRED) return sweep.repaired?.goodnet ?? {};
  if (policy !== LAB_RULE) return sweep.policies.find((rates) => rates.policy === policy) ?? {};
  return sweep.drops.find((entry) => entry.drop === drop)?.goodnet ?? {};
}

/** Shows `sweep` and calls `onDrop(drop)` when a drop is chosen in the chart. Returns `choose(drop, policy)`. */
export function mountSweep(sweep, onDrop) {
  const all = points(sweep);
  const state = { drop: undefined, step: 0 };
  const frame = byId("chart");
  const slider = byId("step");
  slider.max = all.length - 1;

  const draw = () => drawChart(frame, sweep, { ...state, onDrop });
  const moveTo = (step) => {
    state.step = step;
    slider.value = step;
    const words = stepWords(all[step]);
    byId("step-text").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    draw();
  };

  slider.addEventListener("input", () => moveTo(Number(slider.value)));
  frame.addEventListener("pointermove", (event) => moveTo(stepAt(frame, event, all.length - 1)));
  new ResizeObserver(draw).observe(frame);
  fillTable(all, sweep.drops);
  byId("sweep-lead").textContent = lead(sweep);

  return (drop, policy) => {
    state.drop = drop;
    const entry = sweep.drops.find((candidate) => candidate.drop === drop);
    showFigures(sweep.baseline, ratesOf(sweep, drop, policy));
    markRow(entry?.step);
    moveTo(entry?.step ?? 0);
  };
}

function lead(sweep) {
  const { site, steps, baseline } = sweep;
  const attacks = baseline.backdoored_images ? ` and ${COMPACT.format(baseline.backdoored_images)} backdoored` : "";
  const least = sweep.ranked_by ? `the least active on clean images first (by ${sweep.ranked_by})` : "the least active on clean images first";
  const measured = `The ${steps.length} channels of ${site} are ${removal(sweep)} one after the other, ${least}. Measured on ${COMPACT.format(baseline.clean_images)} clean${attacks} validation images.`;
  return [measured, ...masked(sweep), ...(sweep.warnings ?? [])].join(" ");
}

/** Why channels are set to zero and not removed, a sentence a reason. */
function masked({ drops }) {
  const reasons = new Set(drops.filter(({ method }) => method === "masked").map((entry) => entry.masked_because ?? "the graph does not allow their removal"));
  return [...reasons].map((reason) => `Masked channels are set to zero and the network stays as large as it was, since ${reason}.`);
}

function stepWords(point) {
  const attack = Number.isFinite(point.attack_success_rate) ? `, attacks succeed ${percent(point.attack_success_rate)}` : "";
  return `${point.step}: clean accuracy ${percent(point.clean_accuracy)} (down ${point.accuracy_drop_pp.toFixed(1)} pp)${attack}`;
}

function showFigures(baseline, rates) {
  const tiles = [
    ["Clean images answered right", rates.clean_accuracy, `${percent(baseline.clean_accuracy)} as delivered`, "clean"],
    ["Clean images flagged", rates.clean_flagged, "each needs a second look", "plain"],
    ["Attacks that succeed", rates.attack_success_rate, `${percent(baseline.attack_success_rate)} as delivered`, "attack"],
    ["Attacks flagged", rates.backdoored_flagged, "none as delivered", "plain"],
  ];
  byId("figures").replaceChildren(...tiles.map(([name, value, note, kind]) => figure(name, value, note, kind)));
}

function figure(name, value, note, kind) {
  return element(
    "div",
    { class: `figure ${kind}` },
    element("dt", {}, name),
    element("dd", { class: "figure-value" }, percent(value, "–")),
    element("dd", { class: "figure-note" }, Number.isFinite(value) ? note : "not measured"),
  );
}

function fillTable(all, drops) {
  const rows = all.map((point) => {
    const reached = drops.filter((entry) => entry.reached && entry.step === point.step).map(({ drop }) => `${drop} pp`);
    return element(
      "tr",
      { "data-step": point.step },
      element("th", { scope: "row" }, `${point.step}`),
      element("td", {}, percent(point.clean_accuracy)),
      element("td", {}, `${point.accuracy_drop_pp.toFixed(2)} pp`),
      element("td", {}, percent(point.attack_success_rate)),
      element("td", {}, reached.join(", ")),
    );
  });
  byId("table").replaceChildren(...rows);
}

function markRow(step) {
  for (const row of byId("table").rows) {
    row.ariaCurrent = Number(row.dataset.step) === step ? "true" : null;
  }
}
