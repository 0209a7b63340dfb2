/** What a worker needs of a browser: messages, compute workers, files, turns. Node's is in `node/worker-platform.ts`. */

import type { OpenedWorker } from "./platform.js";
import type { WireSource } from "./source.js";

/** What of a worker's global scope is used. */
export interface WorkerScope<In, Out> {
  addEventListener(type: "message" | "messageerror", listener: (event: { data: In }) => void): void;
  postMessage(message: Out): void;
}

const COMPUTE = "tallow-compute";

/** One for all: to make one takes 50 us. */
let channel: MessageChannel | undefined;

/** Whether this worker was opened by {@link openCompute}. */
export const computes: boolean = (globalThis as { name?: unknown }).name === COMPUTE;

/** The worker's end of its messages. */
export function scope<In, Out>(): WorkerScope<In, Out> {
  return globalThis as unknown as WorkerScope<In, Out>;
}

/** Opens a compute worker: this script again, so that there is one to serve and nothing for a bundler to find. */
export function openCompute(): OpenedWorker {
  return new Worker(location.href, { type: isModule() ? "module" : "classic", name: COMPUTE });
}

/**
 * Whether this script runs as a module, as it was written; Next makes a classic one of it. A module is told so whatever it
 * imports, but Firefox (153) lets it import nothing; a classic script is told that this is no URL.
 */
function isModule(): boolean {
  try {
    (globalThis as unknown as { importScripts(url: string): void }).importScripts("http://[");
    return false;
  } catch (error) {
    return error instanceof TypeError;
  }
}

/** The answer to a request for a wasm module. */
export function fetchModule(url: string): Promise<Response> {
  return fetch(url);
}

/** A source as this worker reads it. */
export async function readable(source: WireSource): Promise<WireSource> {
  return source;
}

/** Resolves in a later task, after the messages that wait; `setTimeout` would add 4 ms to a step. */
export function nextTask(): Promise<void> {
  const { port1, port2 } = (channel ??= new MessageChannel());
  return new Promise((resolve) => {
    port1.addEventListener("message", () => resolve(), { once: true });
    port1.start();
    port2.postMessage(null);
  });
}
