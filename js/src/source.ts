/** Where a model's bytes come from: named on the page, read in the worker. */

import { TallowError } from "./errors.js";
import { toUrl } from "./platform.js";
import { fromWire, toWire, type WireError } from "./protocol.js";
import { invalid, shown } from "./validate.js";

/** What of a `FileSystemFileHandle` is used, whose type there is only where there are pages. */
export interface FileHandle {
  /** Tells it from a folder's. */
  readonly kind: "file";
  /** The file's name. */
  readonly name: string;
  /** The file as it is now. */
  getFile(): Promise<File>;
}

/** Where one file comes from. A string is a URL, relative to the page; in Node it may also be a path. */
export type FileSource = string | URL | File | Blob | ArrayBuffer | FileHandle;

/**
 * Where a model comes from: a file, a stream of its bytes, or the files of a split model in order. A URL that ends in
 * `-00001-of-00003.gguf` or the like stands for all of them.
 */
export type ModelSource =
  FileSource | ReadableStream<Uint8Array> | readonly (string | URL)[] | readonly Blob[];

/**
 * A source as the worker is told of it; `name` stands in for a model's missing one.
 * @internal
 */
export type WireSource =
  | { urls: string[]; name: string }
  | { blobs: Blob[]; names: string[]; name: string }
  | { stream: MessagePort; name: string };

/**
 * Bytes of a file from the page, how many, if that is known, and what it is called, which may be nothing.
 * @internal
 */
export interface Chunks {
  chunks: AsyncIterable<Uint8Array>;
  length: number | undefined;
  name: string;
}

/**
 * A source as the worker can be told of it, what is to be transferred with it, and what lets go of it where the worker does
 * not come to that.
 * @internal
 */
export async function wireSource(
  source: ModelSource,
): Promise<{ source: WireSource; transfer: Transferable[]; release(): void }> {
  if (source instanceof ReadableStream) {
    if (source.locked) throw invalid("`source` should be a stream that nobody reads, but it is locked");
    const { port1, port2 } = new MessageChannel();
    return { source: { stream: port2, name: "" }, transfer: [port2], release: send(source, port1) };
  }
  const wire = Array.isArray(source) ? wireFiles(source) : await wireFile(source as FileSource);
  return { source: wire, transfer: [], release: () => {} };
}

async function wireFile(source: FileSource): Promise<WireSource> {
  if (typeof source === "string" || source instanceof URL) {
    const url = absoluteUrl(source, "source");
    return { urls: splitUrls(url), name: nameOf(url) };
  }
  if (source instanceof Blob) return wireBlobs([source]);
  // A blob crosses to the worker by reference, and the caller's buffer stays as it is.
  if (source instanceof ArrayBuffer) return wireBlobs([new Blob([source])]);
  if (isFileHandle(source)) {
    const file = await source.getFile().catch((cause: unknown) => {
      throw new TallowError("storage_failed", `the file \`${source.name}\` could not be read`, { cause });
    });
    return wireBlobs([file]);
  }
  throw invalid(
    "`source` should be a URL, a string, a File, a Blob, an ArrayBuffer, a ReadableStream, a FileSystemFileHandle or an " +
      `array of URLs or Blobs, got ${shown(source)}`,
  );
}

function wireFiles(sources: readonly unknown[]): WireSource {
  if (sources.length > 0 && sources.every((source) => source instanceof Blob)) return wireBlobs(sources);
  const isUrl = (source: unknown) => typeof source === "string" || source instanceof URL;
  const wrong = sources.find((source) => !isUrl(source));
  if (sources.length === 0 || wrong !== undefined)
    throw invalid(
      `\`source\` should be an array of URLs or of Blobs, got ${wrong === undefined ? "an empty one" : `one with ${shown(wrong)}`}`,
    );
  const urls = sources.map((source, i) => absoluteUrl(source as string | URL, `source[${i}]`));
  return { urls, name: nameOf(urls[0] as string) };
}

