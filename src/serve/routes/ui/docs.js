// The API page: `openapi.json` as a list of requests, of which GETs can be tried.

import { address, askForKey, carryKey, get, getJson, listenForKey } from "./api.js";
import { byId, element } from "./text.js";

async function start() {
  let api;
  try {
    api = await getJson("openapi.json");
  } catch (error) {
    const locked = error.status === 401;
    if (locked) askForKey(true);
    byId("facts").textContent = locked ? "" : error.message;
    return;
  }
  askForKey(false);
  byId("facts").replaceChildren(...prose(`${api.info.description} Version ${api.info.version}.`));
  byId("operations").replaceChildren(...groups(api));
  const schemas = Object.entries(api.components.schemas);
  byId("schemas").replaceChildren(...schemas.map(([name, schema]) => schemaEntry(name, schema)));
}

/** A section for every tag, in the document's order. */
function groups({ paths, tags }) {
  const found = new Map(tags.map((tag) => [tag.name, { ...tag, operations: [] }]));
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const [name] = operation.tags;
      if (!found.has(name)) found.set(name, { name, operations: [] });
      found.get(name).operations.push(operationEntry(method, path, operation));
    }
  }
  return [...found.values()].map(({ name, description, operations }) =>
    element("section", { "aria-label": name }, element("h2", {}, name), element("p", { class: "lead" }, description ?? ""), ...operations));
}

function operationEntry(method, path, { summary, description = "", parameters = [], requestBody, responses }) {
  const title = element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), " ", element("code", {}, path), " ", element("span", { class: "hint" }, ...prose(summary)));
  const entry = element("details", { class: "operation" }, title, element("p", {}, ...prose(description)));
  if (parameters.length) {
    entry.append(table(["Parameter", "In", "Type", "Meaning"], parameters.map((parameter) =>
      [code(parameter.name), parameter.in, typeOf(parameter.schema), prose(parameter.description)])));
  }
  if (requestBody) entry.append(table(["Body", "Type", "Meaning"], contents(requestBody).map((content) => [...content, prose(requestBody.description)])));
  entry.append(table(["Status", "Body", "Type", "Meaning"], Object.entries(responses).flatMap(([status, response]) =>
    contents(response).map((content) => [status, ...content, prose(response.description)]))));
  entry.append(...examples(responses));
  if (method === "get") entry.append(...trial(path, parameters));
  return entry;
}

/** What good answers look like, where the document says so. */
function examples(responses) {
  const all = Object.values(responses).flatMap(({ content = {} }) => Object.values(content));
  return all.filter(({ example }) => example !== undefined).map(({ example }) =>
    element("details", {}, element("summary", {}, "An answer"), pre(JSON.stringify(example, null, 2))));
}

function pre(text) {
  return element("pre", { tabindex: 0, role: "group", "aria-label": "An answer" }, text);
}

/** The media types of a body with their schemas. */
function contents({ content = {} }) {
  const types = Object.entries(content).map(([type, { schema }]) => [code(type), schema ? typeOf(schema) : "–"]);
  return types.length ? types : [["none", "–"]];
}

function schemaEntry(name, schema) {
  const entry = element("details", { class: "operation", id: `schema-${name}` }, element("summary", {}, element("code", {}, name)), element("p", {}, ...prose(schema.description)));
  const required = schema.required ?? [];
  const fields = Object.entries(schema.properties ?? {});
  entry.append(fields.length
    ? table(["Field", "Type", "Meaning"], fields.map(([field, value]) =>
      [[code(field), required.includes(field) ? "" : " (optional)"], typeOf(value), prose(value.description)]))
    : element("p", {}, ...typeOf(schema)));
  return entry;
}

/** What a schema admits, as nodes: a reference leads to its entry. */
function typeOf(schema) {
  if (schema.$ref) return [reference(schema.$ref.split("/").at(-1))];
  const choice = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choice) return choice.flatMap((one, index) => (index ? [" or ", ...typeOf(one)] : typeOf(one)));
  const names = [schema.type ?? "any"].flat();
  if (schema.items) return ["array of ", ...typeOf(schema.items), ...names.slice(1).map((name) => ` or ${name}`)];
  const range = [schema.minimum !== undefined && `≥ ${schema.minimum}`, schema.maximum !== undefined && `≤ ${schema.maximum}`];
  const notes = [schema.format, ...range, schema.enum && schema.enum.join(", ")].filter(Boolean);
  return [names.join(" or ") + (notes.length ? ` (${notes.join(", ")})` : "")];
}

function reference(name) {
  const link = element("a", { href: `#schema-${name}` }, name);
  link.addEventListener("click", () => { byId(`schema-${name}`).open = true; });
  return link;
}

/** Text with its `code`. */
function prose(text = "") {
  return text.split("`").map((part, index) => (index % 2 ? code(part) : part));
}

function code(text) {
  return element("code", {}, text);
}

function table(heads, rows) {
  const cells = (row) => row.map((cell) => element("td", {}, ...[cell].flat()));
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((row) => element("tr", {}, ...cells(row)));
  return element("div", { class: "table-frame", tabindex: 0, role: "group", "aria-label": heads.join(", ") }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

/** A form with a field for every parameter, and the answer below it. */
function trial(path, parameters) {
  const fields = parameters.map((parameter) => {
    const input = element("input", { name: parameter.name, required: parameter.required, placeholder: parameter.example });
    return { ...parameter, input, label: element("label", {}, parameter.name, " ", input) };
  });
  const form = element("form", { class: "trial" }, ...fields.map(({ label }) => label), element("button", {}, "Try it"));
  const answer = element("div", { role: "status", "aria-live": "polite" });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren(...await ask(fill(path, fields)));
  });
  return [form, answer];
}

/** The path with its parameters in place, relative to the page. */
function fill(path, fields) {
  const query = new URLSearchParams();
  for (const { in: place, name, input } of fields) {
    if (place === "path") path = path.replace(`{${name}}`, () => encodeURIComponent(input.value));
    else if (input.value) query.set(name, input.value);
  }
  const text = query.toString();
  return path.slice(1) + (text ? `?${text}` : "");
}

async function ask(path) {
  const line = (text) => element("p", { class: "hint" }, text);
  try {
    const response = await get(path);
    const type = response.headers.get("content-type") ?? "";
    return [line(`GET ${address(path)}: ${response.status} ${type}`), await shown(response, type)];
  } catch {
    return [line("The service cannot be reached. Is it still running?")];
  }
}

async function shown(response, type) {
  if (type.startsWith("image/")) return element("img", { src: URL.createObjectURL(await response.blob()), alt: "The answer" });
  const text = await response.text();
  return pre(/json/.test(type) ? JSON.stringify(JSON.parse(text), null, 2) : text);
}

listenForKey(start);
carryKey();
start();
