// A client of generated types against a running goodnet: check.js HOST:PORT BUNDLE. The compiler is the first half of the check.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Classification = components["schemas"]["Classification"];

const [address, bundle] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: `http://${address}` });

/** Bytes go out as they are. */
const raw = {
  headers: { "content-type": "application/octet-stream" },
  bodySerializer: (body: unknown) => body as BodyInit,
};

async function classify(image: Buffer): Promise<Classification> {
  const { data, error } = await client.POST("/classify", { params: { query: { top_k: 2 } }, body: new Blob([new Uint8Array(image)]) as unknown as string, ...raw });
  assert.ok(data, error?.detail);
  return data;
}

const { data: info } = await client.GET("/info");
assert.ok(info);
for (const sample of info.samples) {
  const answer = await classify(await readFile(`${bundle}${sample.url}`));
  assert.equal(answer.badnet.class, sample.badnet);
  assert.deepEqual(answer.verdicts.map((verdict) => verdict.class), sample.verdicts);
  assert.equal(answer.top_k?.badnet.length, 2);
}
const refused = await client.POST("/classify", { body: "no image", ...raw });
assert.equal(refused.error?.code, "undecodable_image");
const { data: models } = await client.POST("/v2/repository/index");
assert.ok(models && models.length > 1);
console.log(`clients: ${info.samples.length} samples answered to the generated TypeScript client`);
