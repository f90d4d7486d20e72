// The sweep as a chart: clean accuracy and attack success rate against channels removed, the drops marked.

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 340;
const MARGIN = { top: 46, right: 16, bottom: 46, left: 52 };
const PILL = 46;
/** From this width on there is room for sentences. */
const WIDE = 400;

/** Every point of the sweep, step 0 (the network as delivered) included. */
export function points({ baseline, steps }) {
  const delivered = { step: 0, clean_accuracy: baseline.clean_accuracy, accuracy_drop_pp: 0, attack_success_rate: baseline.attack_success_rate };
  return [delivered, ...steps.filter(({ step }) => step > 0)];
}

/**
 * Draws into `frame` for its present width; `rule`: what a policy does that no drop changes, as level lines.
 * `onDrop(drop)` is called when a marker is clicked.
 */
export function drawChart(frame, sweep, { drop, rule, step, onDrop }) {
  const width = Math.max(280, frame.clientWidth);
  const all = points(sweep);
  const last = all.at(-1).step;
  const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: HEIGHT - MARGIN.bottom };
  const x = (k) => plot.left + ((plot.right - plot.left) * k) / Math.max(1, last);
  const y = (share) => plot.bottom - (plot.bottom - plot.top) * share;
  const scale = { plot, x, y, last };
  const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-labelledby": "chart-title chart-desc" });
  root.append(
    named("title", "chart-title", "Clean accuracy and attack success rate against channels removed"),
    named("desc", "chart-desc", description(sweep, drop, rule)),
    axes(scale, width, removal(sweep)),
    ...curves(all, scale),
    ...levels(rule, scale),
    markers(sweep, scale, { drop, onDrop }),
    cursor(all[step], scale),
  );
  frame.replaceChildren(root);
}

/** The step under a pointer event inside the drawn chart. */
export function stepAt(frame, event, last) {
  const box = frame.getBoundingClientRect();
  const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
  return Math.round(Math.min(1, Math.max(0, share)) * last);
}

