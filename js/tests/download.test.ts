import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ETAG, LAST_MODIFIED, misbehave, type Misbehaviour } from "../../tests/servers/misbehaving.js";
import { Changed, download, type DownloadOptions } from "../src/download.js";
import { TallowError } from "../src/errors.js";
import { FILE, HASTE, WHOLE, asked, bytes, joined, noise } from "./downloads.js";
import { rejection } from "./fake.js";

const NO_VALIDATORS = { ETag: null, "Last-Modified": null };

test("a file that comes in one piece is asked for once", async () => {
  await using server = await misbehave(FILE);
  const { version, chunks } = await download(server.url);
  expect(version).toEqual({ etag: ETAG, lastModified: LAST_MODIFIED, length: 1000 });
  expect(await joined(chunks)).toEqual(FILE);
  expect(asked(server)).toEqual([WHOLE]);
});

describe("goes on where", () => {
  test.each<[string, Misbehaviour[], (string | undefined)[][], DownloadOptions?]>([
    ["a connection is cut", [{ cut: 100 }], [["bytes=100-", ETAG]]],
    [
      "a connection is cut twice",
      [{ cut: 100 }, { cut: 200 }],
      [
        ["bytes=100-", ETAG],
        ["bytes=300-", ETAG],
      ],
    ],
    ["a connection is cut before the first byte", [{ cut: 0 }], [WHOLE]],
    ["a server stalls", [{ stall: 100 }], [["bytes=100-", ETAG]]],
    ["a server does not answer at first", [{ silent: true }], [WHOLE]],
    [
      "a server has no ETag",
      [{ cut: 100, headers: { ETag: null } }, { headers: { ETag: null } }],
      [["bytes=100-", LAST_MODIFIED]],
    ],
    [
      "an answer to If-Range has no validator",
      [{ cut: 100 }, { headers: NO_VALIDATORS }],
      [["bytes=100-", ETAG]],
    ],
    [
      "an ETag is weak, which If-Range may not hold",
      [{ cut: 100, headers: { ETag: 'W/"1"' } }, { headers: { ETag: 'W/"1"' } }],
      [["bytes=100-", undefined]],
    ],
    ["a server has no ranges", [{ cut: 100 }, { ranges: false }], [["bytes=100-", ETAG]]],
    ["a range starts too early", [{ cut: 100 }, { rangeStart: 40 }], [["bytes=100-", ETAG]]],
    [
      "a range does not say how long the file is",
      [{ cut: 100 }, { headers: { "Content-Range": "bytes 100-999/*" } }],
      [["bytes=100-", ETAG]],
    ],
    [
      "a range is shorter than asked for",
      [{ cut: 100 }, { rangeLength: 300 }],
      [
        ["bytes=100-", ETAG],
        ["bytes=400-", ETAG],
      ],
    ],
    [
      "a body without a length ends before the file's own header says",
      [{ end: 100, headers: { "Content-Length": null } }],
      [["bytes=100-", ETAG]],
      { expectedLength: () => 1000 },
    ],
    [
      "Content-Length is too short",
      [{ cut: 1000, headers: { "Content-Length": "900" } }],
      [["bytes=900-", ETAG]],
      { expectedLength: () => 1000 },
    ],
    [
      "Content-Length is too long",
      [{ cut: 1000, headers: { "Content-Length": "1100" } }],
      [],
      { expectedLength: () => 1000 },
    ],
    [
      "Content-Length is too long and the connection stays open",
      [{ stall: 1000, headers: { "Content-Length": "1100" } }],
      [],
      { expectedLength: () => 1000 },
    ],
    [
      "a connection is cut after what the file's own header describes",
      [{ cut: 950 }],
      [["bytes=950-", ETAG]],
      { expectedLength: () => 900 },
    ],
    [
      "a connection without a length is cut after what the file's own header describes",
      [{ cut: 950, headers: { "Content-Length": null } }],
      [["bytes=950-", ETAG]],
      { expectedLength: () => 900 },
    ],
    [
      "a connection without a length is cut after the last byte",
      [{ cut: 1000, headers: { "Content-Length": null } }],
      [["bytes=1000-", ETAG]],
    ],
    ["a server hangs up before it has ever answered", [{ hangUp: true }, { hangUp: true }], [WHOLE, WHOLE]],
    [
      "a server answers with a range that nobody asked for",
      [{ unasked: true, rangeLength: 300 }],
      [["bytes=300-", ETAG]],
    ],
    [
      "a range is said to be as it is",
      [{ cut: 100 }, { headers: { "Content-Encoding": "identity" } }],
      [["bytes=100-", ETAG]],
    ],
    [
      "a server is busy",
      [{ status: 503 }, { cut: 100 }, { status: 429 }],
      [WHOLE, ["bytes=100-", ETAG], ["bytes=100-", ETAG]],
    ],
    [
      "a server hangs up, maybe for its dislike of If-Range",
      [{ cut: 100 }, { hangUp: true }],
      [
        ["bytes=100-", ETAG],
        ["bytes=100-", undefined],
      ],
    ],
    [
      "a hash will tell the versions apart",
      [{ cut: 100, headers: NO_VALIDATORS }, { headers: NO_VALIDATORS }],
      [["bytes=100-", undefined]],
      { pinned: true },
    ],
    [
      "a hash will tell the versions apart, and there are no ranges",
      [
        { cut: 100, headers: NO_VALIDATORS },
        { ranges: false, headers: NO_VALIDATORS },
      ],
      [["bytes=100-", undefined]],
      { pinned: true },
    ],
  ])("%s", async (_, script, requests, options) => {
    await using server = await misbehave(FILE, script);
    expect(await bytes(server.url, options)).toEqual(FILE);
    expect(asked(server)).toEqual([WHOLE, ...requests]);
  });

  test("a redirect's target has expired", async () => {
    const redirect = (to: string) => ({ status: 302, headers: { Location: to } });
    await using server = await misbehave(FILE, [redirect("/signed-1"), { cut: 100 }, redirect("/signed-2")]);
    expect(await bytes(server.url)).toEqual(FILE);
    expect(server.requests.map(({ path }) => path)).toEqual([
      "/model.gguf",
      "/signed-1",
      "/model.gguf",
      "/signed-2",
    ]);
    expect(asked(server).slice(2)).toEqual([
      ["bytes=100-", ETAG],
      ["bytes=100-", ETAG],
    ]);
  });

  test.each<[string, "gzip" | "br", Misbehaviour]>([
    ["by an identity range", "gzip", {}],
    ["by an identity range", "br", {}],
    ["by passing over what is there", "gzip", { encoding: "gzip", ranges: false }],
    ["by passing over what comes in another encoding", "gzip", { encoding: "br", ranges: false }],
  ])("an encoded body breaks off, %s (%s)", async (_, encoding, second) => {
    const file = noise(60_000);
    await using server = await misbehave(file, [{ encoding, stall: 40_000 }, second]);
    const { version, chunks } = await download(server.url, HASTE);
    expect(version.length).toBe(undefined);
    expect(await joined(chunks)).toEqual(file);
    const [, range] = server.requests.map(({ headers }) => headers.range);
    expect(range).toMatch(/^bytes=\d+-$/);
    expect(Number(range?.match(/\d+/)?.[0])).toBeGreaterThan(10_000);
  });

  test("a browser takes no encoded answer to a range request, as Chromium does", async () => {
    const file = noise(60_000);
    const encoded: Misbehaviour = { encoding: "gzip", ranges: false };
    await using server = await misbehave(file, [
      { encoding: "gzip", stall: 40_000 },
      ...Array(5).fill(encoded),
    ]);
    const { fetch } = globalThis;
    onTestFinished(() => void vi.unstubAllGlobals());
    vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
      const response = await fetch(url, init);
      if (new Headers(init.headers).has("range") && response.headers.has("content-encoding"))
        throw new TypeError("Failed to fetch");
      return response;
    });
    expect(await bytes(server.url)).toEqual(file);
    const kinds = server.requests.map(({ headers }) => [headers.range && "range", headers["if-range"]]);
    expect(kinds).toEqual([WHOLE, ["range", ETAG], ["range", undefined], WHOLE]);
  });

  test("a range says how long the file is", async () => {
    await using server = await misbehave(FILE, [{ cut: 100, headers: { "Content-Length": null } }]);
    const { version, chunks } = await download(server.url, HASTE);
    expect(version.length).toBe(undefined);
    for await (const _ of chunks);
    expect(version.length).toBe(1000);
  });

  test("an earlier download ended", async () => {
    await using server = await misbehave(FILE);
    const { version } = await download(server.url);
    expect(await bytes(server.url, { from: 400, version })).toEqual(FILE.subarray(400));
    expect(asked(server)).toEqual([WHOLE, ["bytes=400-", ETAG]]);
  });

  test("an earlier download has all", async () => {
    await using server = await misbehave(FILE);
    const { version } = await download(server.url);
    expect(await bytes(server.url, { from: 1000, version })).toEqual(new Uint8Array());
    expect(asked(server)).toEqual([WHOLE, ["bytes=1000-", ETAG]]);
  });
});

