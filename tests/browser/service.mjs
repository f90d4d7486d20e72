// The service that is tried: where it is, its key, its answers by plain requests.

export const [base, folder] = process.argv.slice(2);
export const key = process.env.GOODNET_KEY;

export function fetchFromService(path, accept = "*/*") {
  return fetch(new URL(path, base), { headers: { accept, ...(key ? { authorization: `Bearer ${key}` } : {}) } });
}

export async function bytesOf(path) {
  return Buffer.from(await (await fetchFromService(path)).arrayBuffer());
}

/** Opens the page, with the key where the service asks for one; `query` is what its address carries. */
export async function open(page, query = "") {
  await page.goto(new URL(query, base).href);
  if (key) {
    await page.fill("#key", key);
    await page.press("#key", "Enter");
  }
  await page.waitForSelector(".sample");
}

/** Runs `act` and gives the answer of the request to /classify that it leads to, once the page shows it. */
export async function answerTo(page, act) {
  const answered = page.waitForResponse((response) => response.url().includes("/classify"));
  await act();
  const response = await answered;
  await page.waitForSelector("#answer:not([aria-busy])");
  return { status: response.status(), body: await response.json() };
}

/** Runs `act` and gives the file that the page hands out: its name and its text. */
export async function downloadOf(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  const chunks = await (await download.createReadStream()).toArray();
  return { name: download.suggestedFilename(), text: Buffer.concat(chunks).toString() };
}
