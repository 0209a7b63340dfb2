/** The page that the benchmark drives. It holds one engine with one model, or measures the memory. */

import { bandwidth } from "./bandwidth.js";
import { kernels } from "./kernels.js";
import { masks } from "./masks_page.js";
import * as stock from "./stock.js";
import * as tallow from "./tallow.js";
import * as wllama from "./wllama.js";

/**
 * A text and its ids, with what the model wants in front of a text.
 * @typedef {{ text: string, ids: number[] }} Prompt
 *
 * What one run took, in Tallow's `timings`, and what was generated: text, or ids from an engine that knows no text.
 * @typedef {Pick<import("tallow").Timings, "prompt_n" | "prompt_ms" | "predicted_n" | "predicted_ms">} Timings
 * @typedef {{ timings: Timings, answer: string | number[] }} Run
 * `memory`: bytes of wasm memory after loading, of an engine that tells them.
 * @typedef {{ memory?: number, run(prompt: Prompt, max_tokens: number, options?: { cache_prompt?: boolean }): Promise<Run> }} Engine
 */

const engines = { stock, tallow, wllama };

/** @type {Engine} */
let engine;

/** Loads the page's engine and tells how long that took. */
async function load(name, options) {
  const start = performance.now();
  engine = await engines[name].load(options);
  return performance.now() - start;
}

/** Runs short prompts for a while, in which the browser compiles what is hot. */
async function warmUp(prompt, max_tokens, ms) {
  const start = performance.now();
  do await engine.run(prompt, max_tokens);
  while (performance.now() - start < ms);
}

/**
 * The beginnings of `text` of so many tokens each, in the vocabulary of a model.
 * @returns {Promise<Prompt[]>}
 */
async function prompts(url, text, lengths) {
  const { model } = await tallow.load({ url, n_ctx: 64, module: "relaxed" });
  const ids = await model.tokenize(text);
  const added = (await model.tokenize("", { addSpecial: true })).length;
  return Promise.all(
    lengths.map(async (length) => {
      const beginning = await model.detokenize(ids.slice(0, length - added));
      const again = Array.from(await model.tokenize(beginning, { addSpecial: true }));
      if (again.length !== length)
        throw new Error(`the prompt should have ${length} tokens, got ${again.length}`);
      return { text: beginning, ids: again };
    }),
  );
}

globalThis.bench = {
  bandwidth,
  /** As `run`, but what the cache has of the prompt is kept. */
  continue: (prompt, max_tokens) => engine.run(prompt, max_tokens, { cache_prompt: true }),
  kernels,
  load,
  masks: (options) => masks(engine.model, options),
  memory: () => engine.memory,
  prompts,
  run: (prompt, max_tokens) => engine.run(prompt, max_tokens),
  takesThreads: tallow.takesThreads,
  warmUp,
};
