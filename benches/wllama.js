/** wllama: llama.cpp in wasm, as its package is published. */

import { LoggerWithoutDebug, Wllama } from "/wllama/index.js";

/** @typedef {import("./page.js").Engine} Engine */

/**
 * Loads a model.
 * @param {{ url: string, n_ctx: number, threads: number }} options
 * @returns {Promise<Engine>}
 */
export async function load({ url, n_ctx, threads }) {
  const wllama = new Wllama(
    { default: "/wllama/wasm/wllama.wasm" },
    { suppressNativeLog: true, logger: { ...LoggerWithoutDebug, log() {} } },
  );
  wllama.setCompat(null);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`\`${url}\` was answered with status ${response.status}`);
  await wllama.loadModel([await response.blob()], {
    n_ctx,
    n_threads: threads,
    n_gpu_layers: 0,
    n_parallel: 1,
  });
  if (wllama.getNumThreads() !== threads)
    throw new Error(`there should be ${threads} threads, got ${wllama.getNumThreads()}`);
  return {
    async run(prompt, max_tokens) {
      const { choices, timings } = await wllama.createCompletion({
        prompt: prompt.text,
        max_tokens,
        // The cheapest way to choose a token: nothing but the likeliest is looked at.
        temperature: 0,
        samplers: ["top_k"],
        top_k: 1,
        ignore_eos: true,
        cache_prompt: false,
      });
      return { timings, answer: choices[0].text };
    },
  };
}
