/** The tarball itself: what is in it, and what TypeScript and two linters of packages make of it. */

import { expect, test } from "@playwright/test";
import { readFile } from "node:fs/promises";
import { install, run, tarball } from "./project.js";

test("the tarball holds the scripts, the wasm, declarations and licences, and nothing else", async () => {
  const path = await tarball();
  const names = (await run(".", "tar", "-tf", path))
    .trim()
    .split("\n")
    .map((name) => name.replace(/^package\//, ""));
  const scripts = ["index", "isolation", "isolation-sw", "node", "node-worker", "worker"];
  expect(names.filter((name) => !name.endsWith(".d.ts")).sort()).toEqual(
    [
      "LICENSE-APACHE",
      "LICENSE-MIT",
      "README.md",
      "package.json",
      ...scripts.flatMap((name) => [`dist/${name}.js`, `dist/${name}.js.map`]),
      "dist/wasm/relaxed.wasm",
      "dist/wasm/simd128.wasm",
    ].sort(),
  );
  expect(names).toEqual(expect.arrayContaining(["dist/index.d.ts", "dist/isolation.d.ts"]));
});

test("a page's scripts have nothing of Node in them, nor paths of this machine", async () => {
  await using project = await install("plain");
  for (const name of ["index", "worker", "isolation", "isolation-sw"]) {
    const path = `${project.folder}/node_modules/tallow/dist/${name}.js`;
    expect(await readFile(path, "utf8"), name).not.toMatch(/node:|process\.|\brequire\(/);
    const { sources, sourcesContent } = JSON.parse(await readFile(`${path}.map`, "utf8"));
    for (const source of sources) expect(source).toMatch(/^\.\.\/src\//);
    expect(sourcesContent).toHaveLength(sources.length);
  }
});

test("projects of both kinds of resolution type-check, libraries included; the linters find nothing", async () => {
  await using project = await install("types");
  for (const script of ["bundler", "bundler-5", "bundler-5.2", "nodenext", "nodenext-5"])
    expect(await project.run("npm", "run", "--silent", script), script).toBe("");
  expect(await project.run("npm", "run", "--silent", "publint")).toContain("All good!");
  await project.run("npm", "run", "--silent", "attw");
});
