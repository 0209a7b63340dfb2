/** The storage contract in real browsers, and what only they can show: locks, quotas, terminated workers, kill -9. */

import { expect, test } from "@playwright/test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contract } from "../../js/tests/storage-contract.js";
import { chromium, firefox, webkit, type Browser } from "./browsers.js";
import type { Page } from "./page.js";
import { serveStorageTests } from "./server.js";
import type { Kind } from "./stores.js";

let server: Awaited<ReturnType<typeof serveStorageTests>>;
test.beforeAll(async () => {
  server = await serveStorageTests();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** Calls one of the page's functions. */
async function call<K extends keyof Page>(
  browser: Browser,
  name: Page[K] extends (...args: never[]) => unknown ? K : never,
  ...args: unknown[]
): Promise<unknown> {
  return browser.evaluate(`storageTests.${name}(...${JSON.stringify(args)})`);
}

const browsers: { name: string; open: (url: string) => Promise<Browser>; kinds: Kind[] }[] = [
  { name: "Chromium", open: chromium, kinds: ["opfs", "cache-api"] },
  { name: "Firefox", open: firefox, kinds: ["opfs", "cache-api"] },
  { name: "WebKitGTK", open: webkit, kinds: ["cache-api"] },
];

for (const { name, open, kinds } of browsers) {
  test.describe(name, () => {
    let browser: Browser;
    test.beforeAll(async () => {
      browser = await open(server.url);
    });
    test.afterAll(async () => {
      await browser[Symbol.asyncDispose]();
    });

    test(`${kinds[0]} is taken`, async () => {
      const fallback = kinds[0] === "opfs" ? undefined : expect.stringContaining("TypeError");
      expect(await call(browser, "inWorker", "chosen")).toEqual({ kind: kinds[0], fallback });
    });

    for (const kind of kinds) {
      test.describe(kind, () => {
        for (const [i, { name }] of contract.entries())
          test(name, async () => {
            await call(browser, "contract", kind, i);
          });

        test("a page sees whole texts while a worker writes them", async () => {
          const lengths = (await call(browser, "readWhileRewritten", kind, 200)) as number[];
          expect(lengths.length).toBeGreaterThan(1);
        });

        // Of 1000 bytes a disk may take half; Chromium off the record tells -8 as a number without sign.
        for (const written of [500, 0, 2 ** 32 - 8])
          test(`a full disk is told as such, which takes ${written} bytes`, async () => {
            await call(browser, "clear", kind);
            expect(await call(browser, "inWorker", "fillFullDisk", kind, written)).toEqual({
              code: "storage_failed",
              message: "`filled` could not be " + (kind === "opfs" ? "written" : "flushed"),
              cause: "QuotaExceededError",
              quota: true,
            });
          });
      });
    }

    test("entries of the Cache API that a kill left are made a file again", async () => {
      await call(browser, "clear", "cache-api");
      await call(browser, "inWorker", "openTorn");
    });

    test("a piece of the Cache API that has grown is there before the old one goes", async () => {
      await call(browser, "clear", "cache-api");
      await call(browser, "inWorker", "growPiece");
    });

    if (!kinds.includes("opfs")) return;

    test("where a worker cannot open files, the Cache API is taken until it can", async () => {
      expect(await call(browser, "inWorker", "chosenWithHandlesRefused", "UnknownError")).toEqual({
        kind: "cache-api",
        fallback: expect.stringContaining("UnknownError"),
      });
      expect(await call(browser, "inWorker", "hasCache")).toBe(true);
      expect(await call(browser, "inWorker", "chosen")).toMatchObject({ kind: "opfs" });
      expect(await call(browser, "inWorker", "hasCache")).toBe(false);
    });

    test("neither a full quota nor another tab changes what is taken", async () => {
      for (const error of ["QuotaExceededError", "NoModificationAllowedError"])
        expect(await call(browser, "inWorker", "chosenWithHandlesRefused", error)).toEqual({ kind: "opfs" });
    });

    test("a file that another worker has open is waited for", async () => {
      await call(browser, "clear", "opfs");
      await call(browser, "inLastingWorker", 300, "hold", "opfs", "held");
      expect(await call(browser, "inWorker", "openFails", "opfs", "held")).toBeUndefined();
    });

    test("a file that another worker has open for long is refused", async () => {
      await call(browser, "clear", "opfs");
      await call(browser, "inLastingWorker", 5000, "hold", "opfs", "held");
      expect(await call(browser, "inWorker", "openFails", "opfs", "held")).toEqual({
        code: "storage_failed",
        message: "`held` could not be opened",
        cause: "NoModificationAllowedError",
        quota: false,
      });
    });
  });
}

for (const kind of ["opfs", "cache-api"] as const) {
  test.describe(`Chromium, ${kind}`, () => {
    test("the browser's quota is told as such, and what was there before stays", async () => {
      await using browser = await chromium(server.url);
      await call(browser, "inWorker", "fillText", kind, 1);
      const devtools = await browser.page.createCDPSession();
      const quotaSize = 4 * 1024 * 1024;
      await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize });

      const full = { code: "storage_failed", cause: "QuotaExceededError", quota: true };
      expect(await call(browser, "inWorker", "fillText", kind, 8)).toMatchObject(full);
      expect(await call(browser, "inWorker", "readText", kind)).toBe("x".repeat(1024 * 1024));
      expect(await call(browser, "inWorker", "fill", kind, 12)).toMatchObject(full);
    });

    test("what was flushed survives kill -9, and records are whole", async () => {
      const profile = await mkdtemp(join(tmpdir(), "tallow-profile-"));
      try {
        let flushed = 0;
        for (const more of [1_000_000, 3_000_000, 5_000_000, 7_000_000]) {
          const browser = await chromium(server.url, profile);
          const found = (await call(browser, "inLastingWorker", null, "grow", kind)) as Grown;
          expect(found.recorded).toBeGreaterThanOrEqual(flushed);
          expect(found.length).toBeGreaterThanOrEqual(found.recorded);
          const wanted = found.length + more;
          while (flushed < wanted) flushed = (await browser.evaluate("storageTests.flushed")) as number;
          await browser.kill();
        }
        await using browser = await chromium(server.url, profile);
        const found = (await call(browser, "inLastingWorker", 0, "grow", kind)) as Grown;
        expect(found.recorded).toBeGreaterThanOrEqual(flushed);
      } finally {
        await rm(profile, { recursive: true, force: true, maxRetries: 10 });
      }
    });
  });
}

/** What a relaunched browser finds. */
interface Grown {
  length: number;
  recorded: number;
}
