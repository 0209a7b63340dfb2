/** Servers for the tests: the demo page as `build.sh run` serves it, and a page with the plain package. */

import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { fileHandler } from "../../www/serve.js";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What is served where; the first prefix that fits answers. */
const mounts: [string, string][] = [
  ["/models/", folder("../../models/")],
  ["/tallow/", folder("../../js/dist/")],
  ["/test/", folder("./")],
  ["/", folder("../../www/dist/")],
];

export interface TestServer extends AsyncDisposable {
  url: string;
}

/** Serves on a free port, with `intercept` asked first; it returns `true` where it has answered. */
export async function serve({
  isolation = true,
  intercept = () => false,
}: {
  isolation?: boolean;
  intercept?: (...args: Parameters<RequestListener>) => boolean;
} = {}): Promise<TestServer> {
  const files = fileHandler(mounts, { isolation });
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