describe("does not put two versions together where", () => {
  const other = { file: noise(1001).subarray(1), headers: { ETag: '"2"' } };

  test.each<[string, Misbehaviour[], string, DownloadOptions?]>([
    ["the ETag is another", [{ cut: 100 }, other], 'changed on the server: expected "1", got "2"'],
    [
      "the ETag is another though the hash is known",
      [{ cut: 100 }, other],
      'changed on the server: expected "1", got "2"',
      { pinned: true },
    ],
    [
      "a range has another ETag in spite of If-Range",
      [{ cut: 100 }, { status: 206, headers: { ETag: '"2"', "Content-Range": "bytes 100-106/1000" } }],
      'changed on the server: expected "1", got "2"',
    ],
    [
      "Last-Modified is another",
      [
        { cut: 100, headers: { ETag: null } },
        { headers: { ETag: null, "Last-Modified": "Sun, 02 Jun 2024 12:00:00 GMT" } },
      ],
      `changed on the server: expected ${LAST_MODIFIED}, got Sun, 02 Jun 2024 12:00:00 GMT`,
    ],
    [
      "another file has the same ETag and is longer",
      [{ cut: 100 }, { file: noise(1001) }],
      "changed on the server: expected 1000 bytes, got 1001",
    ],
    [
      "another file has the same ETag, is shorter, and has no ranges",
      [{ cut: 100 }, { file: noise(999), ranges: false }],
      "changed on the server: expected 1000 bytes, got 999",
    ],
    [
      "another file has no validator and is longer",
      [
        { cut: 100, headers: NO_VALIDATORS },
        { file: noise(1001), headers: NO_VALIDATORS },
      ],
      "changed on the server: expected 1000 bytes, got 1001",
      { pinned: true },
    ],
    [
      "a range starts too late",
      [{ cut: 100 }, { rangeStart: 101 }],
      "was answered with another range: expected `bytes 100-`, got `bytes 101-999/1000`",
    ],
    [
      "a range is not said in bytes",
      [{ cut: 100 }, { headers: { "Content-Range": "items 100-999/1000" } }],
      "was answered with another range: expected `bytes 100-`, got `items 100-999/1000`",
    ],
    [
      "a range has more bytes than it says",
      [{ cut: 100 }, { wholeAsRange: true }],
      "was answered with more than the range that ends at 1000",
    ],
    [
      "a range is one of an encoded body",
      [{ cut: 100 }, { headers: { "Content-Encoding": "br" } }],
      "was answered with a part of an encoded body",
    ],
    [
      "there is no validator",
      [{ cut: 100, headers: NO_VALIDATORS }],
      "broke off: expected 1000 bytes, got 100",
    ],
    [
      "the validator is gone",
      [{ cut: 100 }, { ranges: false, headers: NO_VALIDATORS }],
      "has no ETag and no Last-Modified that could tell its versions apart",
    ],
    [
      "the file is shorter than what came of it",
      [{ cut: 100 }, { file: FILE.subarray(0, 99) }],
      "changed on the server: expected 1000 bytes, got 99",
    ],
    [
      "the file is shorter than what came of it, and was not known to be longer",
      [{ cut: 100, headers: { "Content-Length": null } }, { file: FILE.subarray(0, 99) }],
      "was answered with status 416 Range Not Satisfiable",
    ],
    [
      "Content-Length was too long",
      [{ cut: 1000, headers: { "Content-Length": "1100" } }],
      "changed on the server: expected 1100 bytes, got 1000",
    ],
  ])("%s", async (_, script, message, options) => {
    await using server = await misbehave(FILE, script);
    const error = await rejection(bytes(server.url, options));
    expect(error).toBeInstanceOf(Changed);
    expect(error).toMatchObject({ code: "download_failed", message: `\`${server.url}\` ${message}` });
    expect(server.requests.length).toBeLessThanOrEqual(2);
  });

  test("the bytes of an earlier download are of no known version", async () => {
    await using server = await misbehave(FILE);
    expect(await rejection(bytes(server.url, { from: 100 }))).toBeInstanceOf(Changed);
    expect(server.requests).toEqual([]);
  });

  test("no byte has come, but the caller was told of another version", async () => {
    await using server = await misbehave(FILE, [{ cut: 0 }, other]);
    expect(await rejection(bytes(server.url))).toBeInstanceOf(Changed);
  });
});

