/** The browsers of the storage tests, and what is done with any of them: opening a page and evaluating in it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import puppeteer, { type Browser as Puppeteer, type Page } from "puppeteer-core";

/** A browser with one page open. */
export interface Browser extends AsyncDisposable {
  /** What `expression` evaluates to, a promise's value if it is one. */
  evaluate(expression: string): Promise<unknown>;
}

/** Chromium, also with what only it can do. */
export interface Chromium extends Browser {
  page: Page;
  /** Ends all its processes at once. */
  kill(): Promise<void>;
}

/** Opens `url` in Chromium, with a profile that may be there before and after. */
export async function chromium(url: string, profile?: string): Promise<Chromium> {
  const browser = await puppeteer.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    ...(profile && { userDataDir: profile }),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const opened = await puppeteered(browser, url);
  return {
    ...opened,
    async kill() {
      const child = browser.process();
      if (!child?.pid) throw new Error("Chromium has no process");
      const exit = once(child, "exit");
      process.kill(-child.pid, "SIGKILL");
      await exit;
    },
  };
}

/** Opens `url` in Firefox. */
export async function firefox(url: string): Promise<Browser> {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env["FIREFOX"] ?? "/usr/bin/firefox-esr",
  });
  return puppeteered(browser, url);
}

/** Waits for the page's script: WebKitWebDriver sometimes calls a page loaded before it has run. */
async function runs(browser: Browser, name = "storageTests"): Promise<void> {
  const type = () => browser.evaluate(`typeof ${name}`).catch(() => "undefined");
  for (let attempts = 600; (await type()) === "undefined"; attempts--) {
    if (attempts === 0) throw new Error("the page's script does not run");
    await sleep(50);
  }
}

async function puppeteered(browser: Puppeteer, url: string) {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(url);
  const opened = {
    page,
    evaluate: (expression: string) => page.evaluate(expression),
    [Symbol.asyncDispose]: () => browser.close(),
  };
  await runs(opened);
  return opened;
}

/**
 * Opens `url`, whose script makes a global `name`, in WebKitGTK's small browser, on a screen of its own
 * (https://www.w3.org/TR/webdriver2/). It finds `variables` in its environment.
 */
export async function webkit(
  url: string,
  name?: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<Browser> {
  const home = await mkdtemp(join(tmpdir(), "tallow-webkit-"));
  const port = await freePort();
  const driver = spawn("xvfb-run", ["--auto-servernum", "WebKitWebDriver", `--port=${port}`], {
    env: {
      ...process.env,
      HOME: home,
      XDG_DATA_HOME: home,
      XDG_CACHE_HOME: home,
      XDG_CONFIG_HOME: home,
      ...variables,
    },
    stdio: "ignore",
    detached: true,
  });
  const exit = once(driver, "exit");

  const ask = async (method: string, path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    const { value } = (await response.json()) as { value: { message?: string } };
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(value)}`);
    return value;
  };
  const close = async () => {
    if (driver.pid) process.kill(-driver.pid, "SIGTERM");
    await exit;
    await rm(home, { recursive: true, force: true });
  };

  try {
    for (let attempts = 100; !(await ask("GET", "/status").catch(() => false)); attempts--) {
      if (attempts === 0) throw new Error("WebKitWebDriver does not answer");
      await sleep(100);
    }
    const options = { binary: await miniBrowser(), args: ["--automation"] };
    const { sessionId } = (await ask("POST", "/session", {
      capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options, timeouts: { script: 600_000 } } },
    })) as { sessionId: string };
    const session = `/session/${sessionId}`;
    await ask("POST", `${session}/url`, { url });
    const browser: Browser = {
      async evaluate(expression) {
        const script = `
          const done = arguments[0];
          (async () => ${expression})().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
        const answer = await ask("POST", `${session}/execute/async`, { script, args: [] });
        const { value, error } = answer as { value?: unknown; error?: string };
        if (error !== undefined) throw new Error(error);
        return value;
      },
      async [Symbol.asyncDispose]() {
        await ask("DELETE", session).finally(close);
      },
    };
    await runs(browser, name);
    return browser;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where Debian puts it: a folder named after machine and version. */
async function miniBrowser(): Promise<string> {
  for (const machine of await readdir("/usr/lib")) {
    const found = (await readdir(join("/usr/lib", machine)).catch(() => [])).filter((name) =>
      name.startsWith("webkit2gtk-"),
    );
    for (const version of found) {
      const folder = join("/usr/lib", machine, version);
      if ((await readdir(folder)).includes("MiniBrowser")) return join(folder, "MiniBrowser");
    }
  }
  throw new Error("MiniBrowser is not installed");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
