// The pruning sweep: chart, step by step, table, and beside it what the policy in force does.

import { drawChart, points, removal, stepAt } from "./chart.js";
import { ratesOf, usesDrop, wordsOf } from "./rules.js";
import { byId, element, percent } from "./text.js";

const COMPACT = new Intl.NumberFormat("en");

/** Shows `sweep` and calls `onDrop(drop)` when a drop is chosen in the chart. Returns `choose({ policy, drop })`. */
export function mountSweep(sweep, onDrop) {
  const all = points(sweep);
  const state = { step: 0 };
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

  slider.oninput = () => moveTo(Number(slider.value));
  frame.onpointermove = (event) => moveTo(stepAt(frame, event, all.length - 1));
  new ResizeObserver(draw).observe(frame);
  fillTable(all, sweep.drops);
  byId("sweep-lead").textContent = lead(sweep);

  return ({ policy, drop }) => {
    const pruned = usesDrop(policy);
    state.drop = pruned ? drop : undefined;
    state.rule = pruned ? undefined : ratesOf(sweep, policy, drop);
    byId("sweep-title").textContent = wordsOf(policy).curve;
    byId("rule-legend").hidden = pruned;
    const step = sweep.drops.find((entry) => entry.drop === drop)?.step ?? 0;
    markRow(step);
    moveTo(step);
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
