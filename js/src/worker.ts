/** The worker's script: the wasm glue, where the modules lie, and the server of the page's calls. */

import { startWasm } from "./instantiate.js";
import { serve, type WorkerScope } from "./serve.js";
import type { WasmGlue } from "./wasm-contract.js";
import * as generated from "./wasm/tallow.js";

const glue: WasmGlue = generated;

// Bundlers look for exactly these expressions.
const MODULES = {
  relaxed: new URL("./wasm/relaxed.wasm", import.meta.url),
  simd128: new URL("./wasm/simd128.wasm", import.meta.url),
};

serve(globalThis as unknown as WorkerScope, glue, (module, wasmUrl) =>
  startWasm(glue, wasmUrl ?? MODULES[module].href),
);
