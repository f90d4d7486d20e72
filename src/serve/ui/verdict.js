// The answer: one verdict and what each network said.

import { byId, certainty, className, element, percent } from "./text.js";

const ROWS = 5;

const LAB_RULE = "disagreement";
const REPAIRED = "repaired";

/** Shows an answer of POST /classify; `rates` is what the deciding rule did on the validation sets. */
export function showAnswer(answer, { removed, channels, rates }) {
  const { title, text } = verdictWords(answer);
  showVerdict(answer.flagged ? "flagged" : "passed", title, text);
  const refitted = answer.policy === REPAIRED;
  const beside = refitted ? answer.repaired : answer.pruned;
  const agree = answer.badnet.class === beside.class;
  byId("networks").dataset.agree = agree ? "yes" : "no";
  showNetwork("badnet", answer.badnet, answer.top_k?.badnet);
  showNetwork("pruned", beside, refitted ? undefined : answer.top_k?.pruned);
  byId("pruned-note").textContent = refitted ? "last layer refitted" : repairNote(removed, channels);
  byId("caution").textContent = caution(answer, rates);
}

/** Shows that there is no answer, and why. */
export function showFailure(message) {
  showVerdict("failed", "No answer", message);
  byId("caution").textContent = "";
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
  const beside = answer.policy === REPAIRED ? answer.repaired : answer.pruned;
  const repaired = className(beside);
  const agree = answer.badnet.class === beside.class;
  const both = agree ? `Both networks say ${delivered}` : `As delivered it says ${delivered}, repaired it says ${repaired}`;
  const title = answer.flagged ? "Flagged" : `Let in: ${delivered}`;
  if (answer.policy === REPAIRED) return { title, text: `${both}.` };
  if (answer.policy !== LAB_RULE) {
    return { title, text: `“${answer.policy}”: ${checkWords(answer, delivered)}` };
  }
  return { title: answer.flagged ? "Flagged: the networks disagree" : title, text: `${both}.` };
}

/** What the check that decided found; the last one decides. */
function checkWords({ checks }, delivered) {
  const last = checks?.at(-1);
  if (!last) return `${delivered} does not look like an attacker’s target, so nothing more was asked.`;
  const [score, threshold] = [percent(last.score), percent(last.threshold)];
  const reached = last.flagged ? `${threshold} are enough to flag it` : `${threshold} would flag it`;
  const limit = last.threshold > 1 ? "which flags nothing here" : reached;
  switch (last.check) {
    case "transplant":
      return `a part of the image turned ${score} of other faces into ${delivered}; ${limit}.`;
    case "strip":
      return `blended with other faces it stayed ${delivered} ${score} of the time; ${limit}.`;
    case "second_network":
      return last.flagged ? `the second network does not say ${delivered}.` : `the second network says ${delivered} too.`;
    default:
      return `${last.check} ${score}; ${limit}.`;
  }
}

/** What neither verdict promises, with the figures that say so. */
function caution({ flagged }, { clean_flagged: cleanFlagged, attack_success_rate: attacks }) {
  const proof = flagged ? "A flag is a reason to look, not proof" : "Being let in is no proof either";
  const clean = `with this rule and repair, ${percent(cleanFlagged)} of the clean validation images were flagged`;
  const through = Number.isFinite(attacks)
    ? `${percent(attacks)} of the backdoored ones got the attacker’s label through`
    : "how many attacks get through was not measured";
  return `${proof}: ${clean}, and ${through}.`;
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
  while (rows.length < ROWS) rows.push(emptyBar());
  list.replaceChildren(...rows);
}

/** Holds the place of an answer. */
function emptyBar() {
  return element("li", { "aria-hidden": "true", class: "bar" }, element("span", {}, "\u00a0"), element("span"), element("span", { class: "bar-track" }));
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
