/** Loading that does not break: stored, resumed, verified, shared, and told by its headers; in Chromium, on real models. */

import { chromium, expect, test, type Page } from "@playwright/test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Tallow from "tallow";
import { DEFAULT, MODEL, TINY, golden, load, openPackage, serveModel, sha256 } from "./loading.js";

/** Changes files of the model in storage: flips a byte in the middle, or cuts the last one off. */
async function damage(page: Page, suffix: string, how: "flip" | "cut"): Promise<number> {
  return page.evaluate(
    async ([suffix, how]) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("tallow");
      let n = 0;
      for await (const handle of folder.values()) {
        if (!(handle instanceof FileSystemFileHandle) || !handle.name.endsWith(suffix)) continue;
        const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
        const middle = bytes.length >> 1;
        bytes[middle] = (bytes[middle] ?? 0) ^ 1;
        const writable = await handle.createWritable();
        await writable.write(how === "flip" ? bytes : bytes.subarray(0, -1));
        await writable.close();
        n++;
      }
      return n;
    },
    [suffix, how] as const,
  );
}

/** Workers find no file system that they can write to, as in private windows of some browsers. */
async function withoutFileSystem(page: Page): Promise<void> {
  await page.context().route("**/worker.js", async (route) => {
    const response = await route.fetch();
    const refuse =
      "FileSystemFileHandle.prototype.createSyncAccessHandle = " +
      "() => Promise.reject(new DOMException('refused by the test', 'UnknownError'));";
    await route.fulfill({ response, body: refuse + (await response.text()) });
  });
}

test("the second load asks the network for nothing, and answers the same", async ({ page }) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const first = await load(page);
  const second = await load(page);
  expect(second).toEqual(first);
  expect(first).toMatchObject({ text: expect.any(String), sha256: [sha256(TINY)], warnings: [] });
  expect(first.stored).toEqual([
    {
      urls: [`${server.url}${MODEL}`],
      complete: true,
      sha256: [sha256(TINY)],
      fileBytes: TINY.length,
      storedBytes: expect.any(Number),
    },
  ]);
  expect(first.stored[0]?.storedBytes).toBeGreaterThan(1.5 * TINY.length);
  expect(server.requests).toHaveLength(1);
});

test("every kind of source loads the same model", async ({ page }) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const seen = await page.evaluate(async (source) => {
    const bytes = async () => (await fetch(source)).arrayBuffer();
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("mine.gguf", { create: true });
    const writable = await handle.createWritable();
    await writable.write(await bytes());
    await writable.close();
    const whole = new Uint8Array(await bytes());
    let at = 0;
    const sources: Record<string, Tallow.ModelSource> = {
      string: source,
      URL: new URL(source, location.href),
      "list of URLs": [source],
      File: new File([await bytes()], "mine.gguf"),
      Blob: new Blob([await bytes()]),
      ArrayBuffer: await bytes(),
      "body of an answer": (await fetch(source)).body as ReadableStream<Uint8Array>,
      "stream of odd chunks": new ReadableStream({
        pull(controller) {
          controller.enqueue(whole.subarray(at, (at += 99_999)));
          if (at >= whole.length) controller.close();
        },
      }),
      FileSystemFileHandle: handle,
    };
    const seen: [string, string | undefined, readonly string[], string | undefined][] = [];
    for (const [kind, source] of Object.entries(sources)) {
      const again = source instanceof ReadableStream ? undefined : await tallow.inspect(source);
      const model = await tallow.loadModel(source);
      const body = { prompt: "abc", max_tokens: 4, temperature: 0, ignore_eos: true };
      const answer = await model.completions.create(body);
      seen.push([kind, answer.choices[0]?.text, model.info.sha256, again?.architecture]);
      await model.dispose();
    }
    return { seen, kept: [whole.length, (sources["ArrayBuffer"] as ArrayBuffer).byteLength] };
  }, MODEL);
  const [first] = seen.seen;
  for (const [kind, text, digests, architecture] of seen.seen) {
    expect([text, digests], kind).toEqual([first?.[1], [sha256(TINY)]]);
    if (!/stream|body/.test(kind)) expect(architecture, kind).toBe("llama");
  }
  expect(seen.seen).toHaveLength(9);
  // What was the page's still is.
  expect(seen.kept).toEqual([TINY.length, TINY.length]);
});

