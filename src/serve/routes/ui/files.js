// Several files at once: a list with a verdict each, and the list as CSV.

import { classify } from "./api.js";
import { csv } from "./csv.js";
import { paint, shape } from "./picture.js";
import { wordsOf } from "./rules.js";
import { byId, certainty, className, download, element } from "./text.js";

/** Requests under way at a time: the service's queue is for everybody. */
const AT_ONCE = 4;
/** Files of one list: what a browser shows at ease. */
const MOST = 1000;
/** How long (ms) a busy service is left alone before it is asked again. */
const PATIENCE = [500, 1000, 2000, 4000];
const BUSY = [429, 503];
const LONGEST = 55;

let current;

/** Asks about every file; `choice` is the policy and drop, `onPick(file)` is called for the one to look at. */
export async function askAboutAll(files, choice, input, onPick) {
  current?.abort();
  const pending = new AbortController();
  current = pending;
  const results = files.slice(0, MOST).map((file) => ({ file }));
  const list = { results, rows: results.map((result) => row(result, input, onPick)), left: files.length - results.length, choice };
  show(list, pending);
  const waiting = results.keys();
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(list, waiting, input, pending.signal)));
  if (!pending.signal.aborted) finish();
}

function show(list, pending) {
  byId("files").hidden = false;
  byId("files-rows").replaceChildren(...list.rows);
  byId("files-csv").disabled = true;
  byId("files-csv").onclick = () => download(new Blob([csv(list.results)], { type: "text/csv" }), "goodnet.csv");
  byId("files-stop").hidden = false;
  byId("files-stop").onclick = () => {
    pending.abort();
    finish();
  };
  byId("files").scrollIntoView({ block: "nearest" });
  count(list);
}

function finish() {
  byId("files-csv").disabled = false;
  byId("files-stop").hidden = true;
}

/** Takes one file after the other until none waits; only small parts of the answers are kept. */
async function work(list, waiting, input, signal) {
  for (const index of waiting) {
    const result = list.results[index];
    await paint(list.rows[index].querySelector("canvas"), result.file);
    await answer(result, list.choice, signal);
    if (signal.aborted) return;
    fill(list.rows[index], result);
    count(list);
  }
}

async function answer(result, choice, signal) {
  for (const wait of [...PATIENCE, undefined]) {
    try {
      const { flagged, class: verdict, label, badnet, policy, drop } = await classify(result.file, { ...choice, signal });
      result.answer = { flagged, class: verdict, label, badnet, policy, drop };
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!BUSY.includes(error.status) || wait === undefined) {
        result.problem = error.message;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function row({ file }, input, onPick) {
  const thumbnail = element("canvas", { class: "thumbnail", "aria-hidden": "true" });
  shape(thumbnail, input, LONGEST);
  const look = element("button", { type: "button", class: "link" }, file.name);
  look.addEventListener("click", () => onPick(file));
  const name = element("th", { scope: "row" }, element("span", { class: "file" }, thumbnail, look));
  return element("tr", {}, name, ...["waiting", "", ""].map((text) => element("td", {}, text)));
}

function fill(node, { answer: found, problem }) {
  const [verdict, name, probability] = node.querySelectorAll("td");
  verdict.textContent = found ? (found.flagged ? "flagged" : "let in") : "no answer";
  verdict.className = found && !found.flagged ? "passed" : "flagged";
  name.textContent = found ? className(found.badnet) : problem;
  probability.textContent = found ? certainty(found.badnet.probability) : "";
}

function count({ results, left, choice }) {
  const done = results.filter(({ answer: found, problem }) => found || problem);
  const flagged = done.filter(({ answer: found }) => found?.flagged).length;
  const failed = done.filter(({ answer: found }) => !found).length;
  const parts = [`${done.length} of ${results.length} files answered`, `${flagged} flagged`, failed && `${failed} without an answer`];
  const rest = left > 0 ? ` ${left} more were left out: a list has at most ${MOST}.` : "";
  byId("files-count").textContent = `${parts.filter(Boolean).join(", ")}. Rule: ${wordsOf(choice.policy).name.toLowerCase()}.${rest}`;
}
