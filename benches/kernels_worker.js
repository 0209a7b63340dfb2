/** Measures the loops of one module. */

/** @type {(message: { loops: import("./kernels.js").Loops, tokens: number[], milliseconds: number }) => Promise<import("./kernels.js").Speeds>} */
async function measure({ loops, tokens, milliseconds }) {
  if (loops === "ggml") {
    const stock = await import("/stock_candle/stock_candle.js");
    await stock.default({ module_or_path: "/stock_candle/optimized.wasm" });
    const loop = new stock.GgmlLoop();
    return { Q4_0: { 1: best(() => loop.run(), milliseconds) } };
  }
  const { capabilities } = await import("/tallow/index.js");
  const tallow = await import("/tallow/wasm/tallow.js");
  await tallow.default({ module_or_path: `/tallow/wasm/${loops}.wasm` });
  const { relaxedDot } = capabilities();
  if (relaxedDot) tallow.chooseRelaxedDot(relaxedDot);
  return Object.fromEntries(
    tallow
      .kernelTypes()
      .map((type) => [
        type,
        Object.fromEntries(tokens.map((n) => [n, tallow.measureKernel(type, n, milliseconds)])),
      ]),
  );
}

/**
 * @param {() => number} run tells how many products it made
 * @param {number} milliseconds
 */
function best(run, milliseconds) {
  let speed = 0;
  for (const begun = performance.now(); performance.now() - begun < milliseconds;) {
    const start = performance.now();
    const products = run() + run() + run() + run();
    speed = Math.max(speed, products / (performance.now() - start) / 1e6);
  }
  return speed;
}

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ speeds: await measure(data) });
  } catch (error) {
    postMessage({ error: `${error}` });
  }
});
