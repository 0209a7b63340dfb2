/** The compute worker's script. */

import { join, type Join } from "./threads.js";
import type { WasmGlue } from "./wasm-contract.js";
import * as generated from "./wasm/tallow.js";

const glue: WasmGlue = generated;

addEventListener(
  "message",
  ({ data }: MessageEvent<Join>) => void join(glue, data, (joined) => postMessage(joined)),
);
