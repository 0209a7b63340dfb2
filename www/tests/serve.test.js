/** The server, over real connections. Paths go out as they are written: `fetch` would tidy `..` away. */
import { spawn } from "node:child_process";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fileHandler, listen, parseRange } from "../serve.js";

let folder, isolated, plain;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallow-serve-"));
  await mkdir(join(folder, "dist/assets"), { recursive: true });
  await mkdir(join(folder, "models"));
  await writeFile(join(folder, "secret.txt"), "secret");
  await writeFile(join(folder, "dist/index.html"), "<!doctype html>");
  await writeFile(join(folder, "dist/assets/app-1.js"), "export {}");
  await writeFile(join(folder, "dist/sw.js"), "skipWaiting()");
  await writeFile(join(folder, "dist/manifest.webmanifest"), "{}");
  await writeFile(join(folder, "dist/assets/engine-1.wasm"), "\0asm");
  await writeFile(join(folder, "models/m.gguf"), "0123456789");
  await writeFile(join(folder, "models/empty.gguf"), "");
  const mounts = [
    ["/models/", join(folder, "models")],
    ["/", join(folder, "dist")],
  ];
  isolated = await listen(fileHandler(mounts), 0, "127.0.0.1");
  plain = await listen(fileHandler(mounts, { isolation: false }), 0, "127.0.0.1");
});

afterAll(async () => {
  isolated.close();
  plain.close();
  await rm(folder, { recursive: true });
});

test.each([
  ["/", "text/html; charset=utf-8", "<!doctype html>"],
  ["/index.html?model=x#y", "text/html; charset=utf-8", "<!doctype html>"],
  ["/assets/app-1.js", "text/javascript; charset=utf-8", "export {}"],
  ["/assets/engine-1.wasm", "application/wasm", "\0asm"],
  ["/sw.js?module=relaxed", "text/javascript; charset=utf-8", "skipWaiting()"],
  ["/manifest.webmanifest", "application/manifest+json", "{}"],
  ["/models/m.gguf", "application/octet-stream", "0123456789"],
])("%s is %s", async (path, type, body) => {
  const answer = await get(path);
  expect(answer).toMatchObject({ status: 200, body });
  expect(answer.headers).toMatchObject({ "content-type": type, "content-length": String(body.length) });
});

test("names with a hash may be kept for ever, others are asked for again", async () => {
  expect((await get("/assets/app-1.js")).headers["cache-control"]).toMatch("immutable");
  for (const path of ["/", "/sw.js", "/manifest.webmanifest"])
    expect((await get(path)).headers["cache-control"]).toBe("no-cache");
});

test("isolation headers are there unless they are left out; the policy always is", async () => {
  for (const path of ["/", "/assets/app-1.js", "/models/m.gguf"]) {
    const { headers } = await get(path);
    expect(headers).toMatchObject({
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
      "cross-origin-resource-policy": "same-origin",
    });
    expect(headers["content-security-policy"]).toContain("script-src 'self' 'wasm-unsafe-eval'");
  }
  const { headers } = await get("/", {}, "GET", plain);
  expect(Object.keys(headers).filter((name) => name.startsWith("cross-origin"))).toEqual([]);
  expect(headers["content-security-policy"]).toContain("script-src 'self' 'wasm-unsafe-eval'");
});

test.each([
  ["/nothing", 404],
  ["/assets/", 404],
  ["/assets", 404],
  ["/models/", 404],
  ["/../secret.txt", 400],
  ["/models/../../secret.txt", 400],
  ["/models/..%2f..%2fsecret.txt", 400],
  ["/models/%2e%2e/%2e%2e/secret.txt", 400],
  ["/models/..%5c..%5csecret.txt", 400],
  ["/models/%00", 400],
  ["/%", 400],
  ["//etc/passwd", 404],
])("%s is refused with %d", async (path, status) =>
  expect(await get(path)).toMatchObject({ status, body: "" }),
);

test("only GET and HEAD are taken", async () => {
  const answer = await get("/", {}, "POST");
  expect(answer.status).toBe(405);
  expect(answer.headers.allow).toBe("GET, HEAD");
});

test("HEAD has the headers alone", async () => {
  const answer = await get("/models/m.gguf", {}, "HEAD");
  expect(answer).toMatchObject({ status: 200, body: "" });
  expect(answer.headers).toMatchObject({ "content-length": "10", "accept-ranges": "bytes" });
});

describe("ranges", () => {
  test.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=4-", 206, "456789", "bytes 4-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-30", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=8-99", 206, "89", "bytes 8-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    ["bytes=3-1", 200, "0123456789", undefined],
    ["bytes=-", 200, "0123456789", undefined],
    ["bytes=0-1,3-4", 200, "0123456789", undefined],
    ["lines=0-1", 200, "0123456789", undefined],
  ])("%s", async (range, status, body, contentRange) => {
    const answer = await get("/models/m.gguf", { range });
    expect(answer).toMatchObject({ status, body });
    expect(answer.headers["content-range"]).toBe(contentRange);
  });

  test("hold only for the version that was seen", async () => {
    const etag = (await get("/models/m.gguf")).headers.etag ?? "";
    expect(etag).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/);
    const range = "bytes=5-";
    expect(await get("/models/m.gguf", { range, "if-range": etag })).toMatchObject({
      status: 206,
      body: "56789",
    });
    expect(await get("/models/m.gguf", { range, "if-range": '"old"' })).toMatchObject({
      status: 200,
      body: "0123456789",
    });
  });

  test("of an empty file", async () => {
    expect(await get("/models/empty.gguf")).toMatchObject({ status: 200, body: "" });
    expect(await get("/models/empty.gguf", { range: "bytes=0-" })).toMatchObject({ status: 416 });
    expect(parseRange("bytes=-5", 0)).toBe("unsatisfiable");
  });
});

test("what has not changed is not sent again", async () => {
  const etag = (await get("/")).headers.etag ?? "";
  expect(await get("/", { "if-none-match": etag })).toMatchObject({ status: 304, body: "" });
  expect(await get("/", { "if-none-match": '"old"' })).toMatchObject({ status: 200 });
});

test("a port that is in use gets one sentence that says what to do", async () => {
  const { port } = isolated.address();
  await expect(listen(() => {}, port, "127.0.0.1")).rejects.toThrow(
    `port ${port} is in use: stop the program that has it, or choose another port with PORT=${port + 1}`,
  );
});

test.each([
  [["--fast"], {}, "serve: unknown option `--fast`: the only one is --no-isolation\n"],
  [[], { PORT: "eighty" }, "serve: `PORT` is `eighty`: expected a number from 0 to 65535\n"],
])("the command with %j and %j gets one sentence", async (args, env, sentence) => {
  expect(await run(args, env)).toEqual({ code: 1, errors: sentence });
});

function get(path, headers = {}, method = "GET", server = isolated) {
  const { port } = server.address();
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers }, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode, headers: response.headers, body });
    });
    sent.on("error", reject).end();
  });
}

function run(args, env) {
  const script = fileURLToPath(new URL("../serve.js", import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { env: { ...process.env, ...env } });
  let errors = "";
  child.stderr.on("data", (data) => (errors += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, errors })));
}