function wireBlobs(blobs: readonly Blob[]): WireSource {
  const names = blobs.map((blob) => ("name" in blob ? String(blob.name) : ""));
  return { blobs: [...blobs], names, name: names[0] ?? "" };
}

function isFileHandle(source: unknown): source is FileHandle {
  return typeof FileSystemFileHandle === "function" && source instanceof FileSystemFileHandle;
}

function nameOf(url: string): string {
  return new URL(url).pathname.split("/").pop() ?? "";
}

/** The URLs of all files of a split model, by the first one's; of any other URL, itself. */
export function splitUrls(url: string): string[] {
  const [, before, count, after] = /^(.*-)00001-of-(\d{5})(\.gguf(?:[?#].*)?)$/.exec(url) ?? [];
  if (before === undefined || count === undefined) return [url];
  return Array.from(
    { length: Math.max(1, Number(count)) },
    (_, i) => `${before}${String(i + 1).padStart(5, "0")}-of-${count}${after}`,
  );
}

/** A URL as the worker can use it, whose own base is another than the page's. */
export function absoluteUrl(url: string | URL, field: string): string {
  try {
    return toUrl(url).href;
  } catch (cause) {
    throw invalid(`\`${field}\` should be a URL, got ${shown(String(url))}`, { cause });
  }
}

/**
 * The files of a source that came from the page.
 * @internal
 */
export function chunksOf(source: Exclude<WireSource, { urls: string[] }>): Chunks[] {
  if ("stream" in source) return [{ chunks: receive(source.stream), length: undefined, name: source.name }];
  return source.blobs.map((blob, i) => {
    const name = source.names[i] ?? "";
    return { chunks: readBlob(blob, name), length: blob.size, name };
  });
}

/**
 * A Blob's bytes; Safari iterates over no `ReadableStream`.
 * @internal
 */
export async function* readBlob(blob: Blob, name: string): AsyncIterable<Uint8Array> {
  const reader = blob.stream().getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new TallowError("storage_failed", `the file \`${name}\` could not be read`, { cause });
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Page to worker, when the worker asks for more; not all browsers transfer streams. */
type Sent = { bytes: Uint8Array<ArrayBuffer> } | { done: true } | { error: WireError };

/** Sends a chunk of `stream` for each message that comes from `port`; returns what cancels it, as does a message. */
function send(stream: ReadableStream<Uint8Array>, port: MessagePort): () => void {
  const reader = stream.getReader();
  const release = () => {
    port.close();
    reader.cancel().catch(() => {});
  };
  port.onmessage = async ({ data: goOn }: MessageEvent<boolean>) => {
    const post = (message: Sent, transfer: Transferable[] = []) => port.postMessage(message, transfer);
    if (!goOn) return release();
    try {
      const { done, value } = await reader.read();
      if (done) return post({ done });
      if (!(value instanceof Uint8Array))
        throw invalid(`the stream should be of Uint8Arrays, got ${shown(value)}`);
      // A copy: the chunk may be a part of a larger buffer that others use.
      const bytes = new Uint8Array(value);
      post({ bytes }, [bytes.buffer]);
    } catch (error) {
      post({ error: toWire(readFailure(error)) });
    }
  };
  return release;
}

/** What a stream fails with may be anything. */
function readFailure(error: unknown): TallowError {
  if (error instanceof TallowError) return error;
  const cause = error instanceof Error ? error : new Error(shown(error));
  return new TallowError("storage_failed", "the stream could not be read", { cause });
}

/** What {@link send} sends. */
async function* receive(port: MessagePort): AsyncIterable<Uint8Array> {
  const next = () =>
    new Promise<Sent>((resolve) => {
      port.onmessage = ({ data }: MessageEvent<Sent>) => resolve(data);
      port.postMessage(true);
    });
  try {
    for (;;) {
      const sent = await next();
      if ("error" in sent) throw fromWire(sent.error);
      if ("done" in sent) return;
      yield sent.bytes;
    }
  } finally {
    port.postMessage(false);
    port.close();
  }
}
