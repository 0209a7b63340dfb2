/** Serves the tests' page and worker, bundled. */

import { fileURLToPath } from "node:url";
import { build } from "vite";
import { isolationHeaders } from "../../www/policy.js";
import { serve, type TestServer } from "../e2e/server.js";

const source = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Bundles, and serves on a free port. */
export async function serveStorageTests(): Promise<TestServer> {
  const bundle = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      rolldownOptions: {
        input: { page: source("page.ts"), worker: source("worker.ts") },
        output: { entryFileNames: "[name].js", chunkFileNames: "[name].js" },
      },
    },
  });
  if (!("output" in bundle)) throw new Error("Vite made no bundle");
  const scripts = new Map<string, string | Uint8Array>(
    bundle.output.map((file) => [`/${file.fileName}`, "code" in file ? file.code : file.source]),
  );
  const page = `<!doctype html><title>Storage</title><script type="module" src="/page.js"></script>`;

  return serve({
    intercept: ({ url = "" }, response) => {
      const body = url === "/" ? page : scripts.get(url);
      if (body === undefined) return false;
      const type = url === "/" ? "text/html" : "text/javascript";
      response.writeHead(200, { ...isolationHeaders, "Content-Type": type }).end(body);
      return true;
    },
  });
}
