/** Where a model's bytes come from: named on the page, opened and read in the worker. */

import { TallowError } from "./errors.js";
import type { WireSource } from "./protocol.js";
import { invalid, shown } from "./validate.js";

/** Where a GGUF file comes from. A string is a URL, relative to the page. */
export type ModelSource = string | URL | File | Blob | ArrayBuffer;

/** A source that has begun to answer. */
export interface OpenSource {
  /** Throws `download_failed` or `storage_failed` where the bytes end early. */
  chunks: AsyncIterable<Uint8Array>;
  /** The length that the source announces, if it announces one. */
  total: number | undefined;
}

/** A source as the worker is told of it. */
export function wireSource(source: ModelSource): WireSource {
  if (typeof source === "string" || source instanceof URL) {
    const url = absoluteUrl(source, "source");
    return { url, name: new URL(url).pathname.split("/").pop() ?? "" };
  }
  if (source instanceof Blob) return { blob: source, name: "name" in source ? String(source.name) : "" };
  // A blob crosses to the worker by reference, and the caller's buffer stays as it is.
  if (source instanceof ArrayBuffer) return { blob: new Blob([source]), name: "" };
  throw invalid(
    `\`source\` should be a URL, a string, a File, a Blob or an ArrayBuffer, got ${shown(source)}`,
  );
}

/** A URL as the worker can use it, whose own base is another than the page's. */
export function absoluteUrl(url: string | URL, field: string): string {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch (cause) {
    throw invalid(`\`${field}\` should be a URL, got ${shown(String(url))}`, { cause });
  }
}

/** Begins to read a source. */
export async function openSource(source: WireSource): Promise<OpenSource> {
  if ("url" in source) return openUrl(source.url);
  const failure = (cause: unknown) =>
    new TallowError("storage_failed", `the file \`${source.name}\` could not be read`, { cause });
  return { chunks: read(source.blob.stream(), failure), total: source.blob.size };
}

async function openUrl(url: string): Promise<OpenSource> {
  const failure = (detail: string, cause?: unknown) =>
    new TallowError("download_failed", `\`${url}\` ${detail}`, { cause });

  const response = await fetch(url).catch((cause: unknown) => {
    throw failure("could not be fetched", cause);
  });
  if (!response.ok)
    throw failure(`was answered with status ${response.status} ${response.statusText}`.trimEnd());
  if (!response.body) throw failure(`was answered without a body`);

  const total = announcedLength(response.headers);
  const body = read(response.body, (cause) => failure("broke off", cause));
  return { chunks: whole(body, total, failure), total };
}

/** What `Content-Length` says of the body, which it does not when the body is encoded. */
function announcedLength(headers: Headers): number | undefined {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? undefined : Number(length);
}

/** `chunks`, and an error if they are shorter than announced: browsers do not all tell. */
async function* whole(
  chunks: AsyncIterable<Uint8Array>,
  total: number | undefined,
  failure: (detail: string) => TallowError,
): AsyncIterable<Uint8Array> {
  let loaded = 0;
  for await (const chunk of chunks) {
    loaded += chunk.length;
    yield chunk;
  }
  if (total !== undefined && loaded < total)
    throw failure(`broke off: expected ${total} bytes, got ${loaded}`);
}

/** Safari iterates over no `ReadableStream`. */
async function* read(
  stream: ReadableStream<Uint8Array>,
  failure: (cause: unknown) => TallowError,
): AsyncIterable<Uint8Array> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw failure(cause);
    });
    if (done) return;
    yield value;
  }
}