describe("fails where", () => {
  test.each([
    [400, "Bad Request"],
    [403, "Forbidden"],
    [404, "Not Found"],
    [410, "Gone"],
    [416, "Range Not Satisfiable"],
  ])("the status is %i, at once", async (status, text) => {
    await using server = await misbehave(FILE, [{ status }]);
    const error = await rejection(download(server.url, HASTE));
    expect(error).not.toBeInstanceOf(Changed);
    expect(error).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` was answered with status ${status} ${text}`,
    });
    expect(server.requests.length).toBe(1);
  });

  test.each([
    [408, "Request Timeout"],
    [425, "Too Early"],
    [429, "Too Many Requests"],
    [500, "Internal Server Error"],
    [503, "Service Unavailable"],
  ])("the status is %i six times", async (status, text) => {
    await using server = await misbehave(FILE, Array<Misbehaviour>(6).fill({ status }));
    expect(await rejection(download(server.url, HASTE))).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` was answered with status ${status} ${text}`,
    });
    expect(server.requests.length).toBe(6);
    expect(await bytes(server.url)).toEqual(FILE);
  });

  test("a file is gone in the middle of a download", async () => {
    await using server = await misbehave(FILE, [{ cut: 100 }, { status: 404 }]);
    expect(await rejection(bytes(server.url))).toMatchObject({
      message: `\`${server.url}\` was answered with status 404 Not Found`,
    });
  });

  test("there is no body", async () => {
    await using server = await misbehave(FILE, [
      { status: 204, end: 0, headers: { "Content-Length": null } },
    ]);
    expect(await rejection(bytes(server.url))).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` was answered without a body`,
    });
    expect(server.requests.length).toBe(1);
  });

  test("there is no server", async () => {
    const server = await misbehave(FILE);
    await server[Symbol.asyncDispose]();
    const error = await rejection(download(server.url, HASTE));
    expect(error).toBeInstanceOf(TallowError);
    expect(error).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` could not be fetched`,
      cause: { name: "TypeError" },
    });
  });

  test("a server hangs up three times and has never answered", async () => {
    await using server = await misbehave(FILE, Array<Misbehaviour>(3).fill({ hangUp: true }));
    expect(await rejection(bytes(server.url))).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` could not be fetched`,
    });
    expect(server.requests.length).toBe(3);
  });

  test("six attempts in a row bring no new byte, of a server that breaks off at the same place", async () => {
    const script: Misbehaviour[] = [
      { cut: 100 },
      ...Array<Misbehaviour>(6).fill({ cut: 100, ranges: false }),
    ];
    await using server = await misbehave(FILE, script);
    expect(await rejection(bytes(server.url))).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` broke off: expected 1000 bytes, got 100`,
      cause: { name: "TypeError" },
    });
    expect(server.requests.length).toBe(7);
  });

  test("six attempts in a row bring no new byte, of a server that stalls", async () => {
    await using server = await misbehave(FILE, Array<Misbehaviour>(6).fill({ stall: 0 }));
    expect(await rejection(bytes(server.url, { stallTimeout: 50 }))).toMatchObject({
      code: "download_failed",
      message: `\`${server.url}\` broke off: nothing came for 0.05 s`,
    });
    expect(server.requests.length).toBe(6);
    const broken = { broken: true };
    await vi.waitFor(() => expect(server.requests).toMatchObject(Array(6).fill(broken)));
  });

  test("not while each brings a byte", async () => {
    await using server = await misbehave(FILE.subarray(0, 20), Array<Misbehaviour>(20).fill({ cut: 1 }));
    expect(await bytes(server.url, { attempts: 2 })).toEqual(FILE.subarray(0, 20));
    expect(server.requests.length).toBe(20);
  });
});
