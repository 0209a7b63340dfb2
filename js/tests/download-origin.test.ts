import { afterEach, describe, expect, test, vi } from "vitest";
import {
  ETAG,
  LAST_MODIFIED,
  misbehave,
  type Cors,
  type Misbehaviour,
} from "../../tests/servers/misbehaving.js";
import { Changed, download } from "../src/download.js";
import { FILE, HASTE, WHOLE, asked, bytes, joined, noise } from "./downloads.js";
import { rejection } from "./fake.js";

afterEach(() => void vi.unstubAllGlobals());

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
    await using server = await misbehave(file, [{ encoding: "gzip" }]);
    stubCrossOriginFetch();
    expect(await bytes(server.url)).toEqual(file);
    expect(asked(server)).toEqual([WHOLE]);
  });
});
