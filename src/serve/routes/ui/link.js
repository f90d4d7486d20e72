// The page's address carries what is shown: sample, policy and drop.

const FIELDS = ["sample", "policy", "drop"];

/** What the address asks for; fields that it does not carry are absent. */
export function readLink() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(FIELDS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

/** Puts what is shown into the address, without a new entry in the history. */
export function writeLink(shown) {
  const query = new URLSearchParams();
  for (const name of FIELDS) {
    if (shown[name] !== undefined) query.set(name, shown[name]);
  }
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

/** What `link` asks for that this service does not have, as a sentence; none where it has all. */
export function missingOf(link, { serving, samples }) {
  const known = {
    sample: samples.map(({ url }) => url.split("/").at(-1)),
    policy: serving.policies,
    drop: serving.drops.map(String),
  };
  const missing = FIELDS.filter((name) => link[name] !== undefined && !known[name].includes(link[name]));
  if (missing.length === 0) return undefined;
  return `The link asks for ${missing.map((name) => `${name} “${link[name]}”`).join(" and ")}, which this service does not have.`;
}
