/** How fast weights of each type are multiplied, in a worker of this page: 10^9 multiply-adds a second, one thread. */

/**
 * @typedef {"relaxed" | "simd128" | "ggml"} Loops Tallow's modules, or llama.cpp's loop in wasm for Q4_0
 * @typedef {Record<string, Record<number, number>>} Speeds by type, then by tokens
 */

/** Tokens that are multiplied at once: decode and prefill. */
export const TOKENS = [1, 32];

/** For each type and number of tokens. */
const MILLISECONDS = 200;

/**
 * @param {Loops} loops
 * @returns {Promise<Speeds>}
 */
export function kernels(loops) {
  const worker = new Worker("kernels_worker.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.speeds));
    worker.onerror = ({ message }) => reject(new Error(message || "kernels_worker.js could not be loaded"));
    worker.postMessage({ loops, tokens: TOKENS, milliseconds: MILLISECONDS });
  }).finally(() => worker.terminate());
}
