/** The engine in browsers that are no Chromium, which these tests open themselves. */

import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "../../test-results/browsers",
  reporter: "list",
  workers: 1, // One browser at a time: the machine may have two cores.
  timeout: 240_000,
});
