/** What a worker needs of Node: messages, compute workers, files, turns. */

import { openAsBlob } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { TallowError } from "../errors.js";
import type * as platform from "../worker-platform.js";
import { NodeWorker } from "./node-worker.js";

const COMPUTE = "tallow-compute";

export const computes: typeof platform.computes = workerData === COMPUTE;

export const scope: typeof platform.scope = () => ({
  addEventListener: (type, listener) => void parentPort?.on(type, (data) => listener({ data })),
  postMessage: (message) => parentPort?.postMessage(message),
});

export const openCompute: typeof platform.openCompute = () =>
  new NodeWorker(new URL(import.meta.url), COMPUTE);

/** `fetch` knows no files. */
export const fetchModule: typeof platform.fetchModule = async (url) =>
  isFile(url)
    ? new Response(await readFile(fileURLToPath(url)), { headers: { "Content-Type": "application/wasm" } })
    : fetch(url);

/** Of one channel Node hands over up to a thousand messages before it looks at another. */
export const nextTask: typeof platform.nextTask = () => new Promise((resolve) => void setImmediate(resolve));

export const readable: typeof platform.readable = async (source) => {
  if (!("urls" in source) || !source.urls.some(isFile)) return source;
  const { urls, name } = source;
  const other = urls.find((url) => !isFile(url));
  if (other !== undefined)
    throw new TallowError(
      "invalid_request",
      `\`source\` should be all files or none, got \`${other}\` as well`,
    );
  const paths = urls.map(pathOf);
  return { blobs: await Promise.all(paths.map(open)), names: paths.map((path) => basename(path)), name };
};

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    // Such as one with a host: `file://models/x.gguf` instead of `file:///models/x.gguf`.
    throw new TallowError("invalid_request", `\`source\` should be the URL of a file, got \`${url}\``, {
      cause,
    });
  }
}

async function open(path: string): Promise<Blob> {
  try {
    if (!(await stat(path)).isFile()) throw new Error("it is no file");
    return await openAsBlob(path);
  } catch (cause) {
    throw new TallowError("storage_failed", `the file \`${path}\` could not be read`, { cause });
  }
}

function isFile(url: string): boolean {
  return url.startsWith("file:");
}
