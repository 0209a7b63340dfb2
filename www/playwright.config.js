import { defineConfig } from "@playwright/test";

/** The page in Chromium with the fake model. `CHROMIUM` is the browser's path, if it is not Playwright's own. */
export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  outputDir: "../test-results/www",
  reporter: "list",
  workers: 1,
  use: {
    baseURL: "http://localhost:5199",
    launchOptions: { executablePath: process.env.CHROMIUM, args: ["--disable-gpu", "--disable-quic"] },
  },
  webServer: {
    command: "npm run dev:fake -- --port 5199 --strictPort",
    url: "http://localhost:5199",
    gracefulShutdown: { signal: "SIGTERM", timeout: 2000 },
  },
});