test("packed weights of another layout are made anew from the file", async ({ page }) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const first = await load(page);
  /** The layout in the record; `add` is added to it first. */
  const layout = (add: number) =>
    page.evaluate(async (add) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("tallow");
      const layouts: number[] = [];
      for await (const handle of folder.values()) {
        if (!(handle instanceof FileSystemFileHandle) || !/[.]json_[01]$/.test(handle.name)) continue;
        const text = (await (await handle.getFile()).text()).slice(8);
        const changed = text.replace(/"layout":(\d+)/, (_, layout) => {
          layouts.push(Number(layout));
          return `"layout":${Number(layout) + add}`;
        });
        // The checksum before it is FNV-1a.
        let hash = 0x811c9dc5;
        for (const byte of new TextEncoder().encode(changed)) hash = Math.imul(hash ^ byte, 0x01000193);
        const writable = await handle.createWritable();
        await writable.write((hash >>> 0).toString(16).padStart(8, "0") + changed);
        await writable.close();
      }
      return layouts;
    }, add);
  const [current] = await layout(1);
  expect(current).toEqual(expect.any(Number));
  expect(await load(page)).toEqual(first);
  // The newer of the two records has it again.
  expect(await layout(0)).toContain(current);
  expect(await load(page)).toEqual(first);
  expect(server.requests).toHaveLength(1);
});

test("a model that is being loaded is deleted after that", async ({ page, context }) => {
  await using server = await serveModel(TINY, [{ drip: { bytes: 50_000, ms: 50 } }]);
  const second = await context.newPage();
  await openPackage(page, server.url);
  await openPackage(second, server.url);
  const loading = page.evaluate(async (source) => {
    const model = await tallow.loadModel(source);
    await model.dispose();
  }, MODEL);
  await expect.poll(() => server.requests.length).toBe(1);
  const deleted = await second.evaluate(async (source) => {
    await tallow.cache.delete(source);
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("tallow");
    const names: string[] = [];
    for await (const name of folder.keys()) names.push(name);
    return names.filter((name) => name !== "_probe");
  }, MODEL);
  await loading;
  expect(deleted).toEqual([]);
  expect(await load(page)).toMatchObject({ text: expect.any(String), stored: [{ complete: true }] });
  expect(server.requests).toHaveLength(2);
});

test("cache: false stores nothing", async ({ page }) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  expect(await load(page, { cache: false })).toMatchObject({ warnings: [], stored: [] });
});

for (const how of ["flip", "cut"] as const) {
  test(`packed weights that were damaged (${how}) are made anew from the file`, async ({ page }) => {
    await using server = await serveModel(TINY);
    await openPackage(page, server.url);
    const first = await load(page);
    expect(await damage(page, ".packed", how)).toBe(1);
    expect(await load(page)).toEqual(first);
    expect(await load(page)).toEqual(first);
    expect(server.requests).toHaveLength(1);
  });

  test(`a file that was damaged (${how}) is fetched again`, async ({ page }) => {
    await using server = await serveModel(TINY);
    await openPackage(page, server.url);
    const first = await load(page);
    expect(await damage(page, ".gguf", how)).toBe(1);
    await damage(page, ".packed", how);
    expect(await load(page)).toEqual(first);
    expect(server.requests).toHaveLength(2);
  });
}

test("a file that was cut behind its header is fetched again, though the packed weights are whole", async ({
  page,
}) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const first = await load(page);
  expect(await damage(page, ".gguf", "cut")).toBe(1);
  expect(await load(page)).toEqual(first);
  expect(server.requests).toHaveLength(2);
});

test("a file with another SHA-256 than asked for is refused, and nothing is kept", async ({ page }) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const wrong = sha256(Buffer.from("another"));
  const refused = await load(page, { sha256: wrong });
  expect(refused).toMatchObject({
    error: `integrity_error: \`${server.url}${MODEL}\` should have the SHA-256 ${wrong}, but has ${sha256(TINY)}`,
  });
  expect(refused.stored).toEqual([]);
  expect(await load(page, { sha256: sha256(TINY) })).toMatchObject({ text: expect.any(String) });
  // What is stored is another one's then, and is fetched again.
  expect(await load(page, { sha256: wrong })).toMatchObject({
    error: expect.stringMatching(/^integrity_error/),
  });
  expect(server.requests).toHaveLength(3);
});

test("a file that takes the place of another, by its SHA-256, is stored packed as well", async ({ page }) => {
  const other = golden("../golden/tiny/tiny-Q8_0.gguf");
  await using server = await serveModel(TINY, [{}, { file: other, headers: { ETag: '"2"' } }]);
  await openPackage(page, server.url);
  await load(page);
  const sizes = [];
  for (const sha of [sha256(other), sha256(other), undefined]) {
    const { warnings, stored } = await load(page, { sha256: sha });
    expect(warnings).toEqual([]);
    expect(stored).toMatchObject([{ complete: true, sha256: [sha256(other)], fileBytes: other.length }]);
    sizes.push(stored[0]?.storedBytes);
  }
  expect(sizes[0]).toBeGreaterThan(1.5 * other.length);
  expect(sizes).toEqual(Array(3).fill(sizes[0]));
  expect(server.requests).toHaveLength(2);
});

