/** A worker of `node:worker_threads` with the interface of a browser's. */

import { Worker, type TransferListItem } from "node:worker_threads";
import type { OpenedWorker } from "../platform.js";

/** Runs the script at a `file:` URL. */
export class NodeWorker extends EventTarget implements OpenedWorker {
  readonly #worker: Worker;
  /** It was ended, or its end was told of. */
  #ended = false;

  constructor(script: URL, workerData?: unknown) {
    super();
    // Flags of the process such as `--input-type` are not for a script that is a file.
    this.#worker = new Worker(script, { workerData, execArgv: [] });
    this.#worker.on("message", (data) => this.dispatchEvent(new MessageEvent("message", { data })));
    this.#worker.on("messageerror", () => this.dispatchEvent(new MessageEvent("messageerror")));
    this.#worker.on("error", ({ message }) => this.#fail(message));
    // All that comes where its script calls `process.exit`, or has nothing more to do.
    this.#worker.on("exit", (code) => this.#fail(`it exited with code ${code}`));
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer as unknown as TransferListItem[]);
  }

  terminate(): void {
    this.#ended = true;
    void this.#worker.terminate();
  }

  /** After an error it exits as well. */
  #fail(message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.dispatchEvent(Object.assign(new Event("error"), { message }));
  }
}
