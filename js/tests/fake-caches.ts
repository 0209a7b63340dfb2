/** The Cache API in memory, for tests of what is stored there. */

import { onTestFinished, vi } from "vitest";

/** The one cache that there is: its entries' bodies by path. A put that `hasRoom` refuses fails. */
export class FakeCache {
  readonly entries = new Map<string, Uint8Array<ArrayBuffer>>();
  hasRoom: (path: string) => boolean = () => true;

  async put(path: string, response: Response): Promise<void> {
    const body = new Uint8Array(await response.arrayBuffer());
    if (!this.hasRoom(path)) throw new DOMException("full", "QuotaExceededError");
    this.entries.set(path, body);
  }

  async match(path: string): Promise<Response | undefined> {
    const body = this.entries.get(path);
    return body && new Response(body);
  }

  async keys(): Promise<Pick<Request, "url">[]> {
    return Array.from(this.entries.keys(), (path) => ({ url: `https://example.test${path}` }));
  }

  async delete(path: string): Promise<boolean> {
    return this.entries.delete(path);
  }
}

/** Puts a {@link FakeCache} in the place of `caches` until the test ends. */
export function fakeCaches(): FakeCache {
  const cache = new FakeCache();
  vi.stubGlobal("caches", { open: async () => cache });
  onTestFinished(() => void vi.unstubAllGlobals());
  return cache;
}
