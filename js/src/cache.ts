/** The models that `loadModel` has stored in this origin, as a page sees them: a worker looks. */

import { askOnce } from "./engine.js";
import { wireSource } from "./source.js";
import { check, invalid } from "./validate.js";

/** A stored model. */
export interface CachedModel {
  /** Of its files. */
  urls: string[];
  /** Whether all of it is there; else what is there is gone on with at the next load. */
  complete: boolean;
  /** SHA-256 of the files, once all of them are there. */
  sha256: string[] | null;
  /** Bytes of its files that are there. */
  fileBytes: number;
  /** Bytes that it takes in storage, the packed weights among them. */
  storedBytes: number;
}

/** What the browser says of this origin's storage. */
export interface StorageEstimate {
  /** Bytes that all of this origin takes; an estimate. */
  usage: number;
  /** Bytes that it may take. */
  quota: number;
  /** Whether the browser keeps them until the user says otherwise; else it may delete them for want of room. */
  persisted: boolean;
}

/** Options of what `cache` asks a worker. */
export interface CacheOptions {
  /** The worker's script, as in `loadModel`'s options. */
  workerUrl?: string | URL | undefined;
}

/** Whose model is stored: its URL, or those of all its files. */
export type CacheSource = string | URL | readonly (string | URL)[];

/** `cache`: what is stored. */
export interface ModelCache {
  /**
   * All stored models, also those that are not there as a whole.
   * @throws {@link TallowError} `storage_failed`, `worker_lost`
   */
  list(options?: CacheOptions): Promise<CachedModel[]>;
  /**
   * Deletes all models, each once no tab is loading it.
   * @throws {@link TallowError} `storage_failed`, `worker_lost`
   */
  delete(): Promise<void>;
  /**
   * Deletes the model of this source, once no tab is loading it. One that is not there is fine. `undefined` alone is an
   * `invalid_request`, so that a variable that was never set deletes nothing.
   * @throws {@link TallowError} `storage_failed`, `invalid_request`, `worker_lost`
   */
  delete(source: CacheSource, options?: CacheOptions): Promise<void>;
  /**
   * Deletes all models, asking another worker.
   * @throws {@link TallowError} `storage_failed`, `invalid_request`, `worker_lost`
   */
  delete(source: undefined, options: CacheOptions): Promise<void>;
  /** How much room there is. */
  estimate(): Promise<StorageEstimate>;
  /** Asks the browser to keep what is stored until the user says otherwise; whether it will. Some ask the user. */
  persist(): Promise<boolean>;
}

/** What is stored. */
export const cache: ModelCache = {
  async list(options = {}) {
    check("the options of `cache`", options);
    return askOnce("listStored", {}, options);
  },

  async delete(...args: [source?: CacheSource, options?: CacheOptions]) {
    const [source, options] = args;
    check("the options of `cache`", options ?? {});
    const all = source === undefined && (args.length === 0 || options !== undefined);
    const urls = all ? undefined : await urlsOf(source as CacheSource);
    await askOnce("deleteStored", { urls }, options ?? {});
  },

  async estimate() {
    const { storage } = navigator;
    const { usage = 0, quota = 0 } = (await storage?.estimate?.()) ?? {};
    return { usage, quota, persisted: (await storage?.persisted?.()) ?? false };
  },

  async persist() {
    return (await navigator.storage?.persist?.()) ?? false;
  },
};

async function urlsOf(source: CacheSource): Promise<string[]> {
  const { source: wire, release } = await wireSource(source);
  if ("urls" in wire) return wire.urls;
  release();
  throw invalid("only models from URLs are stored");
}
