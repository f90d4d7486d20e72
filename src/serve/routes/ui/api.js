// The service's endpoints, relative to the page, with problem documents turned into errors.

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
    headers: image.type ? {} : { "content-type": "application/octet-stream" },
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
    const link = event.target.closest("a[data-fetched]");
    if (!link || !hasKey()) return;
    event.preventDefault();
    const name = link.getAttribute("href");
    const url = URL.createObjectURL(await getBlob(name));
    const file = Object.assign(document.createElement("a"), { href: url, download: name.includes(".") ? name : `${name}.txt` });
    file.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });
}

/** Asks for a key in the form of the page, and calls `start` with it; says so where the last one was wrong. */
export function listenForKey(start) {
  const form = document.getElementById("key-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(document.getElementById("key").value.trim());
    start();
  });
}

/** Shows the form, or hides it. */
export function askForKey(wanted) {
  document.getElementById("key-form").hidden = !wanted;
  document.getElementById("key-label").textContent = hasKey() ? "This service does not know that key. Another one:" : "This service asks for a key.";
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