test("a connection that breaks off is gone on with, by range", async ({ page }) => {
  await using server = await serveModel(TINY, [
    { cut: 200_000, linger: 500 },
    { stall: 1, cut: 100_000 },
  ]);
  await openPackage(page, server.url);
  expect(await load(page)).toMatchObject({ text: expect.any(String), warnings: [] });
  expect(server.requests.map(({ headers }) => headers["if-range"])).toEqual([undefined, '"1"', '"1"']);
  // A browser may drop the last of what came before a connection broke.
  const offsets = server.requests.map(({ headers }) => Number(/\d+/.exec(headers.range ?? "0")?.[0]));
  expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  expect(offsets[1]).toBeGreaterThan(0);
});

test("a download that failed is gone on with by the next load, of the same version only", async ({
  page,
}) => {
  const missing = { status: 404 };
  await using server = await serveModel(TINY, [
    { cut: 200_000, linger: 500 },
    missing,
    {},
    { cut: 250_000, linger: 500 },
    missing,
  ]);
  await openPackage(page, server.url);
  const failed = await load(page);
  expect(failed).toMatchObject({ error: expect.stringMatching(/^download_failed: .*404/) });
  expect(failed.stored).toMatchObject([{ complete: false, fileBytes: expect.any(Number), sha256: null }]);
  const kept = failed.stored[0]?.fileBytes ?? 0;
  expect(kept).toBeGreaterThan(0);
  const whole = await load(page);
  expect(whole.stored).toMatchObject([{ complete: true, sha256: [sha256(TINY)] }]);
  expect(server.requests[2]?.headers.range).toBe(`bytes=${kept}-`);

  await page.evaluate((source) => tallow.cache.delete(source), MODEL);
  expect(await page.evaluate(() => tallow.cache.list())).toEqual([]);
  await load(page);
  expect(server.requests[3]?.headers.range).toBe(undefined);
});

test("a file that changed on its server is loaded from its beginning", async ({ page }) => {
  const other = golden("../golden/tiny/tiny-Q8_0.gguf");
  const changed = { file: other, headers: { ETag: '"2"' } };
  await using server = await serveModel(TINY, [{ cut: 200_000, linger: 500 }, changed, changed]);
  await openPackage(page, server.url);
  expect(await load(page)).toMatchObject({ stored: [{ sha256: [sha256(other)], fileBytes: other.length }] });
});

test("a browser that is killed in mid-download goes on where it was", async () => {
  const profile = await mkdtemp(join(tmpdir(), "tallow-"));
  const bytes = 12 << 20;
  await using server = await serveModel(DEFAULT, [{ stall: bytes }]);
  const { use } = test.info().project;
  const launch = () => chromium.launchPersistentContext(profile, { ...use.launchOptions, headless: true });

  const killed = await launch();
  const page = await killed.newPage();
  await openPackage(page, server.url);
  void page
    .evaluate(async (source) => {
      await tallow.loadModel(source);
    }, MODEL)
    .catch(() => {});
  await expect
    .poll(() => page.evaluate(async () => (await tallow.cache.list())[0]?.fileBytes ?? 0))
    .toBe(bytes);
  const client = await killed.browser()?.newBrowserCDPSession();
  const { processInfo } = (await client?.send("SystemInfo.getProcessInfo")) ?? { processInfo: [] };
  const browser = processInfo.find(({ type }) => type === "browser");
  process.kill(browser?.id ?? 0, "SIGKILL");
  await new Promise((resolve) => killed.once("close", resolve));

  const context = await launch();
  const again = await context.newPage();
  await openPackage(again, server.url);
  expect(await load(again)).toMatchObject({
    text: expect.any(String),
    stored: [{ complete: true, sha256: [sha256(DEFAULT)] }],
  });
  expect(server.requests[1]?.headers.range).toBe(`bytes=${bytes}-`);
  await context.close();
  await rm(profile, { recursive: true, force: true });
});

test("two tabs that load the same model share one download", async ({ page, context }) => {
  await using server = await serveModel(TINY, [{ drip: { bytes: 50_000, ms: 50 } }]);
  const second = await context.newPage();
  await openPackage(page, server.url);
  await openPackage(second, server.url);
  const outcomes = await Promise.all([load(page), load(second)]);
  expect(outcomes[0].text).toBe(outcomes[1].text);
  expect(outcomes[0].text).toEqual(expect.any(String));
  expect(server.requests).toHaveLength(1);
});

