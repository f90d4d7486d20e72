// Answers as CSV, in the columns of `goodnet classify --csv`.

const HEAD = ["file", "flagged", "class", "label", "badnet_class", "badnet_label", "badnet_probability", "policy", "drop", "error"];

/** A line for each of `results`: `{ file, answer }`, or `{ file, problem }`. */
export function csv(results) {
  return [HEAD, ...results.map(fields)].map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

function fields({ file, answer, problem }) {
  if (!answer) return [file.name, "", "", "", "", "", "", "", "", problem ?? "not asked"];
  const { flagged, class: verdict, label, badnet, policy, drop } = answer;
  return [file.name, flagged, verdict, label, badnet.class, badnet.label, badnet.probability, policy, drop, ""];
}

/** A field by RFC 4180; one that a spreadsheet would run as a formula gets an apostrophe in front. */
function quoted(value) {
  const text = String(value ?? "");
  const plain = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
