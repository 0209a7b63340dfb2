/** The models that `loadModel` has stored in this origin. */

import { TallowError } from "./errors.js";
import { lengthOf } from "./pieces.js";
import { idOf, idsAmong, nameOf, parseRecord } from "./record.js";
import { wireSource } from "./source.js";
import { openStorage } from "./storage/open.js";
import type { FileStore, ListedFile } from "./storage/storage.js";

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

/** `cache`: what is stored. */
export interface ModelCache {
  /** All stored models, also those that are not there as a whole. */
  list(): Promise<CachedModel[]>;
  /**
   * Deletes the model of this source, once no tab is loading it; all models without one. One that is not there is fine.
   * @throws {@link TallowError} `storage_failed`, `invalid_request`
   */
  delete(source?: string | URL | readonly (string | URL)[]): Promise<void>;
  /** How much room there is. */
  estimate(): Promise<StorageEstimate>;
  /** Asks the browser to keep what is stored until the user says otherwise; whether it will. Some ask the user. */
  persist(): Promise<boolean>;
}

/** What is stored. */
export const cache: ModelCache = {
  async list() {
    const { store } = await openStorage();
    const listed = await store.list();
    const ids = idsAmong(listed.map(({ name }) => name));
    const models = await Promise.all(ids.map((id) => describe(store, id, listed)));
    return models.filter((model) => model !== undefined);
  },

  async delete(source) {
    const { store } = await openStorage();
    const urls = source === undefined ? undefined : await urlsOf(source);
    const listed = (await store.list()).map(({ name }) => name);
    if (listed.length === 0) return;
    const ids = urls ? [await idOf(urls)] : idsAmong(listed);
    for (const id of ids) {
      await withLock(id, async () => {
        // The record first: without it the others are nothing.
        await store.delete(nameOf.record(id));
        for (const name of listed) if (name.startsWith(id)) await store.delete(name);
      });
    }
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

async function describe(
  store: FileStore,
  id: string,
  listed: readonly ListedFile[],
): Promise<CachedModel | undefined> {
  const record = parseRecord(await store.readText(nameOf.record(id)));
  if (!record) return undefined;
  const { urls, files } = record;
  const digests = files.flatMap(({ complete }) => complete?.sha256 ?? []);
  const complete = digests.length === urls.length;
  const own = listed.filter(({ name }) => name.startsWith(id));
  return {
    urls,
    complete,
    sha256: complete ? digests : null,
    fileBytes: files.reduce((sum, { pieces }) => sum + lengthOf(pieces), 0),
    storedBytes: own.reduce((sum, { length }) => sum + length, 0),
  };
}

async function urlsOf(source: string | URL | readonly (string | URL)[]): Promise<string[]> {
  const { source: wire } = await wireSource(source);
  if (!("urls" in wire)) throw new TallowError("invalid_request", "only models from URLs are stored");
  return wire.urls;
}

/** Where there are no locks, there is no storage either. */
async function withLock(id: string, action: () => Promise<void>): Promise<void> {
  if (navigator.locks) await navigator.locks.request(id, action);
  else await action();
}
