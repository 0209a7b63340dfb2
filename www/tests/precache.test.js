/** What the build writes into the service worker. */
import { createHash } from "node:crypto";
import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeServiceWorker } from "../precache.js";

let folder;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallow-precache-"));
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html>");
  await writeFile(join(folder, "icon.png"), "icon");
  await writeFile(join(folder, "assets/app-1.js"), "export {}");
});
afterEach(() => rm(folder, { recursive: true }));

/** The head of the service worker that is written for the folder as it is. */
async function written() {
  writeServiceWorker(folder);
  const code = await readFile(join(folder, "sw.js"), "utf8");
  const [, version, files] = /^const version = "(.*)";\nconst files = (\{[^}]*\});\n/.exec(code) ?? [];
  return { version, files: JSON.parse(files ?? "null"), code };
}

test("every file is listed with its hash, the page by its folder, the service worker not at all", async () => {
  await written();
  const { files } = await written();
  const hash = (content) => `sha256-${createHash("sha256").update(content).digest("base64")}`;
  expect(files).toEqual({
    "./": hash("<!doctype html>"),
    "icon.png": hash("icon"),
    "assets/app-1.js": hash("export {}"),
  });
});

test("the version is that of the content", async () => {
  const { version, code } = await written();
  expect(version).toMatch(/^[0-9a-f]{16}$/);
  expect((await written()).code).toBe(code);
  await writeFile(join(folder, "icon.png"), "another");
  expect((await written()).version).not.toBe(version);
});
