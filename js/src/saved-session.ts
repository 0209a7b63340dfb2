/** The worker's end of saved sessions: from wasm memory to a Blob and back. */

import { free } from "./free.js";
import { bytes } from "./hex.js";
import { readBlob } from "./source.js";
import type { WasmGlue, WasmModel } from "./wasm-contract.js";

/**
 * What tells one model from others: its file's SHA-256; of several files, that of their SHA-256s, one after the other.
 */
export function modelHash(glue: WasmGlue, sha256: readonly string[]): Uint8Array<ArrayBuffer> {
  const [first = ""] = sha256;
  if (sha256.length === 1) return bytes(first);
  const hash = new glue.Sha256();
  hash.update(bytes(sha256.join("")));
  return bytes(hash.digest());
}

/** A session as a Blob: of a Blob for each piece, so that memory has to hold only one besides the session itself. */
export function saveSession(model: WasmModel, session: number, hash: Uint8Array): Blob {
  const pieces: Blob[] = [];
  // A copy: Blobs take nothing that lies in shared memory.
  model.saveSession(session, hash, (view) => pieces.push(new Blob([new Uint8Array(view)])));
  return new Blob(pieces, { type: "application/octet-stream" });
}

/** Puts a saved session in the place of what a session has seen. */
export async function restoreSession(
  model: WasmModel,
  session: number,
  hash: Uint8Array,
  saved: Blob,
): Promise<void> {
  const restorer = model.restorer(session, hash);
  try {
    for await (const chunk of readBlob(saved, "saved")) restorer.push(chunk);
  } catch (error) {
    free(restorer);
    throw error;
  }
  model.restoreSession(session, restorer);
}
