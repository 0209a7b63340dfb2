/** What the tests of downloads share: a file, patience for tests, and what came of both. */

import type { MisbehavingServer } from "../../tests/servers/misbehaving.js";
import { download, type DownloadOptions } from "../src/download.js";

/** Nothing that an encoder could shorten much, and no two parts alike. */
export function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 0x7fffffff) >> 8);
}

/** What most servers have. */
export const FILE = noise(1000);

/** Patience for tests. */
export const HASTE = { backoff: 2, stallTimeout: 200 };

/** All chunks in one. */
export async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

/** All that a download brings. */
export async function bytes(url: string, options: DownloadOptions = {}): Promise<Uint8Array> {
  return joined((await download(url, { ...HASTE, ...options })).chunks);
}

/** The range that each request asked for, and its If-Range. */
export function asked({ requests }: MisbehavingServer): (string | undefined)[][] {
  return requests.map(({ headers }) => [headers.range, headers["if-range"] as string | undefined]);
}

/** What {@link asked} has of a request for the whole file. */
export const WHOLE = [undefined, undefined];