function description({ baseline, drops }, chosen, rule) {
  const share = (value) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} percent` : "not measured");
  const parts = [`As delivered: clean accuracy ${share(baseline.clean_accuracy)}, attack success rate ${share(baseline.attack_success_rate)}.`];
  for (const entry of drops.filter(({ reached }) => reached)) {
    const mark = entry.drop === chosen ? " (chosen)" : "";
    parts.push(`Drop ${entry.drop}${mark}, at ${entry.step} channels ${entry.method ?? "removed"}: clean accuracy ${share(entry.clean_accuracy)}, attack success rate ${share(entry.attack_success_rate)}.`);
  }
  if (rule) parts.push(`The rule in force: clean accuracy ${share(rule.clean_accuracy)}, attack success rate ${share(rule.attack_success_rate)}.`);
  return parts.join(" ");
}

/** What the served networks make of their channels: removed, masked (set to zero), or both. */
export function removal({ drops }) {
  const methods = new Set(drops.filter(({ reached }) => reached).map(({ method }) => method ?? "removed"));
  return methods.size > 0 ? [...methods].sort().reverse().join(" or ") : "removed";
}

function axes({ plot, x, y, last }, width, words) {
  const group = svg("g", { class: "axes" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    group.append(line(plot.left, y(share), plot.right, y(share), "grid"));
    group.append(text(plot.left - 8, y(share) + 4, `${100 * share} %`, { "text-anchor": "end" }));
  }
  for (const k of ticks(last, width < 520 ? 4 : 8)) {
    group.append(line(x(k), plot.bottom, x(k), plot.bottom + 5, "tick"));
    group.append(text(x(k), plot.bottom + 20, `${k}`, { "text-anchor": "middle" }));
  }
  group.append(text((plot.left + plot.right) / 2, HEIGHT - 6, `channels ${words}`, { "text-anchor": "middle" }));
  return group;
}

/** Round numbers from 0 to `last`, about `count` of them. */
function ticks(last, count) {
  const sizes = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000];
  const size = sizes.find((candidate) => last / candidate <= count) ?? Math.ceil(last / count);
  return Array.from({ length: Math.floor(last / size) + 1 }, (_, i) => i * size);
}

function curves(all, scale) {
  const clean = curve(all, scale, "clean_accuracy", "clean");
  const backdoored = curve(all, scale, "attack_success_rate", "attack");
  return backdoored ? [clean, backdoored] : [clean];
}

function curve(all, { x, y }, field, kind) {
  const measured = all.filter((point) => Number.isFinite(point[field]));
  if (measured.length === 0) return undefined;
  const path = measured.map((point, i) => `${i ? "L" : "M"}${x(point.step).toFixed(1)} ${y(point[field]).toFixed(1)}`).join("");
  return svg("path", { d: path, class: `curve ${kind}` });
}

/** Level lines with their names at the left end: above the lower one, below the upper one. */
function levels(rule, { plot, y }) {
  if (!rule) return [];
  const lines = [["clean_accuracy", "clean", "right"], ["attack_success_rate", "attack", "attacks"]];
  return lines.filter(([field]) => Number.isFinite(rule[field])).map(([field, kind, words]) => {
    const at = y(rule[field]);
    const group = svg("g", { class: `level ${kind}` });
    group.append(line(plot.left, at, plot.right, at, "level-line"));
    const label = `${(100 * rule[field]).toFixed(1)} % ${words}`;
    const isWide = plot.right - plot.left > WIDE;
    group.append(text(plot.left + 10, rule[field] > 0.5 ? at + 20 : at - 9, isWide ? `rule in force: ${label}` : label, {}));
    return group;
  });
}

function markers({ drops }, { plot, x, y }, { drop, onDrop }) {
  const group = svg("g", { class: "markers" });
  const reached = drops.filter((entry) => entry.reached);
  const pills = spread(reached.map((entry) => x(entry.step)), plot.left + PILL / 2, plot.right - PILL / 2);
  reached.forEach((entry, i) => {
    const at = x(entry.step);
    const marker = svg("g", { class: entry.drop === drop ? "marker chosen" : "marker" });
    marker.append(svg("path", { d: `M${at} ${plot.bottom}V${plot.top}L${pills[i]} 26`, class: "marker-line" }));
    marker.append(svg("rect", { x: pills[i] - PILL / 2 + 1, y: 4, width: PILL - 2, height: 22, rx: 11 }));
    marker.append(text(pills[i], 19, `${entry.drop} pp`, { "text-anchor": "middle" }));
    for (const [field, kind] of [["clean_accuracy", "clean"], ["attack_success_rate", "attack"]]) {
      if (Number.isFinite(entry[field])) marker.append(svg("circle", { cx: at, cy: y(entry[field]), r: 4.5, class: kind }));
    }
    marker.addEventListener("click", () => onDrop(entry.drop));
    group.append(marker);
  });
  const chosen = group.querySelector(".chosen");
  if (chosen) group.append(chosen);
  return group;
}

/** Positions pushed apart to at least a pill's width, in order, within bounds. */
function spread(wanted, low, high) {
  const placed = [...wanted];
  placed.forEach((at, i) => {
    placed[i] = Math.max(at, low, i ? placed[i - 1] + PILL : low);
  });
  for (let i = placed.length - 1; i >= 0; i -= 1) {
    placed[i] = Math.min(placed[i], i + 1 < placed.length ? placed[i + 1] - PILL : high);
  }
  return placed;
}

function cursor(point, { plot, x, y }) {
  const group = svg("g", { class: "cursor" });
  group.append(line(x(point.step), plot.top, x(point.step), plot.bottom, "cursor-line"));
  for (const [field, kind] of [["clean_accuracy", "clean"], ["attack_success_rate", "attack"]]) {
    if (Number.isFinite(point[field])) group.append(svg("circle", { cx: x(point.step), cy: y(point[field]), r: 3.5, class: kind }));
  }
  return group;
}

function line(x1, y1, x2, y2, kind) {
  return svg("line", { x1, y1, x2, y2, class: kind });
}

function text(x, y, words, attributes) {
  return withText(svg("text", { x, y, ...attributes }), words);
}

function named(name, id, words) {
  return withText(svg(name, { id }), words);
}

function withText(node, words) {
  node.textContent = words;
  return node;
}

function svg(name, attributes) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
  return node;
}
