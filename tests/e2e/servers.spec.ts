/** Models from servers that misbehave, in Chromium: what is loaded is the file, or the error says what was wrong. */

import { expect, test } from "@playwright/test";
import { misbehave, type Misbehaviour } from "../servers/misbehaving.js";
import { MODEL, TINY, load, openPackage, serveFiles, serveModel, sha256 } from "./loading.js";

const CUT = 200_000;
const BREAKS_OFF = { cut: CUT, linger: 500 };
const NO_VALIDATORS = { ETag: null, "Last-Modified": null };
const WEAK = { ETag: 'W/"1"' };
const HTML = Buffer.from("<!doctype html><title>Sign in</title>");

/** What a load has come to whose bytes are right, and are stored. */
const WHOLE = {
  text: expect.any(String),
  sha256: [sha256(TINY)],
  warnings: [],
  stored: [{ complete: true, sha256: [sha256(TINY)], fileBytes: TINY.length }],
};

const inSeconds = (seconds: number) => new Date(Date.now() + 1000 * seconds).toUTCString();

/** Of each request whether it asks for a range, and with which If-Range. */
const cases: [name: string, script: Misbehaviour[], asked: string[]][] = [
  ["has no ranges", [BREAKS_OFF, { ranges: false }], ["whole", 'range "1"']],
  ["has a weak ETag", [{ ...BREAKS_OFF, headers: WEAK }, { headers: WEAK }], ["whole", "range"]],
  ["has another ETag", [BREAKS_OFF, { headers: { ETag: '"2"' } }], ["whole", 'range "1"', "whole"]],
  [
    "has lost its validators",
    [BREAKS_OFF, { ranges: false, headers: NO_VALIDATORS }],
    ["whole", 'range "1"', "whole"],
  ],
  ["answers a range with 416", [BREAKS_OFF, { status: 416 }], ["whole", 'range "1"', "whole"]],
  ["answers with an earlier range", [BREAKS_OFF, { rangeStart: 100 }], ["whole", 'range "1"']],
  ["answers with a later range", [BREAKS_OFF, { rangeStart: 300_000 }], ["whole", 'range "1"', "whole"]],
  ["answers with a shorter range", [BREAKS_OFF, { rangeLength: 100 }], ["whole", 'range "1"', 'range "1"']],
  ["answers a range with all", [BREAKS_OFF, { wholeAsRange: true }], ["whole", 'range "1"', "whole"]],
  ["answers with a range unasked", [{ unasked: true, rangeLength: CUT }], ["whole", 'range "1"']],
  [
    "answers a range with a page",
    [BREAKS_OFF, { file: HTML, ranges: false, headers: NO_VALIDATORS }],
    ["whole", 'range "1"', "whole"],
  ],
  [
    "says too short a length",
    [{ headers: { "Content-Length": `${TINY.length - 1000}` } }],
    ["whole", 'range "1"'],
  ],
  [
    "says too great a length",
    [{ ...BREAKS_OFF, cut: TINY.length, headers: { "Content-Length": `${TINY.length + 1000}` } }],
    ["whole"],
  ],
  ["says no length", [{ headers: { "Content-Length": null } }], ["whole"]],
  [
    "says no length and breaks off",
    [{ ...BREAKS_OFF, headers: { "Content-Length": null } }],
    ["whole", 'range "1"'],
  ],
  ["encodes by gzip", [{ encoding: "gzip" }], ["whole"]],
  ["encodes by brotli", [{ encoding: "br" }], ["whole"]],
  ["encodes, breaks off, and has a range", [{ encoding: "gzip", ...BREAKS_OFF }], ["whole", 'range "1"']],
  [
    "encodes, breaks off, and has no ranges",
    [
      { encoding: "gzip", ...BREAKS_OFF },
      ...Array<Misbehaviour>(3).fill({ encoding: "gzip", ranges: false }),
    ],
    // Chromium takes no encoded answer to a range request.
    ["whole", 'range "1"', "range", "whole"],
  ],
  [
    "is busy, and says for how many seconds",
    [{ status: 503, headers: { "Retry-After": "1" } }],
    ["whole", "whole"],
  ],
  [
    "is busy, and says until when",
    [{ status: 429, headers: { "Retry-After": inSeconds(2) } }],
    ["whole", "whole"],
  ],
  [
    "is busy in the middle",
    [BREAKS_OFF, { status: 429 }, { status: 503 }],
    ["whole", 'range "1"', 'range "1"', 'range "1"'],
  ],
  ["has an error that passes", [{ status: 500 }, { status: 502 }], ["whole", "whole", "whole"]],
  ["hangs up in the middle", [BREAKS_OFF, { cut: 0 }], ["whole", 'range "1"', 'range "1"']],
];

for (const [name, script, asked] of cases) {
  test(`a server that ${name}`, async ({ page }) => {
    await using server = await serveModel(TINY, script);
    await openPackage(page, server.url);
    expect(await load(page)).toMatchObject(WHOLE);
    const seen = server.requests.map(({ headers: { range, ...headers } }) =>
      [range ? "range" : "whole", headers["if-range"]].filter(Boolean).join(" "),
    );
    expect(seen).toEqual(asked);
    // What is stored was not spoiled either.
    expect(await load(page)).toMatchObject(WHOLE);
    expect(server.requests).toHaveLength(asked.length);
  });
}

