/** What is known of a stored model: where its files came from, how far they go, what of them may be trusted. Kept as JSON. */

import type { RemoteVersion } from "./download.js";
import type { Piece } from "./pieces.js";

/** The record of one model. */
export interface ModelRecord {
  format: typeof FORMAT;
  urls: string[];
  /** As many as there are URLs. */
  files: FileRecord[];
  /** The packed weights, once all of them are there. */
  packed?: PackedRecord;
}

/** One of a model's files. */
export interface FileRecord {
  /** What the server had when the download began. */
  version?: RemoteVersion;
  /** What is stored, from the file's beginning. */
  pieces: Piece[];
  /** Once all of it is stored. */
  complete?: {
    sha256: string;
    /** Where the header ends. */
    headerBytes: number;
    /** When, in ISO 8601. */
    at: string;
  };
}

/** The weights as they lie in wasm memory. */
export interface PackedRecord {
  /** `layoutVersion` of the wasm that packed them. */
  layout: number;
  /** SHA-256 of the files that they were made of. */
  of: string[];
  pieces: Piece[];
}

/** Goes up with every change of {@link ModelRecord}: others are not read. */
const FORMAT = 2;

/** A model's id in storage, also the name of its Web Lock: told by the URLs of its files. */
export async function idOf(urls: readonly string[]): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(urls.join("\n")));
  const hex = Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0"));
  return `tallow-${hex.join("")}`;
}

/** The names in storage of what belongs to a model. */
export const nameOf = {
  record: (id: string) => `${id}.json`,
  file: (id: string, i: number) => `${id}-${i + 1}.gguf`,
  packed: (id: string) => `${id}.packed`,
};

/** The ids of all models that anything is stored of, with a record or without. */
export function idsAmong(names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => /^tallow-[0-9a-f]{32}/.exec(name)?.[0] ?? []))];
}

/** A record before the first byte. */
export function newRecord(urls: readonly string[]): ModelRecord {
  return { format: FORMAT, urls: [...urls], files: urls.map(() => ({ pieces: [] })) };
}

/** The record that `text` is, if it is one. */
export function parseRecord(text: string | undefined): ModelRecord | undefined {
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as Partial<ModelRecord> | null;
    return record?.format === FORMAT ? (record as ModelRecord) : undefined;
  } catch {
    return undefined;
  }
}
