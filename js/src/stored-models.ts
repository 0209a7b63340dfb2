/** The worker's part of `cache`: all models in storage, listed and deleted. */

import type { CachedModel } from "./cache.js";
import { lengthOf } from "./pieces.js";
import { idOf, idsAmong, nameOf, parseRecord } from "./record.js";
import { openStorage } from "./storage/open.js";
import type { FileStore, ListedFile } from "./storage/storage.js";

/** All stored models. */
export async function listStored(): Promise<CachedModel[]> {
  const { store } = await openStorage();
  const listed = await store.list();
  const ids = idsAmong(listed.map(({ name }) => name));
  const models = await Promise.all(ids.map((id) => describe(store, id, listed)));
  return models.filter((model) => model !== undefined);
}

/** Deletes the model with these files, or all models, each once nobody loads it. */
export async function deleteStored(urls: readonly string[] | undefined): Promise<void> {
  // Where there are no locks, there is no storage either.
  if (!globalThis.navigator?.locks) return;
  const { store } = await openStorage();
  const names = async () => (await store.list()).map(({ name }) => name);
  const stored = idsAmong(await names());
  for (const id of urls ? [await idOf(urls)] : stored) {
    await navigator.locks.request(id, async () => {
      // The record first: without it the others are nothing. Some may have come while the lock was waited for.
      await store.delete(nameOf.record(id));
      for (const name of await names()) if (name.startsWith(id)) await store.delete(name);
    });
  }
}

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
