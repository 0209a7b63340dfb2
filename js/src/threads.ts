/**
 * Compute workers, both ends: the engine worker starts them on its module and its memory, and each helps in the wasm's
 * jobs until it is terminated, which happens with the engine worker.
 */

import { TallowError } from "./errors.js";
import type { OpenedWorker } from "./platform.js";
import type { WasmGlue } from "./wasm-contract.js";

/** An instance as other workers can share it. */
export interface SharedWasm {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** Engine worker to compute worker, once. The engine worker is thread 0. */
export type Join = SharedWasm & { thread: number };

/** Compute worker to engine worker, once. */
export type Joined = { joined: true } | { joined: false; reason: string };

/** Gives the wasm `threads` threads; resolves when each has taken part in a job. */
export async function startThreads(
  glue: WasmGlue,
  wasm: SharedWasm,
  threads: number,
  openWorker: () => OpenedWorker,
): Promise<void> {
  if (threads === 1) return;
  glue.makePool(threads);
  const others = Array.from({ length: threads - 1 }, (_, i) => i + 1);
  await Promise.all(others.map((thread) => joined(openWorker(), { ...wasm, thread })));
  glue.meet();
}

/** Resolves when `worker` has joined. */
function joined(worker: OpenedWorker, message: Join): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) =>
      reject(new TallowError("worker_lost", `a compute worker could not be started: ${reason}`));
    worker.addEventListener("message", ({ data }: MessageEvent<Joined>) =>
      data.joined ? resolve() : fail(data.reason),
    );
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      fail(event.message || "its script could not be loaded");
    });
    worker.postMessage(message);
  });
}

/**
 * Joins and helps, for ever. Where it cannot, or the wasm traps, it sleeps instead, until the engine worker ends: in Chromium
 * (156) a worker whose own workers end as soon as it does may miss that, and then never ends. Those inside the wasm, and one
 * that sleeps, are given two seconds.
 */
export async function join(
  glue: WasmGlue,
  { module, memory, thread }: Join,
  post: (message: Joined) => void,
  sleep: () => void,
): Promise<void> {
  try {
    await glue.default({ module_or_path: module, memory });
  } catch (error) {
    post({ joined: false, reason: String(error) });
    return sleep();
  }
  post({ joined: true });
  try {
    glue.help(thread);
  } catch {
    // The others wait for this thread.
    glue.lose(thread);
    sleep();
  }
}

/** Never returns, and hears of nothing; the worker can be ended. */
export function sleep(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
