/**
 * Where the time of decoding goes: `./build.sh profile [OPTION...]`, which builds a module that keeps the names of its
 * functions. README.md says what is measured.
 */

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { withBrowser } from "./browser.js";

/** Microseconds from one sample to the next. */
const INTERVAL = 100;
const WARM_UP = { prompt: 16, tokens: 16, ms: 4000 };

/**
 * Whose a function is: the first of these that its name begins with, behind what `impl` blocks have in front. What is of
 * memory may be for Candle's sake or for ours.
 */
const OWNERS = [
  { owner: "products and attention", crates: ["tallow::kernels"] },
  { owner: "the steps around them", crates: ["tallow::"] },
  { owner: "Candle", crates: ["candle_", "gemm_"] },
  { owner: "memory", crates: ["alloc::", "dlmalloc", "__rustc", "__rust", "memset", "memcpy", "memmove"] },
];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "64" },
    rounds: { type: "string", default: "10" },
    top: { type: "string", default: "20" },
  },
});
const [folder, file = "smollm2-135m-instruct-q4_1.gguf"] = positionals;
const [n_prompt, n_decode, rounds, top] = [values.prompt, values.tokens, values.rounds, values.top].map(
  Number,
);

await withBrowser({ "/named/": folder }, (browser) =>
  browser.withPage(async (call, page) => {
    const text = await readFile(new URL("../LICENSE-APACHE", import.meta.url), "utf8");
    const url = `/models/${file}`;
    const [warmUp, prompt] = await call("prompts", url, text, [WARM_UP.prompt, n_prompt]);
    const profiler = await profilerOfWorkers(page);
    const n_ctx = n_prompt + n_decode + 1;
    await call("load", "tallow", {
      url,
      n_ctx,
      module: "relaxed",
      wasm: "/named/optimized.wasm",
      threads: 1,
    });
    await call("warmUp", warmUp, WARM_UP.tokens, WARM_UP.ms);
    // The prompt stays in the cache: what is profiled is decoding.
    await call("warmUp", prompt, 1, 0);
    await profiler("Profiler.enable");
    await profiler("Profiler.setSamplingInterval", { interval: INTERVAL });
    await profiler("Profiler.start");
    let ms = 0;
    for (let round = 0; round < rounds; round++)
      ms += (await call("continue", prompt, n_decode + 1)).timings.predicted_ms;
    const { profile } = await profiler("Profiler.stop");
    const rate = ((1000 * rounds * n_decode) / ms).toFixed(0);
    console.log(
      `${browser.version}, ${file}, one thread: ${rounds} times ${n_decode} tokens after ${n_prompt},`,
    );
    console.log(`${rate} tokens per second while it was watched\n`);
    print(profile);
  }),
);

/**
 * Sends commands to the worker of a page that begins next, by the browser's debugging protocol.
 * @param {import("@playwright/test").Page} page
 */
async function profilerOfWorkers(page) {
  const session = await page.context().newCDPSession(page);
  /** @type {Map<number, (answer: any) => void>} */
  const asked = new Map();
  /** @type {string} */
  let worker;
  session.on("Target.attachedToTarget", ({ sessionId }) => (worker = sessionId));
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const { id, result, error } = JSON.parse(message);
    asked.get(id)?.(error ? Promise.reject(new Error(error.message)) : result);
  });
  await session.send("Target.setAutoAttach", {
    autoAttach: true,
    waitForDebuggerOnStart: false,
    flatten: false,
  });
  let id = 0;
  return (method, params = {}) =>
    new Promise((resolve) => {
      asked.set(++id, resolve);
      session.send("Target.sendMessageToTarget", {
        sessionId: worker,
        message: JSON.stringify({ id, method, params }),
      });
    });
}

/** Without the hashes of crates. @param {string} name */
function bareName(name) {
  return name.replace(/\[[0-9a-f]{8,16}\]/g, "");
}

/** Prints whose the samples are, and the functions that have most of them. */
function print({ nodes, samples }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, callFrame.functionName]));
  /** @type {Map<string, number>} */
  const byName = new Map();
  let n = 0;
  for (const id of samples) {
    const name = names.get(id) ?? "";
    // Waiting between requests is none of it.
    if (name === "(idle)" || name === "(program)" || name === "(root)") continue;
    byName.set(name, (byName.get(name) ?? 0) + 1);
    n++;
  }
  const share = (count) => `${((100 * count) / n).toFixed(1)} %`.padStart(7);
  const ownerOf = (name) => {
    const bare = bareName(name).replace(/^[<&(]*(?:mut |dyn )*/, "");
    return OWNERS.find(({ crates }) => crates.some((crate) => bare.startsWith(crate)))?.owner ?? "all else";
  };
  for (const owner of [...OWNERS.map(({ owner }) => owner), "all else"]) {
    const own = [...byName].filter(([name]) => ownerOf(name) === owner);
    console.log(`${share(own.reduce((sum, [, count]) => sum + count, 0))}  ${owner}`);
  }
  console.log(`\n${n} samples; the functions that have most:\n`);
  for (const [name, count] of [...byName].sort((a, b) => b[1] - a[1]).slice(0, top))
    console.log(`${share(count)}  ${bareName(name).slice(0, 150)}`);
}
