// The page: an image and a drop go in, an answer comes out.

import { Problem, address, askForKey, carryKey, classify, classifyPath, getBlob, getJson, hasKey, listenForKey } from "./api.js";
import { mountSweep, ratesOf } from "./sweep.js";
import { byId, element, className } from "./text.js";
import { clearNetworks, repairNote, showAnswer, showFailure } from "./verdict.js";

const state = { image: undefined, sample: undefined, drop: undefined, policy: undefined, sweep: undefined, pending: undefined };
let chooseInSweep = () => {};

async function start() {
  clearNetworks();
  try {
    const [info, sweep] = await Promise.all([getJson("info"), getJson("sweep")]);
    askForKey(false);
    state.sweep = sweep;
    showFacts(info);
    mountPolicies(info.serving.policies, info.serving.default_policy);
    chooseInSweep = mountSweep(sweep, pickDrop);
    mountDrops(sweep.drops, info.serving.default_drop);
    await mountSamples(info.samples);
    await showAudit();
  } catch (error) {
    report(error);
  }
}

function showFacts(info) {
  const { backend, build, bundle } = info;
  const facts = [
    bundle.source_file,
    `${bundle.classes} classes`,
    `pruned at ${bundle.site.tensor}`,
    `on ${backend.name} ${backend.version}`,
  ];
  byId("facts").textContent = facts.join(" · ");
  byId("build").textContent = `goodnet ${build.version} · network sha256 ${bundle.model_sha256.slice(0, 12)}…`;
}

/** The sentence of the audit's report, where the bundle has one. */
async function showAudit() {
  const report = await getJson("audit").catch((error) => (error.status === 404 ? undefined : Promise.reject(error)));
  if (!report) return;
  byId("audit-verdict").textContent = report.verdict.sentence;
  byId("audit").hidden = false;
}

function mountPolicies(policies, preferred) {
  state.policy = preferred;
  byId("policy-field").hidden = policies.length < 2;
  byId("policy").replaceChildren(...policies.map((name) => element("option", { selected: name === preferred }, name)));
}

function mountDrops(drops, preferred) {
  const reached = drops.filter((entry) => entry.reached);
  byId("drops").replaceChildren(...drops.map(dropChoice));
  const chosen = reached.find((entry) => entry.drop === preferred) ?? reached.at(-1);
  if (chosen) pickDrop(chosen.drop);
}

function dropChoice({ drop, reached }) {
  const input = element("input", { type: "radio", name: "drop", value: drop, disabled: !reached });
  input.addEventListener("change", () => pickDrop(drop));
  const note = element("span", { class: "choice-note" }, reached ? "–" : "not reached");
  return element("label", { class: "choice" }, input, element("span", { class: "choice-name" }, `${drop} pp`), note);
}

function pickDrop(drop) {
  state.drop = drop;
  byId("drops").querySelector(`input[value="${drop}"]`).checked = true;
  byId("pruned-note").textContent = repairNote(removedAt(drop), state.sweep.steps.length);
  chooseInSweep(drop, state.policy);
  showCurl();
  ask();
}

function removedAt(drop) {
  return state.sweep.drops.find((entry) => entry.drop === drop).step;
}

async function mountSamples(samples) {
  byId("samples").hidden = samples.length === 0;
  const buttons = await Promise.all(samples.map(sampleButton));
  byId("sample-row").replaceChildren(...buttons);
}

async function sampleButton({ url, kind }, index) {
  const path = url.replace(/^\//, "");
  const image = await getBlob(path);
  const thumbnail = element("canvas", { width: 94, height: 110, "aria-hidden": "true" });
  await paint(thumbnail, image);
  const words = kind === "triggered" ? "trigger" : "clean";
  const button = element("button", { type: "button", class: `sample ${kind}`, "aria-pressed": "false", "aria-label": `Sample ${index + 1}, ${words}` }, thumbnail, element("span", {}, words));
  button.addEventListener("click", () => pickImage(image, `Sample ${index + 1}, ${words}`, { path, button }));
  return button;
}

async function pickImage(image, name, sample) {
  state.image = image;
  state.sample = sample;
  for (const other of document.querySelectorAll(".sample")) other.setAttribute("aria-pressed", `${other === sample?.button}`);
  byId("file-name").textContent = name;
  showCurl();
  await Promise.all([paint(byId("preview"), image), ask()]);
  byId("verdict").scrollIntoView({ block: "nearest" });
}

/** Draws an image as large as fits; one that the browser cannot read leaves the canvas empty (the service may). */
async function paint(canvas, image) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  let bitmap;
  try {
    bitmap = await createImageBitmap(image);
  } catch {
    return;
  }
  const scale = Math.min(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  bitmap.close();
}

async function ask() {
  state.pending?.abort();
  if (!state.image || state.drop === undefined) return;
  const pending = new AbortController();
  state.pending = pending;
  byId("answer").setAttribute("aria-busy", "true");
  try {
    const answer = await classify(state.image, { drop: state.drop, policy: state.policy, signal: pending.signal });
    if (pending.signal.aborted) return;
    const rates = ratesOf(state.sweep, answer.drop, answer.policy);
    showAnswer(answer, { removed: removedAt(answer.drop), channels: state.sweep.steps.length, rates });
    noteVerdicts(answer.verdicts ?? []);
  } catch (error) {
    if (error.name === "AbortError") return;
    noteVerdicts([]);
    report(error);
  }
  byId("answer").removeAttribute("aria-busy");
}

/** Writes beside every drop what it says of the image. */
function noteVerdicts(verdicts) {
  for (const input of byId("drops").querySelectorAll("input:enabled")) {
    const verdict = verdicts.find(({ drop }) => drop === Number(input.value));
    const note = input.parentElement.querySelector(".choice-note");
    note.textContent = verdict ? (verdict.flagged ? "flagged" : className(verdict)) : "–";
    note.classList.toggle("flagged", Boolean(verdict?.flagged));
  }
}

function report(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) askForKey(true);
  showFailure(error.message);
}

function showCurl() {
  const target = address(classifyPath({ drop: state.drop, policy: byId("policy-field").hidden ? undefined : state.policy }));
  const curl = hasKey() ? 'curl --oauth2-bearer "$KEY"' : "curl";
  const source = state.sample ? `${curl} -s '${address(state.sample.path)}' |\n  ` : "";
  byId("curl").textContent = `${source}${curl} -F image=@${state.sample ? "-" : "image.png"} '${target}'`;
}

async function copyCurl() {
  const button = byId("copy");
  const code = byId("curl");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function takeFile(file) {
  if (file) pickImage(file, file.name || "Pasted image");
}

function listen() {
  const zone = byId("drop-zone");
  byId("file").addEventListener("change", ({ target }) => takeFile(target.files[0]));
  addEventListener("paste", (event) => takeFile([...event.clipboardData.files][0]));
  addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    takeFile(event.dataTransfer.files[0]);
  });
  byId("policy").addEventListener("change", ({ target }) => {
    state.policy = target.value;
    chooseInSweep(state.drop, state.policy);
    showCurl();
    ask();
  });
  byId("copy").addEventListener("click", copyCurl);
  listenForKey(start);
  carryKey();
}

listen();
start();
