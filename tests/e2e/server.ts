/** Servers for the tests: the demo page as `build.sh run` serves it, a page with the plain package, and the examples. */

import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { fileHandler } from "../../www/serve.js";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export type Mount = [prefix: string, folder: string];

/** What is served where; the first prefix that fits answers. */
const mounts: Mount[] = [
  ["/models/", folder("../../models/")],
  ["/tallow/", folder("../../js/dist/")],
  ["/test/", folder("./")],
  ["/offline/node_modules/tallow/dist/", folder("../../js/dist/")],
  ["/offline/models/", folder("../../models/")],
  ["/offline/", folder("../../examples/web/offline/")],
  ["/", folder("../../www/dist/")],
];

export interface TestServer extends AsyncDisposable {
  url: string;
}

/**
 * Serves on a free port, with `intercept` asked first; it returns `true` where it has answered. `first` are mounts that
 * come before the others.
 */
export async function serve({
  isolation = true,
  first = [],
  intercept = () => false,
}: {
  isolation?: boolean;
  first?: Mount[];
  intercept?: (...args: Parameters<RequestListener>) => boolean;
} = {}): Promise<TestServer> {
  const files = fileHandler([...first, ...mounts], { isolation });
  const server = createServer((request, response) => {
    if (!intercept(request, response)) files(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
