/** The engine worker's script: the wasm glue, where modules and compute workers lie, and the server of the page's calls. */

import { startWasm } from "./instantiate.js";
import { serve, type WorkerScope } from "./serve.js";
import { startThreads } from "./threads.js";
import type { WasmGlue } from "./wasm-contract.js";
import * as generated from "./wasm/tallow.js";

const glue: WasmGlue = generated;

// Bundlers look for exactly these expressions.
const MODULES = {
  relaxed: new URL("./wasm/relaxed.wasm", import.meta.url),
  simd128: new URL("./wasm/simd128.wasm", import.meta.url),
};
const openCompute = () => new Worker(new URL("./compute.js", import.meta.url), { type: "module" });

serve(globalThis as unknown as WorkerScope, glue, async (module, wasmUrl, threads) => {
  const wasm = await startWasm(glue, wasmUrl ?? MODULES[module].href);
  await startThreads(glue, wasm, threads, openCompute);
  return {
    limit: wasm.memoryLimit,
    get used() {
      return wasm.memory.buffer.byteLength;
    },
  };
});
