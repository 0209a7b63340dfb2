/** The best storage that works here, the same one for the page and its workers. */

import { deleteCacheApiFiles, hasCacheApiFiles, openCacheApi } from "./cache-api.js";
import { openMemory } from "./memory.js";
import { openOpfs } from "./opfs.js";
import { FileStore } from "./storage.js";

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
    ["the origin private file system", openSharedOpfs],
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

/**
 * Only a worker can find out whether the file system works. One that finds it does not makes the cache, which the page
 * goes by; one that finds it does deletes a cache left from before.
 */
async function openSharedOpfs() {
  const onPage = "document" in globalThis;
  if (onPage && (await hasCacheApiFiles())) throw new Error("a worker took the Cache API");
  const opfs = await openOpfs();
  if (!onPage) await deleteCacheApiFiles();
  return opfs;
}
