/** The best storage that works here. Only a worker can find out whether the file system does, so no page opens any. */

import { deleteCacheApiFiles, openCacheApi } from "./cache-api.js";
import { openMemory } from "./memory.js";
import { openOpfs } from "./opfs.js";
import { FileStore, type Backend } from "./storage.js";

/** The storage that was opened. */
export interface OpenedStorage {
  store: FileStore;
  /** Why it is not the origin private file system; `undefined` where it is. */
  fallback: string | undefined;
}

/** Opens the origin private file system, or else the Cache API, or else memory. */
export async function openStorage(): Promise<OpenedStorage> {
  const refused: string[] = [];
  for (const [what, open] of [
    ["the origin private file system", openOnlyOpfs],
    ["the Cache API", openCacheApi],
  ] as const) {
    try {
      return { store: new FileStore(await open()), fallback: refused[0] };
    } catch (error) {
      refused.push(`${what} does not work here: ${error}`);
    }
  }
  return { store: new FileStore(openMemory()), fallback: refused.join("; ") };
}

/** One that works for the first time deletes what was in the cache meanwhile. */
async function openOnlyOpfs(): Promise<Backend> {
  const opfs = await openOpfs();
  await deleteCacheApiFiles();
  return opfs;
}
