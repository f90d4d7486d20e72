// How numbers, classes and elements are put on the page.

/** A fraction 0..1 as a percentage, `none` where it was not measured. */
export function percent(fraction, none = "not measured") {
  return Number.isFinite(fraction) ? `${(100 * fraction).toFixed(1)} %` : none;
}

/** How sure a network is: never rounded up to certainty or down to nothing. */
export function certainty(probability) {
  if (probability > 0.9995 && probability < 1) return ">\u00a099.9\u00a0%";
  if (probability > 0 && probability < 0.0005) return "<\u00a00.1\u00a0%";
  return percent(probability);
}

export function className(answer) {
  return answer.label ?? `class ${answer.class}`;
}

/** An element with attributes and children; text only ever becomes a text node. */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(attribute, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Hands `blob` to the reader as a file. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
