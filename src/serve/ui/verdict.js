// The answer: one verdict and what each network said.

import { byId, certainty, className, element, percent } from "./text.js";

const ROWS = 5;

/** Shows an answer of POST /classify. */
export function showAnswer(answer, { removed, channels }) {
  const { title, text } = verdictWords(answer);
  showVerdict(answer.flagged ? "flagged" : "passed", title, text);
  const agree = answer.badnet.class === answer.pruned.class;
  byId("networks").dataset.agree = agree ? "yes" : "no";
  showNetwork("badnet", answer.badnet, answer.top_k?.badnet);
  showNetwork("pruned", answer.pruned, answer.top_k?.pruned);
  byId("pruned-note").textContent = repairNote(removed, channels);
  byId("caution").textContent = caution(answer);
}

/** Shows that there is no answer, and why. */
export function showFailure(message) {
  showVerdict("failed", "No answer", message);
  clearNetworks();
}

/** Empty frames of the size that answers will take. */
export function clearNetworks() {
  byId("networks").dataset.agree = "idle";
  for (const side of ["badnet", "pruned"]) {
    byId(`${side}-answer`).textContent = "–";
    fillBars(byId(`${side}-bars`), []);
  }
}

/** "removed of channels" under the name of the repaired network. */
export function repairNote(removed, channels) {
  return `${removed} of ${channels} channels pruned`;
}

function verdictWords(answer) {
  const delivered = className(answer.badnet);
  const repaired = className(answer.pruned);
  if (!answer.flagged) {
    return { title: `Let in: ${delivered}`, text: "Both networks give the same answer." };
  }
  if (answer.badnet.class === answer.pruned.class) {
    return { title: "Flagged by the rule", text: `Both networks say ${delivered}, yet the rule “${answer.policy}” does not trust it.` };
  }
  return { title: "Flagged: the networks disagree", text: `As delivered it says ${delivered}, repaired it says ${repaired}.` };
}

function caution({ flagged, measured, drop }) {
  if (!measured) return "";
  if (flagged) {
    return `A flag is a reason to look, not proof: at drop ${drop}, ${percent(measured.clean_flagged)} of the clean validation images were flagged too.`;
  }
  if (!Number.isFinite(measured.attack_success_rate)) {
    return "Agreement is no proof: how many attacks get past this repair was not measured, for want of backdoored images.";
  }
  return `Agreement is no proof: at drop ${drop}, ${percent(measured.attack_success_rate)} of the backdoored validation images still got the attacker’s label from both networks.`;
}

function showVerdict(state, title, text) {
  byId("verdict").dataset.state = state;
  byId("verdict-title").textContent = title;
  byId("verdict-text").textContent = text;
}

function showNetwork(side, answer, top) {
  byId(`${side}-answer`).textContent = className(answer);
  fillBars(byId(`${side}-bars`), top ?? [answer]);
}

function fillBars(list, answers) {
  const rows = answers.slice(0, ROWS).map(bar);
  while (rows.length < ROWS) rows.push(element("li", { "aria-hidden": "true", class: "bar" }));
  list.replaceChildren(...rows);
}

function bar(answer) {
  const fill = element("span", { class: "bar-fill" });
  fill.style.width = `${100 * answer.probability}%`;
  return element(
    "li",
    { class: "bar" },
    element("span", { class: "bar-label" }, className(answer)),
    element("span", { class: "bar-value" }, certainty(answer.probability)),
    element("span", { class: "bar-track", "aria-hidden": "true" }, fill),
  );
}
