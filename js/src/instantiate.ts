/** Starts the wasm: fetches and compiles the module, makes its memory, hands both to the glue. */

import { TallowError } from "./errors.js";
import type { SharedWasm } from "./threads.js";
import { importedMemory } from "./wasm-memory.js";
import type { WasmGlue } from "./wasm-contract.js";
import { fetchModule } from "./worker-platform.js";

/** Bytes of a page. */
const PAGE = 65536;
/** Pages in 4, 2 and 1 GiB. */
const MAXIMA = [65536, 32768, 16384];

/** Instantiates the module at `url`, once in a worker's life. */
export async function startWasm(glue: WasmGlue, url: string): Promise<SharedWasm & { memoryLimit: number }> {
  // A bundler may have put all of it into a `data:` URL.
  const shown = url.length > 200 ? `${url.slice(0, 200)}…` : url;
  const failure = (detail: string, cause?: unknown) =>
    new TallowError("download_failed", `the wasm module \`${shown}\` ${detail}`, { cause });

  const response = await fetchModule(url).catch((cause: unknown) => {
    throw failure("could not be fetched", cause);
  });
  if (!response.ok)
    throw failure(`was answered with status ${response.status} ${response.statusText}`.trimEnd());
  const bytes = response.clone().arrayBuffer();
  // What breaks off does so for both.
  bytes.catch(() => {});
  const module = await compile(response, bytes).catch((cause: unknown) => {
    throw failure("could not be compiled", cause);
  });

  const { memory, memoryLimit } = allocate(new Uint8Array(await bytes));
  await glue.default({ module_or_path: module, memory });
  return { module, memory, memoryLimit };
}

/** Browsers keep compiled code only of modules that were compiled while streaming, which needs the MIME type. */
async function compile(response: Response, bytes: Promise<ArrayBuffer>): Promise<WebAssembly.Module> {
  if (response.headers.get("content-type") === "application/wasm")
    return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await bytes);
}

/**
 * The shared memory that a module imports. Its maximum is reserved at once, which iOS refuses at 4 GiB, so that it may
 * be below the module's own.
 */
function allocate(module: Uint8Array): { memory: WebAssembly.Memory; memoryLimit: number } {
  const { initial, maximum } = importedMemory(module);
  let refusal: unknown;
  for (const limit of MAXIMA) {
    const pages = Math.min(limit, maximum);
    try {
      const memory = new WebAssembly.Memory({ initial, maximum: pages, shared: true });
      return { memory, memoryLimit: pages * PAGE };
    } catch (error) {
      refusal = error;
    }
  }
  throw new TallowError("out_of_memory", "the browser refused a memory of 1 GiB", { cause: refusal });
}
