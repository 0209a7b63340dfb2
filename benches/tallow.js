/** Tallow, through the public API of the built package. */

import { loadModel } from "/tallow/index.js";

/** @typedef {import("./page.js").Engine} Engine */

/**
 * Loads a model into one of the two modules.
 * @param {{ url: string, n_ctx: number, module: import("tallow").WasmModuleName, wasm?: string, threads?: number }} options
 * @returns {Promise<Engine & { model: import("tallow").Model }>}
 */
export async function load({ url, n_ctx, module, wasm = `/tallow/wasm/${module}.wasm`, threads }) {
  const model = await loadModel(url, {
    contextLength: n_ctx,
    wasmUrl: wasm,
    ...(threads && { threads }),
  });
  const { info } = model;
  if (info.module !== module) throw new Error(`the module should be \`${module}\`, got \`${info.module}\``);
  if (threads && "threads" in info && info.threads !== threads)
    throw new Error(`there should be ${threads} threads, got ${info.threads}`);
  return {
    model,
    memory: info.memory,
    async run(prompt, max_tokens, { cache_prompt = false } = {}) {
      const { choices, timings } = await model.completions.create({
        prompt: prompt.text,
        max_tokens,
        temperature: 0,
        ignore_eos: true,
        cache_prompt,
      });
      return { timings, answer: choices[0].text };
    },
  };
}

/** Whether this build takes the option `threads`. One that does not refuses it before it looks at anything else. */
export async function takesThreads() {
  const signal = AbortSignal.abort();
  try {
    await loadModel(location.href, { threads: 1, signal });
  } catch (error) {
    return error === signal.reason;
  }
  return true;
}
