// The service's endpoints, relative to the page, with problem documents turned into errors.

import { byId, download } from "./text.js";

let key = "";

/** An answer other than success: `message` is what a person should read. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Bearer key sent from now on; kept in memory only. */
export function useKey(value) {
  key = value;
}

/** Is a key sent? */
export function hasKey() {
  return key !== "";
}

/** Absolute address of an endpoint. */
export function address(path) {
  return new URL(path, document.baseURI);
}

export async function getJson(path) {
  const response = await request(path, { headers: { accept: "application/json" } });
  return response.json();
}

export async function getBlob(path) {
  const response = await request(path);
  return response.blob();
}

/** Both networks' answers for one image. */
export async function classify(image, { drop, policy, signal }) {
  const response = await request(classifyPath({ drop, policy, topK: 5 }), {
    method: "POST",
    body: image,
    headers: image.type.startsWith("image/") ? {} : { "content-type": "application/octet-stream" },
    signal,
  });
  return response.json();
}

export function classifyPath({ drop, policy, topK }) {
  const query = new URLSearchParams();
  if (drop !== undefined) query.set("drop", drop);
  if (policy) query.set("policy", policy);
  if (topK) query.set("top_k", topK);
  const text = query.toString();
  return text ? `classify?${text}` : "classify";
}

/** Fetches whatever a GET answers, with the key. */
export async function get(path) {
  return fetch(address(path), { headers: authorization() });
}

/** Links to this service's own documents are fetched with the key where there is one: a plain link carries none. */
export function carryKey() {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-file]");
    if (!link || !hasKey()) return;
    event.preventDefault();
    download(await getBlob(link.getAttribute("href")), link.dataset.file);
  });
}

/** Calls `start` with each access key that is given in the form of the page. */
export function listenForKey(start) {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(byId("key").value.trim());
    start();
  });
}

/** Shows the form and nothing else, or hides it; says so where the last key was wrong. */
export function askForKey(wanted) {
  byId("key-form").hidden = !wanted;
  document.body.toggleAttribute("data-locked", wanted);
  if (!wanted) return;
  byId("key-form").toggleAttribute("data-wrong", hasKey());
  byId("key-note").textContent = hasKey()
    ? "This key is not valid here. Is it complete, and is it for this service?"
    : "This service answers only with an access key. Whoever runs it can give you one.";
  byId("key").focus();
}

function authorization() {
  return key ? { authorization: `Bearer ${key}` } : {};
}

async function request(path, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(address(path), { ...options, headers: { ...headers, ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service cannot be reached. Is it still running?");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const fallback = `The service answered ${response.status} ${response.statusText}.`;
  try {
    const { detail, title } = await response.json();
    return new Problem(detail || title || fallback, response.status);
  } catch {
    return new Problem(fallback, response.status);
  }
}
