/** End-to-end tests in Chromium, on what `build.sh build` left in js/dist and www/dist. */

import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests/e2e",
  outputDir: "test-results/e2e",
  reporter: "list",
  workers: 1, // One model at a time: the machine may have two cores.
  timeout: 240_000,
  expect: { timeout: 30_000 }, // A browser gives a worker that computes two seconds to end, and more when it is pressed.
  use: {
    headless: true,
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      chromiumSandbox: false,
      args: [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
