/**
 * Races Tallow's two modules against stock Candle in one headless Chromium: `node benches/run.js STOCK`, where `STOCK`
 * is the folder of stock Candle's glue. `build.sh bench` runs it; README.md says what is measured.
 */

import { chromium } from "@playwright/test";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { cpus, loadavg } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { fileHandler } from "../www/serve.js";

/** @typedef {import("./page.js").Run} Run */

const N_PROMPT = 64;
const N_DECODE = 32;
const ROUNDS = 5;
/** In the order of their turns. */
const ENGINES = /** @type {const} */ (["relaxed", "simd128", "stock"]);
const NAMES = { relaxed: "Tallow, relaxed", simd128: "Tallow, simd128", stock: "stock Candle" };

const TEXT = `The lighthouse had stood on the rocks for two hundred years before anyone thought of asking why it was
built so far from the harbour. Ships passed it at night, and their captains wrote its name into their logs, but no
chart explained the second lamp, which was lit only in winter and pointed away from the sea, towards the hills.`;

/** @param {string} path */
const folder = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Serves what the page needs, isolated, on a free port.
 * @param {string} stock the folder of stock Candle's glue
 */
async function serve(stock) {
  /** @type {[string, string][]} */
  const mounts = [
    ["/models/", folder("../models/")],
    ["/tallow/", folder("../js/dist/")],
    ["/stock_candle/", stock],
    ["/", folder("./")],
  ];
  const server = createServer(fileHandler(mounts)).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/**
 * A warm-up and `ROUNDS` rounds, the engines taking turns.
 * @param {import("@playwright/test").Page} page
 * @param {string} prompt
 */
async function race(page, prompt) {
  /** @type {Record<string, Run[]>} */
  const runs = { relaxed: [], simd128: [], stock: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    console.error(round === 0 ? "warm-up" : `round ${round} of ${ROUNDS}`);
    for (const engine of ENGINES) {
      // Of N_DECODE + 1 tokens the first is drawn from the prompt's logits; each other takes a pass.
      const run = await page.evaluate(
        ([engine, prompt, max_tokens]) => globalThis.engines[engine].run(prompt, max_tokens),
        /** @type {const} */ ([engine, prompt, N_DECODE + 1]),
      );
      const { prompt_n, predicted_n } = run.timings;
      if (prompt_n !== N_PROMPT || predicted_n !== N_DECODE + 1)
        throw new Error(
          `${NAMES[engine]} should compute ${N_PROMPT} + ${N_DECODE + 1} tokens, got ${prompt_n} + ${predicted_n}`,
        );
      if (round > 0) runs[engine].push(run);
    }
  }
  return runs;
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Tokens per second in one run.
 * @param {Run} run
 */
const rates = ({ timings }) => ({
  prompt: (1000 * N_PROMPT) / timings.prompt_ms,
  decode: (1000 * N_DECODE) / timings.predicted_ms,
});

/**
 * Medians of an engine's rates, and of their ratios to stock Candle's in the same round: neighbours in time, so that a
 * processor that slows down for a while does so for both.
 * @param {Run[]} runs
 * @param {Run[]} stock
 */
function summary(runs, stock) {
  const rounds = runs.map((run, round) => ({ own: rates(run), stock: rates(stock[round]) }));
  return {
    prompt: median(rounds.map(({ own }) => own.prompt)),
    decode: median(rounds.map(({ own }) => own.decode)),
    promptRatio: median(rounds.map(({ own, stock }) => own.prompt / stock.prompt)),
    decodeRatio: median(rounds.map(({ own, stock }) => own.decode / stock.decode)),
  };
}

/** @param {Record<string, ReturnType<typeof summary>>} engines */
function table(engines) {
  const row = (name, ...cells) => name.padEnd(18) + cells.map((cell) => cell.padStart(14)).join("");
  const lines = Object.entries(engines).map(([engine, { prompt, decode, promptRatio, decodeRatio }]) =>
    row(
      NAMES[engine],
      prompt.toFixed(1),
      decode.toFixed(1),
      `${promptRatio.toFixed(2)} x`,
      `${decodeRatio.toFixed(2)} x`,
    ),
  );
  return [row("", "prompt tok/s", "decode tok/s", "prompt/stock", "decode/stock"), ...lines].join("\n");
}

/** @param {string[]} args */
async function main([stock]) {
  if (!stock) throw new Error("the folder of stock Candle's glue is missing: run `./build.sh bench`");
  const cpu = cpus()[0]?.model.trim() ?? "unknown";
  const loadBefore = loadavg()[0];
  const server = await serve(stock);
  // As in playwright.config.ts.
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    chromiumSandbox: false,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
    await page.waitForFunction(() => "prepare" in globalThis);
    page.on("console", (message) => console.error(message.text()));
    if (!(await page.evaluate(() => crossOriginIsolated)))
      throw new Error("the page should be cross-origin isolated, and is not");

    console.error("loading");
    const { model, prompt, loadMs } = await page.evaluate(
      ([text, n_prompt]) => globalThis.prepare(text, n_prompt),
      /** @type {const} */ ([TEXT, N_PROMPT]),
    );
    const runs = await race(page, prompt);

    const engines = Object.fromEntries(ENGINES.map((engine) => [engine, summary(runs[engine], runs.stock)]));
    const texts = ENGINES.map((engine) => runs[engine][0].text);
    const agree = texts.every((text) => text === texts[0]);
    const about = {
      date: new Date().toISOString(),
      browser: `Chromium ${browser.version()}`,
      cpu,
      load: { before: loadBefore, after: loadavg()[0] },
      model,
    };
    const [before, after] = Object.values(about.load).map((load) => load.toFixed(2));
    console.log(`${about.browser}; ${cpu}; load average ${before} before, ${after} after`);
    console.log(`${model}; prompt ${N_PROMPT} tokens, decode ${N_DECODE}; medians of ${ROUNDS} rounds\n`);
    console.log(table(engines));
    console.log(`\nThe greedy texts ${agree ? "are the same" : "differ"}.`);

    const results = folder("./results/");
    await mkdir(results, { recursive: true });
    const file = `${results}${about.date.slice(0, 10)}.json`;
    const result = { ...about, prompt, n_prompt: N_PROMPT, n_decode: N_DECODE, loadMs, engines, runs };
    await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`);
    console.log(`Every run: ${relative(process.cwd(), file)}`);
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

await main(process.argv.slice(2)).catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
