/** Serves a built project under a strict policy. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fileHandler } from "../../www/serve.js";

const models = fileURLToPath(new URL("../../models/", import.meta.url));

/** What `js/README.md` says is enough, and nothing else. */
export const STRICT =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'";

export interface ProjectServer extends AsyncDisposable {
  url: string;
  /** What browsers reported of `policy`: pages and workers. */
  violations: string[];
}

/** Serves `folder` below `path`, isolated, and the models, on a free port. */
export async function serve(folder: string, policy = STRICT, path = "/"): Promise<ProjectServer> {
  const violations: string[] = [];
  const files = fileHandler(
    [
      ["/models/", models],
      [path, join(folder, "/")],
    ],
    { policy: `${policy}; report-uri /violations` },
  );
  const server = createServer(async (request, response) => {
    if (request.url !== "/violations") return files(request, response);
    violations.push(Buffer.concat(await request.toArray()).toString());
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    violations,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
