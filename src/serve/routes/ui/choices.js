// The rule that decides, and for the lab's rule how hard the network was pruned.

import { LAB_RULE, usesDrop, wordsOf } from "./rules.js";
import { byId, className, element } from "./text.js";

/** Offers the service's policies, its default first, and the drops; `onPick({ policy, drop })` gets what was picked. */
export function mountChoices({ policies, default_policy: preferred }, drops, onPick) {
  const rank = (policy) => (policy === preferred ? 0 : policy === LAB_RULE ? 2 : 1);
  const order = policies.toSorted((one, other) => rank(one) - rank(other));
  const rules = order.map((policy) => ruleChoice(policy, policy === preferred, () => onPick({ policy })));
  byId("drops").replaceChildren(...drops.map((entry) => dropChoice(entry, () => onPick({ policy: LAB_RULE, drop: entry.drop }))));
  rules[order.indexOf(LAB_RULE)].append(byId("drop-field"));
  byId("rules").replaceChildren(...rules);
}

/** Ticks what is in force. */
export function showChoice({ policy, drop }) {
  for (const input of byId("rules").querySelectorAll("input")) input.checked = input.value === policy;
  for (const input of byId("drops").querySelectorAll("input")) input.checked = usesDrop(policy) && Number(input.value) === drop;
}

/** Writes beside every drop what the lab's rule says of the image there. */
export function noteVerdicts(verdicts) {
  for (const input of byId("drops").querySelectorAll("input:enabled")) {
    const verdict = verdicts.find(({ drop }) => drop === Number(input.value));
    const note = input.parentElement.querySelector(".choice-note");
    note.textContent = verdict ? (verdict.flagged ? "flagged" : className(verdict)) : "–";
    note.classList.toggle("flagged", Boolean(verdict?.flagged));
  }
}

function ruleChoice(policy, preferred, onPick) {
  const { name, note } = wordsOf(policy);
  const input = element("input", { type: "radio", name: "policy", value: policy });
  input.addEventListener("change", onPick);
  const title = element("span", { class: "rule-name" }, name, preferred ? element("span", { class: "tag" }, "default") : "");
  const label = element("label", {}, input, title, element("span", { class: "rule-note" }, note));
  return element("div", { class: "rule" }, label);
}

function dropChoice({ drop, reached }, onPick) {
  const input = element("input", { type: "radio", name: "drop", value: drop, disabled: !reached });
  input.addEventListener("change", onPick);
  const note = element("span", { class: "choice-note" }, reached ? "–" : "not reached");
  return element("label", { class: "choice" }, input, element("span", { class: "choice-name" }, `${drop} pp`), note);
}
