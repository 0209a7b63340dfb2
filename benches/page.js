/** The page that the benchmark drives: all engines loaded at once, each in its own worker, one running at a time. */

import { loadModel } from "/tallow/index.js";

/**
 * What one run took, in Tallow's `timings`, and the text that was generated.
 * @typedef {{ timings: import("tallow").Timings, text: string }} Run
 * @typedef {{ run(prompt: string, max_tokens: number): Promise<Run>, loadMs: number }} Engine
 */

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";

/** @type {(module: import("tallow").WasmModuleName) => Promise<Engine & { model: import("tallow").Model }>} */
async function tallow(module) {
  const start = performance.now();
  const model = await loadModel(MODEL, { wasmUrl: `/tallow/wasm/${module}.wasm` });
  const loadMs = performance.now() - start;
  if (model.info.module !== module)
    throw new Error(`the module should be \`${module}\`, got \`${model.info.module}\``);
  return {
    model,
    loadMs,
    async run(prompt, max_tokens) {
      const { choices, timings } = await model.completions.create({
        prompt,
        max_tokens,
        temperature: 0,
        ignore_eos: true,
        cache_prompt: false,
      });
      return { timings, text: choices[0].text };
    },
  };
}

/**
 * Stock Candle knows no text; `tokens` is the model that turns it into ids and back.
 * @type {(tokens: import("tallow").Model) => Promise<Engine>}
 */
async function stock(tokens) {
  const worker = new Worker("stock_worker.js", { type: "module" });
  const call = (method, params) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) =>
        "error" in data ? reject(new Error(data.error)) : resolve(data.result);
      worker.onerror = (event) => reject(new Error(event.message || "stock_worker.js could not be loaded"));
      worker.postMessage({ method, params });
    });
  const start = performance.now();
  await call("load", { url: MODEL });
  const loadMs = performance.now() - start;
  return {
    loadMs,
    async run(prompt, max_tokens) {
      const ids = await tokens.tokenize(prompt, { addSpecial: true });
      const run = await call("run", { prompt: ids, max_tokens });
      return { timings: run.timings, text: await tokens.detokenize(run.ids) };
    },
  };
}

/** Loads one engine after the other, and cuts `text` to the prompt of `n_prompt` tokens that all of them get. */
globalThis.prepare = async (text, n_prompt) => {
  const relaxed = await tallow("relaxed");
  const simd128 = await tallow("simd128");
  const { model } = relaxed;
  globalThis.engines = { relaxed, simd128, stock: await stock(model) };

  const prompt = await model.detokenize((await model.tokenize(text)).slice(0, n_prompt));
  const { length } = await model.tokenize(prompt, { addSpecial: true });
  if (length !== n_prompt) throw new Error(`the prompt should have ${n_prompt} tokens, got ${length}`);
  const loadMs = Object.entries(globalThis.engines).map(([name, engine]) => [name, engine.loadMs]);
  return { prompt, model: model.info.name, loadMs: Object.fromEntries(loadMs) };
};
