// The bundle's samples: a button with a thumbnail each.

import { getBlob } from "./api.js";
import { paint, shape } from "./picture.js";
import { byId, element } from "./text.js";

const LONGEST = 110;

/** Shows the samples; gives them as `{ name, path, title, image, button }`. `onPick(sample)` is called for the one pressed. */
export async function mountSamples({ samples, input }, onPick) {
  byId("samples").hidden = samples.length === 0;
  const all = await Promise.all(samples.map((sample, index) => load(sample, index, input)));
  for (const sample of all) sample.button.addEventListener("click", () => onPick(sample));
  byId("sample-row").replaceChildren(...all.map(({ button }) => button));
  return all;
}

/** Marks the sample that is shown, none where another image is. */
export function pressSample(sample) {
  for (const button of document.querySelectorAll(".sample")) button.setAttribute("aria-pressed", `${button === sample?.button}`);
}

async function load({ url, kind }, index, input) {
  const path = url.replace(/^\//, "");
  const image = await getBlob(path);
  const thumbnail = element("canvas", { "aria-hidden": "true" });
  shape(thumbnail, input, LONGEST);
  await paint(thumbnail, image);
  const words = kind === "triggered" ? "trigger" : "clean";
  const title = `Sample ${index + 1}, ${words}`;
  const attributes = { type: "button", class: `sample ${kind}`, "aria-pressed": "false", "aria-label": title };
  const button = element("button", attributes, thumbnail, element("span", {}, words));
  return { name: path.split("/").at(-1), path, title, image, button };
}
