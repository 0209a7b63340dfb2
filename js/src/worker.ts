/**
 * The script of both kinds of worker. The engine worker has the wasm, knows where its modules lie and answers the page's
 * calls; compute workers, which it opens, share its memory.
 */

import { startWasm } from "./instantiate.js";
import type { FromWorker, ToWorker } from "./protocol.js";
import { serve } from "./serve.js";
import { compute, startThreads, type Join, type Joined } from "./threads.js";
import type { WasmGlue } from "./wasm-contract.js";
import {
  Inspector,
  Loader,
  Sha256,
  chooseRelaxedDot,
  default as init,
  help,
  layoutVersion,
  lose,
  makePool,
  meet,
  takeRefused,
} from "./wasm/tallow.js";
import { computes, openCompute, scope } from "./worker-platform.js";

// Each by its name: of what is not named the script has nothing.
const glue: WasmGlue = {
  default: init,
  chooseRelaxedDot,
  makePool,
  meet,
  help,
  lose,
  takeRefused,
  layoutVersion,
  Loader,
  Inspector,
  Sha256,
};

// Bundlers look for exactly these expressions.
const MODULES = {
  relaxed: new URL("./wasm/relaxed.wasm", import.meta.url),
  simd128: new URL("./wasm/simd128.wasm", import.meta.url),
};

if (computes) {
  compute(scope<Join, Joined>(), glue);
} else {
  serve(scope<ToWorker, FromWorker>(), glue, async (module, wasmUrl, threads) => {
    const wasm = await startWasm(glue, wasmUrl ?? MODULES[module].href);
    return {
      threads: startThreads(glue, wasm, threads, openCompute),
      limit: wasm.memoryLimit,
      get used() {
        return wasm.memory.buffer.byteLength;
      },
    };
  });
}