test("a tab that is closed in mid-download hands it on to the one that waits", async ({ page, context }) => {
  await using server = await serveModel(DEFAULT, [{ stall: 9 << 20 }]);
  const second = await context.newPage();
  await openPackage(page, server.url);
  await openPackage(second, server.url);
  void load(page).catch(() => {});
  await expect.poll(() => server.requests.length).toBe(1);
  const waiting = load(second);
  await expect
    .poll(() => second.evaluate(async () => (await tallow.cache.list())[0]?.fileBytes ?? 0))
    .toBe(9 << 20);
  await page.close();
  expect(await waiting).toMatchObject({ text: expect.any(String), stored: [{ complete: true }] });
  expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${9 << 20}-`]);
});

test("without room in storage a model loads all the same, and the page is told", async ({
  page,
  context,
}) => {
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const client = await context.newCDPSession(page);
  await client.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 100_000 });
  const outcome = await load(page);
  expect(outcome).toMatchObject({
    text: expect.any(String),
    warnings: [expect.stringMatching(/^storage_failed: the model is not cached: .*could not be written/)],
  });
});

for (const kind of ["the file system", "the Cache API"]) {
  test(`with room for the file alone in ${kind}, the file is stored`, async ({ page, context }) => {
    if (kind === "the Cache API") await withoutFileSystem(page);
    await using server = await serveModel(DEFAULT);
    await openPackage(page, server.url);
    const client = await context.newCDPSession(page);
    const quotaSize = Math.round(1.5 * DEFAULT.length);
    await client.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize });
    for (const requests of [1, 1]) {
      const outcome = await load(page);
      expect(outcome).toMatchObject({ text: expect.any(String), warnings: [], stored: [{ complete: true }] });
      expect(server.requests).toHaveLength(requests);
    }
    // As full as it is, it has no room for what has none, and keeps what it has.
    await client.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 1000 });
    const outcome = await load(page);
    expect(outcome).toMatchObject({ text: expect.any(String), warnings: [], stored: [{ complete: true }] });
    expect(server.requests).toHaveLength(1);
    expect(await page.evaluate(() => caches.keys())).toEqual(kind === "the Cache API" ? ["tallow"] : []);
  });
}

test("without storage a model loads all the same, and the page is told", async ({ page }) => {
  await page.addInitScript(() => {
    // As in private windows of some browsers; workers are told by the rule below.
    Object.defineProperty(navigator, "storage", { value: undefined });
  });
  await page.context().route("**/*.js", async (route) => {
    const response = await route.fetch();
    const refuse =
      "for (const name of ['storage']) Object.defineProperty(navigator, name, { value: undefined });" +
      "delete globalThis.caches; Object.defineProperty(globalThis, 'caches', { value: undefined });";
    const body = route.request().url().endsWith("/worker.js") ? refuse + (await response.text()) : undefined;
    await route.fulfill({ response, ...(body !== undefined && { body }) });
  });
  await using server = await serveModel(TINY);
  await openPackage(page, server.url);
  const outcome = await page.evaluate(async (source) => {
    const warnings: string[] = [];
    const model = await tallow.loadModel(source, { onWarning: ({ message }) => warnings.push(message) });
    await model.dispose();
    return { warnings, memory: model.info.memory };
  }, MODEL);
  expect(outcome.warnings).toEqual([expect.stringMatching(/^the model is not cached: /)]);
});

test("inspect reads the header alone", async ({ page }) => {
  await using server = await serveModel(DEFAULT, [{ drip: { bytes: 1 << 20, ms: 20 } }]);
  await openPackage(page, server.url);
  const found = await page.evaluate(async (source) => {
    const good = await tallow.inspect(source, { contextLength: 2048 });
    const file = new Blob([await (await fetch(source)).arrayBuffer()]);
    const long = await tallow.inspect(file, { contextLength: 100_000 });
    const none = await tallow.inspect(new Blob(["no model at all"])).catch(({ code }) => code as string);
    return { good, long: long.problem, none };
  }, MODEL);
  expect(found.good).toMatchObject({
    architecture: "llama",
    parameters: 134_515_008,
    license: "apache-2.0",
    fileBytes: DEFAULT.length,
    contextLength: 2048,
    memory: { weights: expect.any(Number), kvCache: 2 * 30 * 3 * 64 * 2 * 2048, rest: expect.any(Number) },
    problem: null,
  });
  expect(found.long).toEqual({
    code: "invalid_request",
    message: "the context length should be in 1..=8192, got 100000",
  });
  expect(found.none).toBe("invalid_model");
  expect(server.requests[0]?.broken).toBe(true);
});

test("a context that the model has not is refused by its header", async ({ page }) => {
  await using server = await serveModel(DEFAULT, [{ stall: 4 << 20 }]);
  await openPackage(page, server.url);
  expect(await load(page, { contextLength: 100_000 })).toMatchObject({
    error: "invalid_request: the context length should be in 1..=8192, got 100000",
  });
});
