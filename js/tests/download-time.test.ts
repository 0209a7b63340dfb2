import { afterEach, describe, expect, test, vi } from "vitest";
import { misbehave } from "../../tests/servers/misbehaving.js";
import { download } from "../src/download.js";
import { FILE, HASTE, WHOLE, asked, bytes } from "./downloads.js";
import { rejection } from "./fake.js";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
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
