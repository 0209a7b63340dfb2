/** The package as others install it: what bundlers, pages and Node make of the tarball that `npm pack` writes. */

import { defineConfig } from "@playwright/test";
import base from "../../playwright.config.js";

export default defineConfig({
  ...base,
  testDir: ".",
  outputDir: "../../test-results/packaging",
});
