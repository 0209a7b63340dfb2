/** The storage tests, which open Chromium, Firefox and WebKitGTK themselves: Playwright's browsers are its own builds. */

import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "../../test-results/storage",
  reporter: "list",
  workers: 1, // One browser at a time: the machine may have two cores.
  timeout: 120_000,
});
