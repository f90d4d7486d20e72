// Reasons to doubt an answer that the service does not tell: plain sentences.

import { byId, certainty, element } from "./text.js";

/** An image this many times as wide or high as the network's input loses what is small in it. */
const MUCH_LARGER = 8;
/** Largest factor between two aspect ratios that leaves an image recognisable when it is stretched. */
const OTHER_SHAPE = 1.25;
/** Below this probability the best class is a guess. */
const UNSURE = 0.5;

/** Shows what is doubtful, and says whether anything is, about `answer` to an image of `size` pixels (none where it is not known). */
export function showHints(answer, size, input) {
  const hints = answer ? [...sizeHints(size, input), ...answerHints(answer)] : [];
  byId("hints").replaceChildren(...hints.map((hint) => element("li", {}, hint)));
  byId("hints").hidden = hints.length === 0;
  return hints.length > 0;
}

function sizeHints(size, input) {
  if (!size) return [];
  const hints = [];
  const here = `${size.width} × ${size.height}`;
  const there = `${input.width} × ${input.height}`;
  if (size.width >= MUCH_LARGER * input.width || size.height >= MUCH_LARGER * input.height) {
    hints.push(`The image has ${here} pixels and the network sees only ${there}. Unless its subject fills the image, crop it first: the answer may mean nothing.`);
  }
  const stretch = (size.width * input.height) / (size.height * input.width);
  if (Math.max(stretch, 1 / stretch) > OTHER_SHAPE) {
    hints.push(`The image (${here}) has another shape than the network’s input (${there}) and is stretched to fit. Crop it to that shape for an answer to trust.`);
  }
  return hints;
}

function answerHints({ badnet: { probability } }) {
  if (!Number.isFinite(probability) || probability >= UNSURE) return [];
  return [`The network is not sure: its best class has a probability of ${certainty(probability)}. The image may show none of its classes.`];
}
