/** In Node nothing is stored, and whoever asks for it is told so. */

import { TallowError } from "../errors.js";
import type { ModelCache } from "../cache.js";

const refuse = async () => {
  throw new TallowError("storage_failed", "in Node no models are stored: they are read from where they lie");
};

export const cache: ModelCache = { list: refuse, delete: refuse, estimate: refuse, persist: refuse };
