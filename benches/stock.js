/** Stock Candle, in its worker. */

/** @typedef {import("./page.js").Engine} Engine */

/**
 * Loads a model.
 * @param {{ url: string }} options
 * @returns {Promise<Engine>}
 */
export async function load({ url }) {
  const worker = new Worker("stock_worker.js", { type: "module" });
  const call = (method, params) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) =>
        "error" in data ? reject(new Error(data.error)) : resolve(data.result);
      worker.onerror = (event) => reject(new Error(event.message || "stock_worker.js could not be loaded"));
      worker.postMessage({ method, params });
    });
  await call("load", { url });
  return {
    // Stock Candle knows no text: its answer is ids.
    async run(prompt, max_tokens) {
      const { timings, ids } = await call("run", { prompt: Uint32Array.from(prompt.ids), max_tokens });
      return { timings, answer: Array.from(ids) };
    },
  };
}
