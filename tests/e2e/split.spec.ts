/** Models of several files: from the first's URL, from all URLs, from Files; what is missing, mixed up or changed is told. */

import { expect, test, type Page } from "@playwright/test";
import type * as Tallow from "tallow";
import { TINY, golden, load, openPackage, serveFiles, sha256 } from "./loading.js";
import { splitGguf } from "./split-gguf.js";

const PARTS = splitGguf(TINY, 3);
const DIGESTS = PARTS.map(sha256);
const path = (i: number) => `/tiny-0000${i + 1}-of-00003.gguf`;
const PATHS = PARTS.map((_, i) => path(i));
const FIRST = path(0);

const served = (parts: readonly Buffer[] = PARTS) =>
  serveFiles(Object.fromEntries(parts.map((file, i) => [path(i), { file }])));

/** What the whole model answers, which its parts must as well. */
async function wholeAnswer(page: Page): Promise<string> {
  return page.evaluate(async (bytes) => {
    const model = await tallow.loadModel(Uint8Array.from(bytes).buffer);
    const body = { prompt: "abc", max_tokens: 4, temperature: 0, ignore_eos: true };
    const answer = await model.completions.create(body);
    await model.dispose();
    return answer.choices[0]?.text ?? "";
  }, Array.from(TINY));
}

test("a split model loads from its first URL, and again from storage", async ({ page }) => {
  await using server = await served();
  await openPackage(page, server.url);
  const text = await wholeAnswer(page);
  const first = await load(page, {}, FIRST);
  expect(first).toMatchObject({ text, sha256: DIGESTS, warnings: [] });
  expect(first.stored).toMatchObject([
    {
      urls: PATHS.map((path) => server.url + path),
      complete: true,
      sha256: DIGESTS,
      fileBytes: PARTS.reduce((sum, { length }) => sum + length, 0),
    },
  ]);
  expect(await load(page, {}, FIRST)).toEqual(first);
  // All URLs are the same model, and so are its hashes.
  expect(await load(page, { sha256: DIGESTS }, PATHS)).toEqual(first);
  expect(server.requests.map(({ path }) => path)).toEqual(PATHS);
});

test("a split model loads from Files, and is told of by its headers", async ({ page }) => {
  await using server = await served();
  await openPackage(page, server.url);
  const text = await wholeAnswer(page);
  const told = await page.evaluate(
    async ([paths, first]) => {
      const fetched = paths.map(async (path) => new File([await (await fetch(path)).blob()], path));
      const files = await Promise.all(fetched);
      const model = await tallow.loadModel(files);
      const body = { prompt: "abc", max_tokens: 4, temperature: 0, ignore_eos: true };
      const answer = await model.completions.create(body);
      await model.dispose();
      const codeOf = ({ code, message }: Tallow.TallowError) => `${code}: ${message}`;
      return {
        text: answer.choices[0]?.text,
        sha256: model.info.sha256,
        parameters: model.info.parameters,
        byUrl: await tallow.inspect(first),
        byFiles: await tallow.inspect(files),
        firstFile: (await tallow.inspect(files[0] as File)).problem,
        secondFile: await tallow.inspect(files[1] as File).then(() => "", codeOf),
      };
    },
    [PATHS, FIRST] as const,
  );
  expect(told).toMatchObject({ text, sha256: DIGESTS });
  const fileBytes = expect.any(Number);
  for (const found of [told.byUrl, told.byFiles])
    expect(found).toMatchObject({ parameters: told.parameters, fileBytes, problem: null });
  expect(told.firstFile).toEqual({
    code: "invalid_model",
    message: "the model should be 3 files, but there are 1",
  });
  expect(told.secondFile).toBe("invalid_model: the file should be part 1 of 3, but is part 2 of 3");
});

test("a part that is missing is told of, and what is there is gone on with when it comes", async ({
  page,
}) => {
  await using server = await serveFiles({
    [path(0)]: { file: PARTS[0] as Buffer },
    [path(1)]: { file: PARTS[1] as Buffer },
    [path(2)]: { file: PARTS[2] as Buffer, script: [{ status: 404 }] },
  });
  await openPackage(page, server.url);
  const failed = await load(page, {}, FIRST);
  expect(failed.error).toMatch(/^download_failed: `.*-00003-of-00003\.gguf` was answered with status 404/);
  expect(failed.stored).toMatchObject([{ complete: false, sha256: null }]);
  expect(await load(page, {}, FIRST)).toMatchObject({
    text: expect.any(String),
    sha256: DIGESTS,
    warnings: [],
  });
  expect(server.requests.map(({ path }) => path)).toEqual([...PATHS, path(2)]);
});

test("parts in another order are refused, and nothing of them is kept", async ({ page }) => {
  await using server = await served();
  await openPackage(page, server.url);
  expect(await load(page, {}, [path(0), path(2), path(1)])).toEqual({
    error: "invalid_model: the file should be part 2 of 3, but is part 3 of 3",
    warnings: [],
    stored: [],
  });
});

test("parts of two models are no model, and are fetched anew when they have been put right", async ({
  page,
}) => {
  const other = splitGguf(golden("../golden/tiny/tiny-Q8_0.gguf"), 2)[1] as Buffer;
  await using server = await serveFiles({
    [path(0)]: { file: PARTS[0] as Buffer },
    [path(1)]: { file: PARTS[1] as Buffer, script: [{ file: other }] },
    [path(2)]: { file: PARTS[2] as Buffer },
  });
  await openPackage(page, server.url);
  expect(await load(page, {}, FIRST)).toMatchObject({
    error: "invalid_model: the file should be part 2 of 3, but is part 2 of 2",
    stored: [],
  });
  expect(await load(page, {}, FIRST)).toMatchObject({ text: expect.any(String), sha256: DIGESTS });
});

test("a part with another SHA-256 than asked for is refused by name", async ({ page }) => {
  const changed = Buffer.from(PARTS[2] as Buffer);
  changed[changed.length - 100] = (changed[changed.length - 100] ?? 0) ^ 1;
  await using server = await served([...PARTS.slice(0, 2), changed]);
  await openPackage(page, server.url);
  const refused = await load(page, { sha256: DIGESTS }, FIRST);
  expect(refused.error).toBe(
    `integrity_error: \`${server.url}${path(2)}\` should have the SHA-256 ${DIGESTS[2]}, but has ${sha256(changed)}`,
  );
  expect(refused.stored).toMatchObject([{ complete: false }]);
  // Without hashes it is another model, which loads.
  expect(await load(page, {}, FIRST)).toMatchObject({ sha256: [...DIGESTS.slice(0, 2), sha256(changed)] });
});
