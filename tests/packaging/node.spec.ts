/** The package in Node, as a project's scripts import it. Each of them must end by itself, with nothing on its standard error. */

import { expect, test } from "@playwright/test";
import { cp } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expectAnswer, question } from "./golden.js";
import { install, type Project } from "./project.js";
import { serve } from "./server.js";

const MODEL = fileURLToPath(new URL("../../models/smollm2-135m-instruct-q4_1.gguf", import.meta.url));
const TINY = fileURLToPath(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url));
/** A name with all that means something in a URL. */
const NAME = "a b#1%20?.gguf";
const NAME_IN_URL = "a%20b%231%2520%3F.gguf";

/** Node 20 has relaxed SIMD behind a flag. */
const RELAXED = Number(process.versions.node.split(".")[0]) < 21 ? ["--experimental-wasm-relaxed-simd"] : [];

let project: Project;
test.beforeAll(async () => {
  project = await install("node");
  await cp(TINY, join(project.folder, NAME));
});
test.afterAll(() => project[Symbol.asyncDispose]());

/** What a script prints. */
const node = (...args: string[]) => project.run(process.execPath, ...args);

test("draws the golden tokens on both modules, by threads", async () => {
  const asked = Object.values(question);
  expectAnswer(await node(...RELAXED, "answer.js", MODEL, ...asked), "relaxed");
  const simd128 = "node_modules/tallow/dist/wasm/simd128.wasm";
  expectAnswer(await node("answer.js", MODEL, ...asked, simd128), "simd128");
});

test("loads from paths, file URLs, the network, buffers, blobs and streams", async () => {
  await using server = await serve(project.folder);
  const answers = JSON.parse(await node("sources.js", NAME, `${server.url}/${NAME_IN_URL}`));
  const { path } = answers;
  expect(path).toEqual({ text: expect.stringMatching(/./), name: "tiny-llama-test", read: 556_224 });
  const kinds = ["absolute", "list", "fileUrl", "fileUrlString", "url", "buffer", "blob", "stream"];
  expect(answers).toEqual({ path, ...Object.fromEntries(kinds.map((kind) => [kind, path])) });
});

test("streams, cancels, and ends with the model", async () => {
  const { whole, ...rest } = JSON.parse(await node("streams.js", MODEL));
  expect(whole).toMatch(/^, the city of Nova Haven/);
  expect(rest).toEqual({
    aborted: "AbortError",
    left: 3,
    again: whole,
    lost: "worker_lost",
    unloaded: "AbortError",
  });
});

test("a compute worker that exits is told of by the next answer", async () => {
  expect(JSON.parse(await node("dies.js", TINY))).toEqual({
    alive: expect.stringMatching(/./),
    dead: "worker_lost: a compute worker stopped",
  });
});

test("names what there is not", async () => {
  const file = (name: string) =>
    `storage_failed: the file \`${join(project.folder, name)}\` could not be read`;
  const nothing = "storage_failed: in Node no models are stored: they are read from where they lie";
  expect(JSON.parse(await node("refusals.js", NAME))).toEqual({
    missing: file("none.gguf"),
    folder: file("."),
    mixed: "invalid_request: `source` should be all files or none, got `http://127.0.0.1/b.gguf` as well",
    otherHost: "invalid_request: `source` should be the URL of a file, got `file://models/a.gguf`",
    encodedSlash: "invalid_request: `source` should be the URL of a file, got `file:///models%2Fa.gguf`",
    inspected: file("none.gguf"),
    workerUrl: expect.stringMatching(/^worker_lost: the worker stopped: .*none\.js/),
    wasmUrl: expect.stringMatching(
      /^download_failed: the wasm module `file:.*none\.wasm` could not be fetched$/,
    ),
    list: nothing,
    delete: nothing,
    estimate: nothing,
    persist: nothing,
  });
});

test("the page's scripts can be imported, and touch nothing", async () => {
  const { node: own, page, isolated } = JSON.parse(await node("imports.js"));
  expect(own).toMatchObject({ crossOriginIsolated: true, hardwareConcurrency: availableParallelism() });
  expect(page).toMatchObject({ crossOriginIsolated: false, module: own.module, threads: 1 });
  expect(isolated).toBe(false);
  // Where Node's relaxed dot product of 32 bits is wrong, as Node 20's is, it is not taken.
  const { node: relaxed } = JSON.parse(await node(...RELAXED, "imports.js"));
  expect(relaxed).toMatchObject({
    module: "relaxed",
    relaxedDot: expect.stringMatching(RELAXED.length ? /^i16x8$/ : /^i/),
  });
});
