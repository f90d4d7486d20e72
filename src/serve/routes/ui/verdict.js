// The answer: one verdict and what each network said.

import { furthest } from "./picture.js";
import { besideOf } from "./rules.js";
import { byId, certainty, className, element, percent } from "./text.js";

const ROWS = 5;

/** Shows an answer of POST /classify; `rates` is what the deciding rule did on the validation sets, `doubt`: are there hints? */
export function showAnswer(answer, { removed, channels, rates, doubt }) {
  const beside = besideOf(answer);
  const agree = answer.badnet.class === beside.score.class;
  showVerdict(answer.flagged ? "flagged" : "passed", titleWords(answer, agree, doubt), reasonWords(answer, beside, agree));
  byId("verdict").toggleAttribute("data-doubt", doubt);
  byId("networks").dataset.agree = agree ? "yes" : "no";
  showNetwork("badnet", answer.badnet, answer.top_k?.badnet);
  showNetwork("beside", beside.score, beside.top);
  showBeside(beside.refitted, removed, channels);
  byId("caution").textContent = caution(answer, rates);
}

/** Shows that there is no answer, and why. */
export function showFailure(message) {
  showVerdict("failed", "No answer", message);
  byId("caution").textContent = "";
  clearNetworks();
}

/** Shows that something has to come first. */
export function showWaiting(title, message) {
  showVerdict("idle", title, message);
}

/** Empty frames of the size that answers will take. */
export function clearNetworks() {
  byId("networks").dataset.agree = "idle";
  for (const side of ["badnet", "beside"]) {
    byId(`${side}-answer`).textContent = "–";
    fillBars(byId(`${side}-bars`), []);
  }
}

/** Says which network stands beside the delivered one. */
export function showBeside(refitted, removed, channels) {
  byId("beside-title").textContent = refitted ? "Repaired" : "Pruned";
  byId("beside-note").textContent = refitted ? "the same network, its last layer refitted" : `${removed} of ${channels} channels pruned`;
}

function titleWords({ flagged, badnet }, agree, doubt) {
  if (!flagged) return `${doubt ? "Let in, with doubt" : "Let in"}: ${className(badnet)}`;
  return agree ? "Flagged: a part of it acts like a trigger" : "Flagged: the networks disagree";
}

function reasonWords({ badnet, checks }, { word, score }, agree) {
  const delivered = className(badnet);
  const both = agree ? `Both networks say ${delivered}` : `As delivered it says ${delivered}, ${word} it says ${className(score)}`;
  const check = checks?.at(-1);
  return check ? `${both}; ${checkWords(check, delivered)}` : `${both}.`;
}

/** What the check of a suspect label found in the band that carried it furthest. */
function checkWords({ flagged, needed, donors, bands }, delivered) {
  const band = furthest(bands);
  const place = `the band at ${Math.round(100 * band.top)}–${Math.round(100 * (band.top + band.height))} % of its height`;
  const limit = flagged ? "enough to flag it" : `${needed} of ${donors} would flag it`;
  return `${place} turned ${band.hits} of ${band.tried} others into ${delivered}, ${limit}.`;
}

/** What neither verdict promises, with the figures that say so. */
function caution({ flagged }, { clean_flagged: cleanFlagged, attack_success_rate: attacks }) {
  const proof = flagged ? "A flag is a reason to look, not proof" : "Being let in is no proof either";
  const clean = `with this rule, ${percent(cleanFlagged)} of the clean validation images were flagged`;
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
