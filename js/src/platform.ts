/** What the package needs of a page: addresses, workers, threads. Node's is in `node/platform.ts`. */

/** What of a worker is used at the end that opened it. */
export interface OpenedWorker extends Pick<Worker, "terminate" | "addEventListener"> {
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

/** Whether a model from a URL is stored unless `loadModel` is told otherwise. */
export const STORES: boolean = true;

/** Whether there are workers at all. */
export function hasWorkers(): boolean {
  return typeof Worker !== "undefined";
}

/** Whether the page is cross-origin isolated. */
export function isIsolated(): boolean {
  return globalThis.crossOriginIsolated === true;
}

/** Whether threads may share memory: not in every browser, WebKitGTK (2.50) for one, does an isolated page have what it takes. */
export function sharesMemory(): boolean {
  return isIsolated() && typeof SharedArrayBuffer !== "undefined";
}

/** How many processors there are, as far as that is told. */
export function processors(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** A URL, or a string relative to the page. */
export function toUrl(source: string | URL): URL {
  return new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
}

/** Opens the engine worker's script, or the one at `url`. */
export function openWorker(url: string | undefined): OpenedWorker {
  // Bundlers look for exactly this expression.
  if (!url) return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  return new Worker(url, { type: "module" });
}
