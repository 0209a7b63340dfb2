/** The package in bundlers and without one: built, served under a strict policy, and asked in Chromium. */

import { expect, test, type Page } from "@playwright/test";
import { expectAnswer, question } from "./golden.js";
import { createHash } from "node:crypto";
import { cp, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { install, type Project } from "./project.js";
import { STRICT, serve } from "./server.js";

/** Opens a page of `app`, which must draw the golden tokens with two threads, and complain of nothing. */
async function expectGolden(page: Page, url: string) {
  const said: string[] = [];
  page.on("console", (message) => {
    const { url } = message.location();
    // Browsers ask every server for this one.
    if (["error", "warning"].includes(message.type()) && !url.endsWith("/favicon.ico"))
      said.push(`${url}: ${message.text()}`);
  });
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(`${url}?${new URLSearchParams(question)}`);
  const output = page.locator("output");
  await expect(output).not.toBeEmpty({ timeout: 120_000 });
  expectAnswer((await output.textContent()) ?? "");
  expect(said).toEqual([]);
}

/** Serves a built folder below `path` under a policy, the strict one, which nothing in it may violate, and asks it. */
async function expectServed(page: Page, folder: string, { path = "/", policy = STRICT } = {}) {
  await using server = await serve(folder, policy, path);
  await expectGolden(page, server.url + path);
  expect(server.violations).toEqual([]);
}

/** `STRICT`, but for the scripts that stand in `html` itself, as `text` and of no other content. */
function allowing(html: string): string {
  const inline = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>(.*?)<\/script>/gs)].map(
    ([, text = ""]) => text,
  );
  const hashes = inline.map((text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`);
  return STRICT.replace("'self'", ["'self'", ...hashes].join(" "));
}

/** Builds a project; there is nothing that its user would have to look into. */
async function build(project: Project, ...args: string[]) {
  expect(await project.run("npm", "run", "--silent", "build", "--", ...args)).not.toMatch(
    /warn|error|node:/i,
  );
}

test("a plain page imports the package by a relative URL", async ({ page }) => {
  await using project = await install("plain", "app");
  await expectServed(page, project.folder);
});

test("a plain page imports the package by an import map", async ({ page }) => {
  await using project = await install("plain", "app");
  // The map stands in the page itself, for which the policy has to make an exception.
  const html = await readFile(join(project.folder, "mapped.html"), "utf8");
  await using server = await serve(project.folder, allowing(html));
  await expectGolden(page, `${server.url}/mapped.html`);
  expect(server.violations).toEqual([]);
});

for (const [bundler, name] of [
  ["Vite", "vite"],
  ["webpack", "webpack"],
  ["esbuild", "esbuild"],
  ["Rollup", "rollup"],
] as const) {
  test(`${bundler} bundles the package`, async ({ page }) => {
    await using project = await install(name, "app");
    await build(project);
    await expectServed(page, join(project.folder, "dist"));
  });
}

test("Parcel bundles the package", async ({ page }) => {
  await using project = await install("parcel", "app");
  await build(project);
  // Parcel has an import map in the page that names the worker.
  const html = await readFile(join(project.folder, "dist/index.html"), "utf8");
  expect(html).toContain("importmap");
  await expectServed(page, join(project.folder, "dist"), { policy: allowing(html) });
});

/** A page that imports the package when it is needed, so that it comes in a chunk of its own. */
async function importLater(project: Project) {
  const main = join(project.folder, "main.js");
  const statically = 'import { loadModel } from "tallow";';
  const text = await readFile(main, "utf8");
  expect(text).toContain(statically);
  await writeFile(main, text.replace(statically, 'const { loadModel } = await import("tallow");'));
}

for (const [bundler, name, args] of [
  ["Vite", "vite", ["--base", "/some/app/", "--assetsDir", "a/b"]],
  ["Vite, relative to itself,", "vite", ["--base", "./"]],
  ["esbuild", "esbuild", ["--splitting"]],
] as const) {
  test(`${bundler} bundles the package in a chunk, for a page below a path`, async ({ page }) => {
    await using project = await install(name, "app");
    await importLater(project);
    await build(project, ...args);
    await expectServed(page, join(project.folder, "dist"), { path: "/some/app/" });
  });
}

test("webpack bundles the package in a chunk, with hashes for names, for a page below a path", async ({
  page,
}) => {
  await using project = await install("webpack", "app");
  await importLater(project);
  const names = [
    "--output-chunk-filename",
    "js/[contenthash].js",
    "--output-asset-module-filename",
    "a/[hash][ext]",
  ];
  expect(await project.run("npx", "webpack", "--output-public-path", "/some/app/", ...names)).not.toMatch(
    /warning|error/i,
  );
  await cp(join(project.folder, "index.html"), join(project.folder, "dist/index.html"));
  await expectServed(page, join(project.folder, "dist"), { path: "/some/app/" });
});

test("Next exports a static page with the package below a path", async ({ page }) => {
  await using project = await install("next", "app");
  await writeFile(
    join(project.folder, "next.config.js"),
    'export default { output: "export", basePath: "/some/app", trailingSlash: true };',
  );
  await build(project);
  const html = await readFile(join(project.folder, "out/index.html"), "utf8");
  await expectServed(page, join(project.folder, "out"), { path: "/some/app/", policy: allowing(html) });
});

for (const [version, name] of [
  ["Vite 8", "vite"],
  ["Vite 7, told to leave the package as it is,", "vite7"],
] as const) {
  test(`the development server of ${version} has the package`, async ({ page }) => {
    await using project = await install(name, "app");
    await project.linkModels("public/models");
    const url = /http:\/\/localhost:\d+/;
    await using server = await project.start(url, "npm", "run", "dev", "--", "--port", "0");
    await expectGolden(page, server.url);
  });
}

test("Vite 7 bundles the package", async ({ page }) => {
  await using project = await install("vite7", "app");
  await build(project);
  await expectServed(page, join(project.folder, "dist"));
});

for (const bundler of ["turbopack", "webpack"]) {
  test(`Next with ${bundler} imports the package on its server and runs it in a client component`, async ({
    page,
  }) => {
    await using project = await install("next", "app");
    await project.linkModels("public/models");
    await build(project, `--${bundler}`);
    await using server = await project.start(/http:\/\/localhost:\d+/, "npm", "start", "--", "--port", "0");
    await expectGolden(page, server.url);
    // What the server component said, which Node's part of the package counted.
    await expect(page.locator("main")).toHaveAttribute("data-processors", String(availableParallelism()));
  });
}
