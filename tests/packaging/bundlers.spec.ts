/** The package in bundlers and without one: built, served under a strict policy, and asked in Chromium. */

import { expect, test, type Page } from "@playwright/test";
import { expectAnswer, question } from "./golden.js";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
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

/** Serves a built folder under the strict policy, which nothing in it may violate, and asks it. */
async function expectServed(page: Page, folder: string) {
  await using server = await serve(folder);
  await expectGolden(page, server.url);
  expect(server.violations).toEqual([]);
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
  const [, map] = /<script type="importmap">(.*?)<\/script>/s.exec(
    await readFile(join(project.folder, "mapped.html"), "utf8"),
  ) as unknown as [string, string];
  const hash = createHash("sha256").update(map).digest("base64");
  await using server = await serve(project.folder, STRICT.replace("'self'", `'self' 'sha256-${hash}'`));
  await expectGolden(page, `${server.url}/mapped.html`);
  expect(server.violations).toEqual([]);
});

for (const [bundler, name] of [
  ["Vite", "vite"],
  ["webpack", "webpack"],
  ["esbuild", "esbuild"],
] as const) {
  test(`${bundler} bundles the package`, async ({ page }) => {
    await using project = await install(name, "app");
    await build(project);
    await expectServed(page, join(project.folder, "dist"));
  });
}

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
