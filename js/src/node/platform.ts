/** What the package needs of Node: paths, threads of `node:worker_threads`. */

import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type * as platform from "../platform.js";
import { NodeWorker } from "./node-worker.js";

/** There is no storage of a browser's. */
export const STORES: typeof platform.STORES = false;

export const hasWorkers: typeof platform.hasWorkers = () => true;

/** Threads always share memory. */
export const isIsolated: typeof platform.isIsolated = () => true;

export const sharesMemory: typeof platform.sharesMemory = () => true;

export const processors: typeof platform.processors = availableParallelism;

/** A URL, or a string that is one or a path. A Windows drive is no scheme. */
export const toUrl: typeof platform.toUrl = (source) =>
  source instanceof URL || /^[a-z][a-z0-9+.-]+:/i.test(source)
    ? new URL(source)
    : pathToFileURL(resolve(source));

export const openWorker: typeof platform.openWorker = (url) =>
  new NodeWorker(new URL(url ?? "./node-worker.js", import.meta.url));