test("a server that hangs up before it has ever answered", async ({ page }) => {
  await using server = await serveModel(TINY, [{ hangUp: true }, { hangUp: true }]);
  await openPackage(page, server.url);
  expect(await load(page)).toMatchObject(WHOLE);
});

test("a server that redirects, each time to another address", async ({ page }) => {
  const to = (path: string) => ({ status: 302, headers: { Location: path } });
  await using server = await serveFiles({
    [MODEL]: { file: TINY, script: [to("/signed-1"), to("/signed-2")] },
    "/signed-1": { file: TINY, script: [BREAKS_OFF] },
    "/signed-2": { file: TINY },
  });
  await openPackage(page, server.url);
  expect(await load(page)).toMatchObject(WHOLE);
  expect(server.requests.map(({ path }) => path)).toEqual([MODEL, "/signed-1", MODEL, "/signed-2"]);
  expect(server.requests.map(({ headers }) => headers["if-range"])).toEqual([
    undefined,
    undefined,
    '"1"',
    '"1"',
  ]);
});

test("servers that stall, before an answer or in the middle, are given up after a while", async ({
  page,
}) => {
  await using server = await serveFiles({
    "/silent.gguf": { file: TINY, script: [{ silent: true }] },
    "/stalls.gguf": { file: TINY, script: [{ stall: CUT }] },
    // All is there, as the file's own header says.
    "/lies.gguf": {
      file: TINY,
      script: [{ stall: TINY.length, headers: { "Content-Length": `${TINY.length + 1000}` } }],
    },
  });
  await openPackage(page, server.url);
  const loads = await page.evaluate(
    async (paths) =>
      Promise.all(
        paths.map(async (path) => {
          const model = await tallow.loadModel(path);
          await model.dispose();
          return model.info.sha256;
        }),
      ),
    ["/silent.gguf", "/stalls.gguf", "/lies.gguf"],
  );
  expect(loads).toEqual(Array(3).fill([sha256(TINY)]));
  const asked = server.requests.map(({ path, headers }) => `${path} ${headers.range ?? "whole"}`);
  expect(asked.sort()).toEqual([
    "/lies.gguf whole",
    "/silent.gguf whole",
    "/silent.gguf whole",
    `/stalls.gguf bytes=${CUT}-`,
    "/stalls.gguf whole",
  ]);
});

/** What is said at once, and kept is nothing. */
const refusals: [name: string, misbehaviour: Misbehaviour, error: RegExp, wrongWithHash?: RegExp][] = [
  ["has no such file", { status: 404 }, /^download_failed: `.*` was answered with status 404 Not Found$/],
  ["forbids it", { status: 403 }, /^download_failed: `.*` was answered with status 403 Forbidden$/],
  [
    "is busy for long",
    { status: 503, headers: { "Retry-After": "3600" } },
    /^download_failed: .* 503 Service Unavailable: expected to wait at most 60 s, got 3600 s$/,
  ],
  [
    "answers with a page",
    { file: HTML, headers: { "Content-Type": "text/html" } },
    /^invalid_model: .*GGUF/,
    /^integrity_error: /,
  ],
  ["answers with nothing", { file: Buffer.alloc(0) }, /^invalid_model: /, /^integrity_error: /],
  [
    "redirects to itself",
    { status: 302, headers: { Location: MODEL } },
    /^download_failed: `.*` could not be fetched$/,
  ],
];

for (const [name, misbehaviour, error, withHash = error] of refusals) {
  test(`a server that ${name} is told of`, async ({ page }) => {
    // Redirects have no end, whoever asks; the others are asked once.
    const endless = misbehaviour.headers?.["Location"] !== undefined;
    const script: Misbehaviour[] = Array(endless ? 200 : 2).fill(misbehaviour);
    await using server = await serveModel(TINY, script);
    await openPackage(page, server.url);
    expect(await load(page)).toMatchObject({ error: expect.stringMatching(error), stored: [] });
    const hashed = await load(page, { sha256: sha256(TINY) });
    expect(hashed).toMatchObject({ error: expect.stringMatching(withHash), stored: [] });
    if (endless) return;
    expect(server.requests).toHaveLength(2);
    expect(await load(page)).toMatchObject(WHOLE);
  });
}

for (const [name, cors, ifRange] of [
  ["hides its ETag and refuses If-Range", {}, undefined],
  ["shows its ETag", { exposeHeaders: "ETag, Content-Range" }, undefined],
  ["allows all", { allowHeaders: "Range, If-Range", exposeHeaders: "ETag, Content-Range" }, '"1"'],
] as const) {
  test(`a server of another origin that breaks off and ${name}`, async ({ page }) => {
    await using here = await serveFiles({});
    await using there = await misbehave(TINY, [BREAKS_OFF], cors);
    await openPackage(page, here.url);
    expect(await load(page, {}, there.url)).toMatchObject(WHOLE);
    expect(there.requests.map(({ headers }) => [headers.range?.slice(0, 6), headers["if-range"]])).toEqual([
      [undefined, undefined],
      ["bytes=", ifRange],
    ]);
  });
}
