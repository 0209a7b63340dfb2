/** The worker's part of `inspect`: the beginnings of a model's files, as far as their headers go. */

import { download } from "./download.js";
import { restarting } from "./load.js";
import { chunksOf, type WireSource } from "./source.js";
import type { LoaderOptions, WasmGlue, WasmInspection } from "./wasm-contract.js";

/** What the headers of a model's files tell. Of each file no more is read than its header. */
export function inspectSource(
  glue: WasmGlue,
  source: WireSource,
  options: LoaderOptions,
): Promise<WasmInspection> {
  return restarting(async () => {
    const inspector = new glue.Inspector();
    for (const open of openers(source)) {
      for await (const chunk of await open()) if (inspector.push(chunk)) break;
    }
    return JSON.parse(inspector.finish(JSON.stringify(options))) as WasmInspection;
  });
}

function openers(source: WireSource): (() => Promise<AsyncIterable<Uint8Array>>)[] {
  if ("urls" in source) return source.urls.map((url) => async () => (await download(url)).chunks);
  return chunksOf(source).map(
    ({ chunks }) =>
      async () =>
        chunks,
  );
}
