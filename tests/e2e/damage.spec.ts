/** What is stored, damaged in many ways at random places; loads that end at any moment. The model loads as before. */

import { expect, test, type Page } from "@playwright/test";
import { TINY, load, openPackage, serveModel, sha256 } from "./loading.js";

/** Numbers in 0..1, the same ones for a seed (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WAYS = ["flip", "cut", "blank", "grow", "delete", "replace"] as const;

/** Damages one of the stored files in a way; what was done. `where` picks the file and the place, 0 to 1 each. */
async function damage(page: Page, way: (typeof WAYS)[number], where: [number, number]): Promise<string> {
  return page.evaluate(
    async ([way, [which, at]]) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("tallow");
      const handles: FileSystemFileHandle[] = [];
      for await (const handle of folder.values())
        if (handle instanceof FileSystemFileHandle && handle.name !== "_probe") handles.push(handle);
      handles.sort((a, b) => (a.name < b.name ? -1 : 1));
      const handle = handles[Math.floor(which * handles.length)] as FileSystemFileHandle;
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      const place = Math.floor(at * bytes.length);
      const done = `${way} ${handle.name} at ${place} of ${bytes.length}`;
      if (way === "delete") {
        await folder.removeEntry(handle.name);
        return done;
      }
      const bit = 1 << (Math.floor(at * 1e6) % 8);
      const damaged = {
        flip: () => bytes.with(place, (bytes[place] ?? 0) ^ bit),
        cut: () => bytes.subarray(0, place),
        blank: () => bytes.fill(0, place),
        grow: () => new Uint8Array(bytes.length + place + 1).fill(7),
        replace: () => new TextEncoder().encode('{"format":1}'),
      }[way]();
      if (way === "grow") damaged.set(bytes);
      const writable = await handle.createWritable();
      await writable.write(damaged as Uint8Array<ArrayBuffer>);
      await writable.close();
      return done;
    },
    [way, where] as const,
  );
}

test("whatever is damaged in storage, the model loads as before", async ({ page }) => {
  const next = random(20_240_601);
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const whole = await load(page);
  expect(whole).toMatchObject({ text: expect.any(String), sha256: [sha256(TINY)], warnings: [] });
  const done: string[] = [];
  for (let round = 0; round < 36; round++) {
    done.push(await damage(page, WAYS[round % WAYS.length] ?? "flip", [next(), next()]));
    // Sometimes two files at once.
    if (next() < 0.3) done.push(await damage(page, "flip", [next(), next()]));
    const { text, sha256, stored, warnings, error } = await load(page);
    const expected = { text: whole.text, sha256: whole.sha256, warnings: [], error: undefined };
    expect({ text, sha256, warnings, error }, done.join("; ")).toEqual(expected);
    expect(stored, done.join("; ")).toMatchObject([{ complete: true, sha256: whole.sha256 }]);
  }
  // Some damage takes the file itself, most can be mended by what is there.
  expect(server.requests.length).toBeGreaterThan(1);
});

test("a load that ends at any moment leaves nothing that loads wrongly", async ({ page, context }) => {
  const next = random(7);
  const drip = { drip: { bytes: 40_000, ms: 15 } };
  await using server = await serveModel(
    TINY,
    Array.from({ length: 100 }, () => drip),
  );
  await openPackage(page, server.url);
  const whole = await load(page);
  for (let round = 0; round < 12; round++) {
    if (round % 3 === 0) await page.evaluate(() => tallow.cache.delete());
    const doomed = await context.newPage();
    await openPackage(doomed, server.url);
    const wait = Math.floor(next() * 500);
    const ended = doomed
      .evaluate(async (wait) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), wait);
        await tallow.loadModel("/model.gguf", { signal: controller.signal });
      }, wait)
      .catch(() => {});
    if (round % 2 === 0) await ended;
    else await new Promise((resolve) => setTimeout(resolve, wait));
    await doomed.close();
    const { text, error, warnings } = await load(page);
    expect({ text, error, warnings }, `round ${round}`).toEqual({
      text: whole.text,
      error: undefined,
      warnings: [],
    });
  }
});

test("a damaged file on the server is no model whose hash is known", async ({ page }) => {
  const next = random(99);
  // In the header, where it is no model, as well as in the weights.
  const places = [4, 20, ...Array.from({ length: 10 }, () => Math.floor(next() * 20_000))];
  places.push(...Array.from({ length: 4 }, () => Math.floor(next() * TINY.length)));
  const script = places.map((place) => {
    const file = Buffer.from(TINY);
    file[place] = (file[place] ?? 0) ^ (1 << Math.floor(next() * 8));
    return { file };
  });
  await using server = await serveModel(TINY, script);
  await openPackage(page, server.url);
  for (const [i, { file }] of script.entries()) {
    const refused = await load(page, { sha256: sha256(TINY) });
    expect(refused, `byte ${places[i]}`).toMatchObject({
      error: expect.stringMatching(`^integrity_error: .*but has ${sha256(file)}$`),
      stored: [],
    });
  }
  expect(await load(page, { sha256: sha256(TINY) })).toMatchObject({ text: expect.any(String) });
});

test("a file that is cut on the server is no model, and is fetched again when it is whole", async ({
  page,
}) => {
  // The server knows of no more: its lengths are right, and it has nothing behind them.
  const file = TINY.subarray(0, TINY.length - 5000);
  const cut = { file, headers: { ETag: '"cut"' } };
  await using server = await serveModel(TINY, [cut, cut, {}]);
  await openPackage(page, server.url);
  expect(await load(page)).toMatchObject({
    error: expect.stringMatching(/^(invalid_model|download_failed): /),
    stored: [],
  });
  expect(await load(page)).toMatchObject({ text: expect.any(String), sha256: [sha256(TINY)] });
});
