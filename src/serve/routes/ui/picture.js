// Pictures on the page: drawn to fit, measured, and with the region that flagged marked.

import { byId } from "./text.js";

/** Draws an image as large as fits. Gives its size in pixels, none where the browser cannot read it (the service may). */
export async function paint(canvas, image) {
  const context = canvas.getContext("2d");
  const bitmap = await read(image);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!bitmap) return undefined;
  const size = { width: bitmap.width, height: bitmap.height };
  const box = fit(size, canvas);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, box.left, box.top, box.width, box.height);
  bitmap.close();
  return size;
}

/** The decoded image, none where the browser cannot read it. */
export async function read(image) {
  try {
    return await createImageBitmap(image);
  } catch {
    return undefined;
  }
}

/** Gives a canvas the shape of the network's input, `longest` pixels on its longer side. */
export function shape(canvas, { width, height }, longest) {
  const scale = longest / Math.max(width, height);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
}

/** Marks the band of the image that `answer` was flagged for; no mark where no band did it. */
export function markRegion(answer, size) {
  const mark = byId("region");
  const band = flaggingBand(answer);
  mark.hidden = !band || !size;
  byId("region-note").hidden = mark.hidden;
  if (mark.hidden) return;
  byId("region-note").textContent = `Marked: the part that turned ${band.hits} of ${band.tried} other images.`;
  const canvas = byId("preview");
  const box = fit(size, canvas);
  const share = (pixels, whole) => `${(100 * pixels) / whole}%`;
  mark.style.left = share(box.left, canvas.width);
  mark.style.width = share(box.width, canvas.width);
  mark.style.top = share(box.top + band.top * box.height, canvas.height);
  mark.style.height = share(band.height * box.height, canvas.height);
}

/** The band that carried its class furthest, where the last check flagged. */
export function flaggingBand(answer) {
  const check = answer?.checks?.at(-1);
  return check?.flagged ? furthest(check.bands) : undefined;
}

/** The band with most hits; the upper one of equals. */
export function furthest(bands) {
  return bands.reduce((best, next) => (next.hits > best.hits ? next : best));
}

function fit({ width, height }, canvas) {
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const [drawnWidth, drawnHeight] = [width * scale, height * scale];
  return { left: (canvas.width - drawnWidth) / 2, top: (canvas.height - drawnHeight) / 2, width: drawnWidth, height: drawnHeight };
}
