// The policies in words: what stands beside the delivered network, and what flags an image.

export const LAB_RULE = "disagreement";
export const REPAIRED = "repaired";
export const GATED = "gated";

const WORDS = {
  [REPAIRED]: {
    name: "Repaired network",
    note: "Flags where the network as delivered and its repaired self disagree.",
    headline: "A repaired network checks every answer.",
    story: "Each image goes to the network as it was delivered, and to the same network with its last layer repaired so that it no longer obeys a trigger. Where the two disagree, the image is flagged.",
    curve: "The lab’s pruning, for comparison",
  },
  [GATED]: {
    name: "Repaired network and check",
    note: "Also flags where part of the image carries a suspect class to other images.",
    headline: "Every answer is checked, some twice.",
    story: "Each image goes to the network as it was delivered and to its repaired self. It is flagged where they disagree, or where part of it carries a suspect class to other images.",
    curve: "The lab’s pruning, for comparison",
  },
  [LAB_RULE]: {
    name: "Pruned network",
    note: "The lab’s rule: flags where the network as delivered and a pruned one disagree.",
    headline: "A pruned network checks every answer.",
    story: "Each image goes to the network as it was delivered, and to the same network with its idle channels pruned. Where the two disagree, the image is flagged.",
    curve: "What pruning costs, and what it buys",
  },
};

/** The words of a policy; of one that this page does not know, its name. */
export function wordsOf(policy) {
  const unknown = { name: policy, note: "", headline: "Every answer is checked.", story: `The rule that flags is called ${policy}.`, curve: WORDS[LAB_RULE].curve };
  return WORDS[policy] ?? unknown;
}

/** Does the policy look at a drop? */
export function usesDrop(policy) {
  return policy === LAB_RULE;
}

/** The network that stands beside the delivered one: the repaired one but under the lab's rule, where the bundle has one. */
export function besideOf({ policy, repaired, pruned, top_k: top }) {
  const refitted = policy !== LAB_RULE && repaired !== undefined;
  return refitted
    ? { refitted, word: "repaired", score: repaired, top: top?.repaired }
    : { refitted, word: "pruned", score: pruned, top: top?.pruned };
}

/** What a policy did on the validation sets; only the rates of the lab's rule depend on the drop. */
export function ratesOf(sweep, policy, drop) {
  if (policy === REPAIRED) return sweep.repaired?.goodnet ?? {};
  if (policy !== LAB_RULE) return sweep.policies.find((rates) => rates.policy === policy) ?? {};
  return sweep.drops.find((entry) => entry.drop === drop)?.goodnet ?? {};
}
