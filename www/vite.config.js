import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { contentSecurityPolicy, isolationHeaders } from "./policy.js";
import { writeServiceWorker } from "./precache.js";
import { fileHandler } from "./serve.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Writes the policy into the built page. In development Vite itself needs inline styles. */
const policyInPage = {
  name: "tallow:policy",
  apply: "build",
  transformIndexHtml: () => [
    {
      tag: "meta",
      attrs: { "http-equiv": "Content-Security-Policy", content: contentSecurityPolicy },
      injectTo: "head-prepend",
    },
  ],
};

/** Lets the built page work offline. Comes last, when every file is there. */
const serviceWorker = {
  name: "tallow:service-worker",
  apply: "build",
  writeBundle: { order: "post", handler: ({ dir }) => writeServiceWorker(dir) },
};

/** Serves `../models` beside the page in development, as `serve.js` does for the built page. */
const models = {
  name: "tallow:models",
  configureServer({ middlewares }) {
    const serve = fileHandler([["/models/", here("../models/")]]);
    middlewares.use((request, response, next) =>
      request.url.startsWith("/models/") ? serve(request, response) : next(),
    );
  },
};

/** `--mode fake` puts the tests' model in the place of the package: for work on the page alone. */
export default defineConfig(({ mode }) => ({
  base: "./",
  plugins: [policyInPage, serviceWorker, models],
  resolve: { alias: mode === "fake" || mode === "test" ? { tallow: here("tests/fake-tallow.ts") } : {} },
  worker: { format: "es" },
  build: { assetsInlineLimit: 0 },
  server: { headers: isolationHeaders },
  test: { include: ["tests/**/*.test.{ts,js}"] },
}));
