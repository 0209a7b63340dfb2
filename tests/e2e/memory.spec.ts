/** Memory while models load and after they are gone; what memory does not hold. */

import { expect, test, type BrowserContext, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import type * as Tallow from "tallow";
import { DEFAULT, MODEL, TINY, load, openPackage, serveModel } from "./loading.js";

test("a model that memory cannot hold is refused by its header, and a smaller one loads after it", async ({
  page,
}) => {
  // The default model, were it trained on 2^30 tokens: a KV cache of 24 TB.
  const giant = Buffer.from(DEFAULT);
  const key = "llama.context_length";
  const valueAt = giant.indexOf(key) + key.length + 4;
  expect(giant.readUInt32LE(valueAt)).toBe(8192);
  giant.writeUInt32LE(2 ** 30, valueAt);
  await using server = await serveModel(giant, [{ stall: 4 << 20 }, { file: TINY }]);
  await openPackage(page, server.url);
  const kvCache = 2 * 30 * 3 * 64 * 2 * 2 ** 30;
  const refused = await load(page, { contextLength: 2 ** 30 });
  expect(refused.error).toMatch(
    new RegExp(
      `^out_of_memory: the model needs \\d+ bytes \\(\\d+ for its weights, ${kvCache} for the KV cache .*\\), ` +
        "but there can be only 4294967296; \\d+ of at most 4294967296 bytes are in use$",
    ),
  );
  await page.evaluate(() => tallow.cache.delete());
  expect(await load(page)).toMatchObject({ text: expect.any(String), warnings: [] });
  expect(server.requests).toHaveLength(2);
});

/** Bytes that the browser's processes of pages and workers have to themselves or share in parts. */
async function renderersMemory(context: BrowserContext): Promise<number> {
  const client = await context.browser()?.newBrowserCDPSession();
  const { processInfo } = (await client?.send("SystemInfo.getProcessInfo")) ?? { processInfo: [] };
  await client?.detach();
  const renderers = processInfo.filter(({ type }) => type === "renderer");
  expect(renderers.length).toBeGreaterThan(0);
  const kilobytes = renderers.map(({ id }) => {
    const rollup = readFileSync(`/proc/${id}/smaps_rollup`, "utf8");
    return Number(/^Pss: +(\d+) kB$/m.exec(rollup)?.[1]);
  });
  return 1024 * kilobytes.reduce((sum, each) => sum + each, 0);
}

test("memory while loading is the packed model and little more, and ten rounds leave no growth", async ({
  page,
  context,
}) => {
  await using server = await serveModel(DEFAULT);
  await openPackage(page, server.url);
  const client = await context.newCDPSession(page);
  const need = await page.evaluate(async (source) => (await tallow.inspect(source)).memory, MODEL);
  const weights = need?.weights ?? 0;
  const settled = async () => {
    await client.send("HeapProfiler.collectGarbage");
    return renderersMemory(context);
  };
  let first = 0;
  for (let round = 0; round < 10; round++) {
    const { memory, threads } = await page.evaluate(async (source) => {
      const model = await tallow.loadModel(source);
      await model.completions.create({ prompt: "abc", max_tokens: 2, ignore_eos: true });
      await model.dispose();
      return model.info;
    }, MODEL);
    expect(memory).toBeGreaterThan(weights);
    expect(memory).toBeLessThan(weights + (32 << 20));
    // Besides the weights there are 12 to 14 MB with one thread, and for each other one 2 MiB at most. A second copy of the
    // tied head would be 30 MB as it is packed, and 18 MB with 4 bits a weight.
    console.log(`memory: ${memory - weights} bytes besides the weights, ${threads} threads`);
    expect(memory - weights).toBeLessThan((16 << 20) + (threads - 1) * (2 << 20));
    // The first round leaves what a browser makes once, such as compiled code; a worker's end takes a moment.
    if (round === 0) {
      await page.waitForTimeout(3000);
      first = await settled();
      expect(first).toBeLessThan(weights + (200 << 20));
    }
    // Nine engines would be a gigabyte; what grows by 4 MB each time is found as well.
    await expect.poll(settled, { timeout: 30_000 }).toBeLessThan(first + (32 << 20));
  }
  const { usedSize, backingStorageSize = 0 } = await client.send("Runtime.getHeapUsage");
  expect(usedSize + backingStorageSize).toBeLessThan(20 << 20);
});

/** Lets the engine's memory grow to so many bytes and no further, whatever it asks for: what comes then fails in the wasm. */
async function limitMemory(page: Page, bytes: number): Promise<void> {
  const hook =
    "{ const { Memory } = WebAssembly; WebAssembly.Memory = function (limits) { return new Memory({ ...limits, " +
    `maximum: Math.max(limits.initial, ${Math.floor(bytes / 65536)}) }); }; }`;
  await page.context().route("**/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: hook + (await response.text()) });
  });
}

for (const threads of [1, 2]) {
  test(`memory that runs out anywhere is out_of_memory, and the page and a smaller model still work: threads: ${threads}`, async ({
    page,
  }) => {
    await using server = await serveModel(DEFAULT);
    await openPackage(page, server.url);
    // From what the program alone has, by way of the header, the weights and the KV cache, to what is enough.
    const seen = new Set<string>();
    for (const mebibytes of [
      10, 12, 14, 16, 18, 20, 24, 32, 64, 100, 110, 114, 116, 118, 120, 122, 126, 136, 400,
    ]) {
      await limitMemory(page, mebibytes << 20);
      const outcome = await page.evaluate(
        async ([source, threads]) => {
          const prompt = "A candle burns. ".repeat(220);
          const options = { threads, contextLength: 2048 };
          try {
            const model = await tallow.loadModel(source, options);
            try {
              await model.completions.create({ prompt, max_tokens: 1, ignore_eos: true });
              return "enough";
            } finally {
              await model.dispose();
            }
          } catch (error) {
            const { code, message } = error as Tallow.TallowError;
            return `${code}: ${message}`;
          }
        },
        [MODEL, threads] as const,
      );
      if (outcome !== "enough")
        expect(outcome, `${mebibytes} MiB`).toMatch(
          /^out_of_memory: .*\d+ bytes.*; \d+ of at most \d+ bytes are in use$/,
        );
      // What had come by then is gone on with.
      if (mebibytes === 64) {
        const stored = await page.evaluate(() => tallow.cache.list());
        expect(stored[0]).toMatchObject({ complete: false, fileBytes: expect.any(Number) });
        expect(stored[0]?.fileBytes).toBeGreaterThan(20 << 20);
      }
      seen.add(outcome.replace(/\d+/g, "N").replace(/`.*`/, "`…`"));
      await page.context().unroute("**/worker.js");
    }
    expect(seen).toContain("enough");
    expect(seen.size).toBeGreaterThan(2);

    await limitMemory(page, 24 << 20);
    const small = await page.evaluate(async (bytes) => {
      const model = await tallow.loadModel(Uint8Array.from(bytes).buffer);
      const answer = await model.completions.create({ prompt: "abc", max_tokens: 4, ignore_eos: true });
      await model.dispose();
      return answer.usage.completion_tokens;
    }, Array.from(TINY));
    expect(small).toBe(4);
  });
}
