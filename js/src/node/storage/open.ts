/** What is stored of a model in Node: nothing. */

import type * as browser from "../../storage/open.js";
import { openMemory } from "../../storage/memory.js";
import { FileStore } from "../../storage/storage.js";

export const openStorage: typeof browser.openStorage = async () => ({
  store: new FileStore(openMemory()),
  fallback: "Node has no storage of a browser's",
});
