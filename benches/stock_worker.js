/** Stock Candle in a worker: loads a model, then computes a prompt and greedy tokens after it, and times both. */

import init, { Model } from "/stock_candle/stock_candle.js";

/** @type {Model} */
let model;

const methods = {
  /** @param {{ url: string }} params */
  async load({ url }) {
    await init({ module_or_path: "/stock_candle/optimized.wasm" });
    const response = await fetch(url);
    if (!response.ok) throw new Error(`\`${url}\` was answered with status ${response.status}`);
    model = Model.load(new Uint8Array(await response.arrayBuffer()));
  },

  /**
   * In Tallow's accounting: the first token is drawn from the prompt's logits, so that `max_tokens` of them take one
   * pass less.
   * @param {{ prompt: Uint32Array, max_tokens: number }} params
   */
  run({ prompt, max_tokens }) {
    const start = performance.now();
    const ids = [model.forward(prompt, 0)];
    const prefilled = performance.now();
    for (let pos = prompt.length; ids.length < max_tokens; pos++)
      ids.push(model.forward(Uint32Array.of(ids[ids.length - 1]), pos));
    const end = performance.now();
    return {
      ids: Uint32Array.from(ids),
      timings: {
        prompt_n: prompt.length,
        prompt_ms: prefilled - start,
        predicted_n: ids.length,
        predicted_ms: end - prefilled,
      },
    };
  },
};

addEventListener("message", async ({ data: { method, params } }) => {
  try {
    postMessage({ result: await methods[method](params) });
  } catch (error) {
    postMessage({ error: `${error}` });
  }
});
