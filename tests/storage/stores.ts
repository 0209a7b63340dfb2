/** The storages that a browser has, opened one by one or as the package does. */

import { openCacheApi } from "../../js/src/storage/cache-api.js";
import { openStorage } from "../../js/src/storage/open.js";
import { openOpfs } from "../../js/src/storage/opfs.js";
import { FileStore } from "../../js/src/storage/storage.js";

export type Kind = "opfs" | "cache-api";

export async function openStore(kind: Kind): Promise<FileStore> {
  return new FileStore(await { opfs: openOpfs, "cache-api": openCacheApi }[kind]());
}

/** What the package takes. */
export async function chosen(): Promise<{ kind: string; fallback: string | undefined }> {
  const { store, fallback } = await openStorage();
  return { kind: store.kind, fallback };
}
