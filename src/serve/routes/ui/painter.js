// A trigger by hand: draw on the image, in the network's own pixels, and see the answer change.

import { read } from "./picture.js";
import { besideOf } from "./rules.js";
import { byId, certainty, className } from "./text.js";

/** What the audit puts onto an image as a brush does: in one place, covering what is there. */
const DRAWABLE = ["bar", "patch", "rectangle"];

/** Milliseconds between two questions while the pointer draws. */
const PAUSE = 150;

const state = { base: undefined, at: { x: 0, y: 0 }, timer: undefined, onDrawn: () => {} };

/** Makes the drawing area of the network's size; `onDrawn(blob)` gets the image after each stroke. */
export function mountPainter(input, onDrawn) {
  const canvas = byId("paint-canvas");
  Object.assign(canvas, { width: input.width, height: input.height });
  state.onDrawn = onDrawn;
  const size = byId("paint-size");
  size.max = Math.max(2, Math.round(input.width / 4));
  size.value = Math.max(1, Math.round(input.width / 10));
  size.oninput = () => moveBrush(state.at);
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  };
  canvas.onpointermove = (event) => (event.buttons ? stroke(event) : moveBrush(pixelUnder(event)));
  canvas.onkeydown = drawByKey;
  byId("paint-reset").onclick = reset;
  moveBrush({ x: Math.floor(input.width / 2), y: Math.floor(input.height / 2) });
}

/** Outlines where the first suspect label's stand-in lies in the audit's `report`, if a brush can do what it does. */
export function outlineFound(report, { width, height }) {
  const found = report?.suspects.find(({ evidence }) => DRAWABLE.includes(evidence.family));
  for (const part of ["paint-found", "paint-found-note"]) byId(part).hidden = !found;
  if (!found) return;
  const [top, left, tall, wide] = found.bounds;
  place("paint-found", { left, top, wide, tall }, { width, height });
  const name = className({ class: found.label, label: report.network.names?.[found.label] });
  byId("paint-found-note").textContent = `The outline is where the audit’s own pattern for ${name} lies, a ${found.evidence.family}. Paint it over.`;
}

/** Starts anew from `image`; the painter is hidden where the browser cannot read it. */
export async function paintOn(image) {
  clearTimeout(state.timer);
  state.timer = undefined;
  const bitmap = await read(image);
  byId("painter").hidden = !bitmap;
  if (!bitmap) return;
  state.base?.close();
  state.base = bitmap;
  drawBase();
  byId("paint-answer").textContent = "";
}

/** Says beside the drawing what both networks make of it. */
export function tellPainter(answer) {
  const { word, score: beside } = besideOf(answer);
  const says = (score) => `${className(score)} (${certainty(score.probability)})`;
  byId("paint-answer").textContent = `As delivered ${says(answer.badnet)}, ${word} ${says(beside)}: ${answer.flagged ? "flagged" : "let in"}.`;
}

function drawBase() {
  const canvas = byId("paint-canvas");
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(state.base, 0, 0, canvas.width, canvas.height);
}

function reset() {
  if (!state.base) return;
  drawBase();
  tell();
}

function stroke(event) {
  event.preventDefault();
  byId("paint-canvas").focus();
  for (const one of event.getCoalescedEvents?.() ?? []) stamp(pixelUnder(one));
  stamp(pixelUnder(event));
}

function drawByKey(event) {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = steps[event.key];
  if (step) moveBrush({ x: state.at.x + step[0], y: state.at.y + step[1] });
  else if (event.key === " " || event.key === "Enter") stamp(state.at);
  else return;
  event.preventDefault();
}

function stamp(at) {
  if (!state.base) return;
  moveBrush(at);
  const { left, top, size } = brush();
  const context = byId("paint-canvas").getContext("2d");
  context.fillStyle = byId("paint-color").value;
  context.fillRect(left, top, size, size);
  tell();
}

/** Asks about what is drawn, at most once a pause. */
function tell() {
  state.timer ??= setTimeout(() => {
    state.timer = undefined;
    byId("paint-canvas").toBlob((blob) => { if (blob) state.onDrawn(blob); }, "image/png");
  }, PAUSE);
}

function pixelUnder(event) {
  const canvas = byId("paint-canvas");
  const box = canvas.getBoundingClientRect();
  return {
    x: Math.floor(((event.clientX - box.left) / box.width) * canvas.width),
    y: Math.floor(((event.clientY - box.top) / box.height) * canvas.height),
  };
}

function moveBrush({ x, y }) {
  const canvas = byId("paint-canvas");
  const within = (value, end) => Math.min(end - 1, Math.max(0, value));
  state.at = { x: within(x, canvas.width), y: within(y, canvas.height) };
  const { left, top, size } = brush();
  place("paint-brush", { left, top, wide: size, tall: size }, canvas);
}

/** Puts a mark over the drawing; `box` is in the network's pixels. */
function place(id, { left, top, wide, tall }, { width, height }) {
  const style = byId(id).style;
  style.left = `${(100 * left) / width}%`;
  style.top = `${(100 * top) / height}%`;
  style.width = `${(100 * wide) / width}%`;
  style.height = `${(100 * tall) / height}%`;
}

/** The square that the brush covers, in the network's pixels. */
function brush() {
  const size = Number(byId("paint-size").value);
  const start = (middle) => middle - Math.floor(size / 2);
  return { left: start(state.at.x), top: start(state.at.y), size };
}
