import { afterEach, describe, expect, test, vi } from "vitest";
import {
  ETAG,
  LAST_MODIFIED,
  misbehave,
  type Cors,
  type MisbehavingServer,
  type Misbehaviour,
} from "../../tests/servers/misbehaving.js";
import { Changed, download, type DownloadOptions } from "../src/download.js";
import { TallowError } from "../src/errors.js";
import { rejection } from "./fake.js";

/** Nothing that an encoder could shorten much, and no two parts alike. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 0x7fffffff) >> 8);
}

const FILE = noise(1000);

/** Patience for tests. */
const HASTE = { backoff: 2, stallTimeout: 200 };

const NO_VALIDATORS = { ETag: null, "Last-Modified": null };

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

/** All that a download brings. */
async function bytes(url: string, options: DownloadOptions = {}): Promise<Uint8Array> {
  return joined((await download(url, { ...HASTE, ...options })).chunks);
}

/** The range that each request asked for, and its If-Range. */
function asked({ requests }: MisbehavingServer): (string | undefined)[][] {
  return requests.map(({ headers }) => [headers.range, headers["if-range"] as string | undefined]);
}

const WHOLE = [undefined, undefined];

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

  test.each<[string, Misbehaviour]>([
    ["by an identity range", {}],
    ["by passing over what is there", { gzip: true, ranges: false }],
  ])("an encoded body breaks off, %s", async (_, second) => {
    const file = noise(60_000);
    await using server = await misbehave(file, [{ gzip: true, stall: 40_000 }, second]);
    const { version, chunks } = await download(server.url, HASTE);
    expect(version.length).toBe(undefined);
    expect(await joined(chunks)).toEqual(file);
    const [, range] = server.requests.map(({ headers }) => headers.range);
    expect(range).toMatch(/^bytes=\d+-$/);
    expect(Number(range?.match(/\d+/)?.[0])).toBeGreaterThan(10_000);
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

test("a slow server is waited for", async () => {
  await using server = await misbehave(FILE, [{ drip: { bytes: 100, ms: 40 } }]);
  expect(await bytes(server.url, { stallTimeout: 300 })).toEqual(FILE);
  expect(asked(server)).toEqual([WHOLE]);
});

test("a slow caller is not taken for a server that stalls", async () => {
  await using server = await misbehave(FILE, [{ drip: { bytes: 500, ms: 10 } }]);
  const { chunks } = await download(server.url, { ...HASTE, stallTimeout: 100 });
  for await (const _ of chunks) await new Promise((resolve) => setTimeout(resolve, 150));
  expect(asked(server)).toEqual([WHOLE]);
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

describe("waits", () => {
  /** When a download asks, with the timeouts that users get, a server that answers as `fetch` does. */
  async function askedAt(fetch: () => Promise<Response>): Promise<number[]> {
    vi.useFakeTimers({ now: 0 });
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const times: number[] = [];
    vi.stubGlobal("fetch", () => {
      times.push(Date.now() / 1000);
      return fetch();
    });
    const failure = rejection(download("https://example.test/model.gguf"));
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(await failure).toMatchObject({ code: "download_failed" });
    return times;
  }

  test("longer after each attempt that brings nothing", async () => {
    const unavailable = async () => new Response(null, { status: 503 });
    expect(await askedAt(unavailable)).toEqual([0, 1, 3, 7, 15, 31]);
  });

  test("20 seconds for a byte", async () => {
    expect(await askedAt(() => new Promise(() => {}))).toEqual([0, 21, 43, 67, 95, 131]);
  });

  test("as long as Retry-After says in seconds", async () => {
    const headers = { "retry-after": "60" };
    const unavailable = async () => new Response(null, { status: 503, headers });
    expect(await askedAt(unavailable)).toEqual([0, 60, 120, 180, 240, 300]);
  });

  test("as long as Retry-After says as a date", async () => {
    const headers = { "retry-after": "Thu, 01 Jan 1970 00:00:40 GMT" };
    const unavailable = async () => new Response(null, { status: 503, headers });
    expect(await askedAt(unavailable)).toEqual([0, 40, 42, 46, 54, 70]);
  });

  test("as ever where Retry-After says nothing", async () => {
    const headers = { "retry-after": "soon" };
    const unavailable = async () => new Response(null, { status: 503, headers });
    expect(await askedAt(unavailable)).toEqual([0, 1, 3, 7, 15, 31]);
  });

  test("for a real server that asks for it", async () => {
    await using server = await misbehave(FILE, [{ status: 429, headers: { "Retry-After": "1" } }]);
    expect(await bytes(server.url)).toEqual(FILE);
    const [first, second] = server.requests.map(({ at }) => at);
    expect(Number(second) - Number(first)).toBeGreaterThan(950);
  });

  test("no longer than a minute", async () => {
    await using server = await misbehave(FILE, [{ status: 503, headers: { "Retry-After": "61" } }]);
    expect(await rejection(bytes(server.url))).toMatchObject({
      code: "download_failed",
      message:
        `\`${server.url}\` was answered with status 503 Service Unavailable: ` +
        "expected to wait at most 60 s, got 61 s",
    });
    expect(server.requests.length).toBe(1);
  });
});

describe("an abort rejects with its reason and closes the connection", () => {
  const reason = new RangeError("mine");

  test("before anything is asked", async () => {
    await using server = await misbehave(FILE);
    expect(await rejection(download(server.url, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test("before an answer", async () => {
    await using server = await misbehave(FILE, [{ silent: true }]);
    const controller = new AbortController();
    const opening = rejection(download(server.url, { signal: controller.signal }));
    await vi.waitFor(() => expect(server.requests.length).toBe(1));
    controller.abort(reason);
    expect(await opening).toBe(reason);
    await vi.waitFor(() => expect(server.requests).toMatchObject([{ broken: true }]));
  });

  test("while a chunk is waited for", async () => {
    await using server = await misbehave(FILE, [{ stall: 100 }]);
    const controller = new AbortController();
    const { chunks } = await download(server.url, { signal: controller.signal });
    const iterator = chunks[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual(FILE.subarray(0, 100));
    const next = rejection(iterator.next());
    controller.abort(reason);
    expect(await next).toBe(reason);
    await vi.waitFor(() => expect(server.requests).toMatchObject([{ broken: true }]));
  });

  test("while the caller has a chunk", async () => {
    await using server = await misbehave(FILE, [{ stall: 100 }]);
    const controller = new AbortController();
    const { chunks } = await download(server.url, { signal: controller.signal });
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    controller.abort(reason);
    await vi.waitFor(() => expect(server.requests).toMatchObject([{ broken: true }]));
    expect(await rejection(iterator.next())).toBe(reason);
  });

  test("before the chunks are read", async () => {
    await using server = await misbehave(FILE, [{ stall: 100 }]);
    const controller = new AbortController();
    const { chunks } = await download(server.url, { signal: controller.signal });
    controller.abort(reason);
    await vi.waitFor(() => expect(server.requests).toMatchObject([{ broken: true }]));
    expect(await rejection(chunks[Symbol.asyncIterator]().next())).toBe(reason);
  });

  test("between two attempts", async () => {
    await using server = await misbehave(FILE, [{ status: 503, headers: { "Retry-After": "30" } }]);
    const controller = new AbortController();
    const opening = rejection(download(server.url, { signal: controller.signal }));
    await vi.waitFor(() => expect(server.requests.length).toBe(1));
    setTimeout(() => controller.abort(reason), 50);
    expect(await opening).toBe(reason);
    expect(server.requests.length).toBe(1);
  });
});

test("leaving the iteration closes the connection", async () => {
  await using server = await misbehave(FILE, [{ stall: 100 }]);
  const { chunks } = await download(server.url);
  for await (const _ of chunks) break;
  await vi.waitFor(() => expect(server.requests).toMatchObject([{ broken: true }]));
});

test("no chunk is read before it is asked for", async () => {
  let pulls = 0;
  const source: UnderlyingDefaultSource<Uint8Array> = {
    pull: (controller) => controller.enqueue(Uint8Array.of(pulls++)),
  };
  const body = new ReadableStream(source, { highWaterMark: 0 });
  vi.stubGlobal("fetch", async () => new Response(body));
  const { chunks } = await download("https://example.test/model.gguf");
  const iterator = chunks[Symbol.asyncIterator]();
  for (const i of [0, 1, 2]) {
    expect((await iterator.next()).value).toEqual(Uint8Array.of(i));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(pulls).toBe(i + 1);
  }
});

describe("another origin", () => {
  /** The headers that any page may read, of those that matter here. */
  const SAFELISTED = ["content-length", "content-type", "last-modified"];

  /** `fetch` as browsers do it to another origin: with a preflight for If-Range, and with headers hidden. */
  function stubCrossOriginFetch(): void {
    const { fetch } = globalThis;
    vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
      if (new Headers(init.headers).has("if-range")) {
        const preflight = await fetch(url, { method: "OPTIONS" });
        if (!/\bif-range\b/i.test(preflight.headers.get("access-control-allow-headers") ?? ""))
          throw new TypeError("Failed to fetch");
      }
      const { body, headers, status, statusText } = await fetch(url, init);
      const exposed = headers.get("access-control-expose-headers")?.toLowerCase().split(", ") ?? [];
      const visible = [...headers].filter(([name]) => [...SAFELISTED, ...exposed].includes(name));
      return new Response(body, { headers: visible, status, statusText });
    });
  }

  test.each<[string, Cors, string | undefined, string | null]>([
    ["refuses If-Range and hides the ETag", {}, undefined, null],
    ["refuses If-Range", { exposeHeaders: "ETag, Content-Range" }, undefined, ETAG],
    [
      "allows If-Range",
      { allowHeaders: "Range, If-Range", exposeHeaders: "ETag, Content-Range" },
      ETAG,
      ETAG,
    ],
    ["allows If-Range and hides the ETag", { allowHeaders: "Range, If-Range" }, LAST_MODIFIED, null],
  ])("that %s", async (_, cors, ifRange, etag) => {
    await using server = await misbehave(FILE, [{ cut: 100 }], cors);
    stubCrossOriginFetch();
    const { version, chunks } = await download(server.url, HASTE);
    expect(version).toEqual({ etag, lastModified: LAST_MODIFIED, length: 1000 });
    expect(await joined(chunks)).toEqual(FILE);
    expect(asked(server)).toEqual([WHOLE, ["bytes=100-", ifRange]]);
  });

  test("refuses If-Range to what goes on with an earlier download", async () => {
    await using server = await misbehave(FILE);
    stubCrossOriginFetch();
    const version = { etag: ETAG, lastModified: LAST_MODIFIED, length: 1000 };
    expect(await bytes(server.url, { from: 400, version })).toEqual(FILE.subarray(400));
    expect(asked(server)).toEqual([["bytes=400-", undefined]]);
  });

  test("hides all that could tell two versions apart", async () => {
    const headers = { "Last-Modified": null };
    await using server = await misbehave(FILE, [
      { cut: 100, headers },
      { headers },
      { cut: 100, headers },
      { headers },
    ]);
    stubCrossOriginFetch();
    expect(await rejection(bytes(server.url))).toBeInstanceOf(Changed);
    expect(server.requests.length).toBe(1);
    expect(await bytes(server.url)).toEqual(FILE);
    expect(await bytes(server.url, { pinned: true })).toEqual(FILE);
    expect(asked(server)).toEqual([WHOLE, WHOLE, WHOLE, ["bytes=100-", undefined]]);
  });

  test.each<[string, Misbehaviour, string]>([
    [
      "another date",
      { headers: { "Last-Modified": "Sun, 02 Jun 2024 12:00:00 GMT" } },
      `expected ${LAST_MODIFIED}, got Sun, 02 Jun 2024 12:00:00 GMT`,
    ],
    ["another length", { file: noise(999) }, "expected 1000 bytes, got 999"],
  ])("that refuses If-Range has a version of %s", async (_, second, message) => {
    await using server = await misbehave(FILE, [{ cut: 100 }, second]);
    stubCrossOriginFetch();
    const error = await rejection(bytes(server.url));
    expect(error).toBeInstanceOf(Changed);
    expect(error).toMatchObject({ message: `\`${server.url}\` changed on the server: ${message}` });
    expect(asked(server)).toEqual([WHOLE, ["bytes=100-", undefined]]);
  });

  test("hides the encoding that makes Content-Length too short", async () => {
    const file = new Uint8Array(100_000);
    await using server = await misbehave(file, [{ gzip: true }]);
    stubCrossOriginFetch();
    expect(await bytes(server.url)).toEqual(file);
    expect(asked(server)).toEqual([WHOLE]);
  });
});
