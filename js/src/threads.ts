/**
 * Compute workers, both ends: the engine worker starts them on its module and its memory, and each helps in the wasm's
 * jobs until it is terminated, which happens with the engine worker.
 */

import { TallowError } from "./errors.js";
import type { OpenedWorker } from "./platform.js";
import type { WasmGlue } from "./wasm-contract.js";
import type { WorkerScope } from "./worker-platform.js";

/** An instance as other workers can share it. */
export interface SharedWasm {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** Engine worker to compute worker, once. The engine worker is thread 0. */
export type Join = SharedWasm & { thread: number };

/** Compute worker to engine worker, once. */
export type Joined = { joined: true } | { joined: false; reason: string };

/**
 * Seconds that a compute worker may take to join, its script's way over a slow network among them. They are counted one by
 * one, since a computer that sleeps counts as one.
 */
const PATIENCE = 30;

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
  await Promise.all(others.map((thread) => joined(glue, openWorker, { ...wasm, thread })));
  glue.meet();
}

/** Resolves when a worker of `openWorker` has joined. If it dies after that, the wasm is told. */
function joined(glue: WasmGlue, openWorker: () => OpenedWorker, message: Join): Promise<void> {
  let timer: ReturnType<typeof setInterval> | undefined;
  // What is thrown here, as where a worker is forbidden or cannot be sent memory, is a reason as well.
  return new Promise<void>((resolve, fail) => {
    let hasJoined = false;
    let seconds = 0;
    timer = setInterval(() => {
      if (++seconds === PATIENCE) fail(`it did not answer within ${PATIENCE} s`);
    }, 1000);
    const worker = openWorker();
    worker.addEventListener("message", ({ data }: MessageEvent<Joined>) => {
      if (!data.joined) return fail(data.reason);
      hasJoined = true;
      resolve();
    });
    worker.addEventListener("messageerror", () => fail("its answer could not be read"));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      if (hasJoined) glue.lose(message.thread);
      else fail(event.message || "its script could not be loaded");
    });
    worker.postMessage(message);
  })
    .catch((reason: unknown) => {
      throw new TallowError("worker_lost", `a compute worker could not be started: ${String(reason)}`);
    })
    .finally(() => clearInterval(timer));
}

/** The compute worker's end: joins when it is told to. */
export function compute(
  scope: WorkerScope<Join, Joined>,
  glue: WasmGlue,
  sleepForEver: () => void = sleep,
): void {
  scope.addEventListener(
    "message",
    ({ data }) => void join(glue, data, (joined) => scope.postMessage(joined), sleepForEver),
  );
  scope.addEventListener("messageerror", () => {
    scope.postMessage({ joined: false, reason: "the module and its memory could not be received" });
    sleepForEver();
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
function sleep(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
