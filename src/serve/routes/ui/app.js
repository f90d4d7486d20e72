// The page: an image and a rule go in, an answer comes out. Every change goes through `choose` or `pickImage`, and `ask` shows what follows.

import { Problem, askForKey, carryKey, classify, getJson, listenForKey } from "./api.js";
import { mountCamera } from "./camera.js";
import { mountChoices, noteVerdicts, showChoice } from "./choices.js";
import { askAboutAll } from "./files.js";
import { showHints } from "./hints.js";
import { missingOf, readLink, writeLink } from "./link.js";
import { mountPainter, outlineFound, paintOn, tellPainter } from "./painter.js";
import { markRegion, paint, shape } from "./picture.js";
import { LAB_RULE, ratesOf, usesDrop } from "./rules.js";
import { mountSamples, pressSample } from "./samples.js";
import { copyCurl, showCurl } from "./shell.js";
import { showAudit, showFacts, tellStory } from "./story.js";
import { mountSweep } from "./sweep.js";
import { byId, download } from "./text.js";
import { clearNetworks, showAnswer, showBeside, showFailure, showWaiting } from "./verdict.js";

/** Pixels of the longer side of the image that is looked at. */
const PREVIEW = 240;

const state = { info: undefined, sweep: undefined, image: undefined, size: undefined, sample: undefined, policy: undefined, drop: undefined, answer: undefined, pending: undefined };
let chooseInSweep = () => {};

async function start() {
  clearNetworks();
  try {
    const [info, sweep] = await Promise.all([getJson("info"), getJson("sweep")]);
    Object.assign(state, { info, sweep });
    askForKey(false);
    mount();
    const samples = await mountSamples(info, pickSample);
    outlineFound(await showAudit(), info.input);
    await begin(samples);
  } catch (error) {
    report(error);
  }
}

/** Puts what is served onto the page. */
function mount() {
  const { info, sweep } = state;
  showFacts(info);
  shape(byId("preview"), info.input, PREVIEW);
  mountChoices(info.serving, sweep.drops, choose);
  chooseInSweep = mountSweep(sweep, (drop) => choose({ policy: LAB_RULE, drop }));
  mountPainter(info.input, (blob) => pickImage(blob, "Your drawing", { drawn: true }));
  mountCamera(info.input, (blob) => pickImage(blob, "Snapshot"));
  showWaiting("No image yet", "Drop one or pick a sample: it is let in or flagged.");
}

/** The view that the address asks for, else the service's own policy and no image. */
async function begin(samples) {
  const { info } = state;
  const link = readLink();
  const missing = missingOf(link, info);
  const wanted = missing ? {} : link;
  choose({ policy: wanted.policy ?? (wanted.drop ? LAB_RULE : info.serving.default_policy), drop: Number(wanted.drop ?? info.serving.default_drop) });
  if (missing) showFailure(missing);
  const sample = samples.find(({ name }) => name === wanted.sample);
  if (sample) await pickSample(sample);
  else if (samples[0]) await paintOn(samples[0].image);
}

/** Takes a policy, a drop or both, and tells their story everywhere. */
function choose({ policy = state.policy, drop = state.drop }) {
  Object.assign(state, { policy, drop });
  showChoice(state);
  tellStory(state);
  chooseInSweep(state);
  showBeside(policy !== LAB_RULE && Boolean(state.sweep.repaired), removedAt(drop), state.sweep.steps.length);
  ask();
}

function removedAt(drop) {
  return state.sweep.drops.find((entry) => entry.drop === drop)?.step;
}

function pickSample(sample) {
  return pickImage(sample.image, sample.title, { sample });
}

async function pickImage(image, name, { sample, drawn } = {}) {
  Object.assign(state, { image, sample, size: undefined });
  pressSample(sample);
  byId("file-name").textContent = name;
  markRegion(undefined);
  const size = await paint(byId("preview"), image);
  if (state.image !== image) return;
  state.size = size;
  if (!drawn) await paintOn(image);
  await ask();
  if (!drawn) byId("verdict").scrollIntoView({ block: "nearest" });
}

/** What a request asks for: the drop only where the policy looks at it. */
function choice() {
  return { policy: state.policy, drop: usesDrop(state.policy) ? state.drop : undefined };
}

async function ask() {
  state.pending?.abort();
  writeLink({ sample: state.sample?.name, ...choice() });
  showCurl({ sample: state.sample, ...choice() });
  if (!state.image) return;
  const pending = new AbortController();
  state.pending = pending;
  byId("answer").setAttribute("aria-busy", "true");
  try {
    const answer = await classify(state.image, { ...choice(), signal: pending.signal });
    if (!pending.signal.aborted) show(answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    show(undefined);
    report(error);
  }
  if (!pending.signal.aborted) byId("answer").removeAttribute("aria-busy");
}

/** Puts an answer everywhere it belongs; none: takes the last one away. */
function show(answer) {
  const { sweep, size, info } = state;
  state.answer = answer;
  byId("save").disabled = !answer;
  noteVerdicts(answer?.verdicts ?? []);
  markRegion(answer, size);
  const doubt = showHints(answer, size, info.input);
  if (!answer) return;
  const { policy, drop } = answer;
  showAnswer(answer, { removed: removedAt(drop), channels: sweep.steps.length, rates: ratesOf(sweep, policy, drop), doubt });
  tellPainter(answer);
}

function report(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status !== 401) {
    showFailure(error.message);
    return;
  }
  byId("facts").textContent = "";
  askForKey(true);
}

function takeFiles(files) {
  if (!state.info) return;
  if (files.length === 1) pickImage(files[0], files[0].name || "Pasted image");
  if (files.length > 1) askAboutAll(files, choice(), state.info.input, (file) => pickImage(file, file.name));
}

function saveAnswer() {
  const text = JSON.stringify(state.answer, null, 2);
  download(new Blob([text], { type: "application/json" }), "goodnet-answer.json");
}

/** An image may be dropped anywhere on the page. */
function listenForDrops() {
  const over = (inside) => byId("drop-zone").classList.toggle("over", inside);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  addEventListener("dragleave", ({ relatedTarget }) => { if (!relatedTarget) over(false); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    takeFiles([...event.dataTransfer.files]);
  });
}

function listen() {
  byId("file").addEventListener("change", ({ target }) => {
    takeFiles([...target.files]);
    target.value = "";
  });
  addEventListener("paste", ({ clipboardData }) => takeFiles([...clipboardData.files]));
  listenForDrops();
  byId("save").addEventListener("click", saveAnswer);
  byId("copy").addEventListener("click", copyCurl);
  listenForKey(start);
  carryKey();
}

listen();
start();
