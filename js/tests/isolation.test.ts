import { describe, expect, onTestFinished, test, vi } from "vitest";
import { isolate, TallowError, withIsolation, type IsolateOptions } from "../src/isolation.js";

describe("withIsolation", () => {
  const headers = { "Content-Type": "text/html", "Cross-Origin-Opener-Policy": "unsafe-none" };

  test("adds the headers and keeps all else", async () => {
    const given = new Response("page", { status: 404, statusText: "Not Found", headers });
    const response = withIsolation(given);
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "text/html",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    expect(response).toMatchObject({ status: 404, statusText: "Not Found" });
    expect(await response.text()).toBe("page");
  });

  test("takes the other embedder policy", () => {
    const response = withIsolation(new Response("page"), { embedderPolicy: "credentialless" });
    expect(response.headers.get("Cross-Origin-Embedder-Policy")).toBe("credentialless");
  });

  test("keeps the server's resource policy, and a part of a file a part", async () => {
    const part = {
      status: 206,
      headers: { "Content-Range": "bytes 0-3/10", "Cross-Origin-Resource-Policy": "cross-origin" },
    };
    const response = withIsolation(new Response("0123", part));
    expect(response.status).toBe(206);
    expect(response.headers.get("Content-Range")).toBe("bytes 0-3/10");
    expect(response.headers.get("Cross-Origin-Resource-Policy")).toBe("cross-origin");
  });

  test.each([204, 205, 304])("gives an answer of status %i no body", (status) => {
    expect(withIsolation(new Response(null, { status }))).toMatchObject({ status, body: null });
  });

  test("returns what cannot be changed as it is", () => {
    const opaque = Response.error();
    expect(withIsolation(opaque)).toBe(opaque);
  });
});

const PAGE = "https://a.example/app/index.html?x=1";

/** A page in a browser that takes service workers, but for what is `changed`. */
function browser(changed: Record<string, unknown> = {}, state = "activated") {
  const kept = new Map<string, string>();
  const worker = { state, addEventListener: vi.fn() };
  const register = vi.fn(async () => ({ scope: "https://a.example/app/", active: null, installing: worker }));
  const window = {};
  const globals = {
    crossOriginIsolated: false,
    isSecureContext: true,
    window: Object.assign(window, { top: window }),
    navigator: { serviceWorker: { register } },
    document: { baseURI: PAGE },
    location: { href: PAGE, reload: vi.fn() },
    sessionStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    },
    ...changed,
  };
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });
  return { register, worker, reload: globals.location.reload, kept };
}

/** What `isolate` comes to, on a page that no reload ends. */
async function outcome(options: IsolateOptions = { serviceWorker: "sw.js" }): Promise<boolean> {
  const promise = isolate(options);
  promise.catch(() => {});
  await vi.runAllTimersAsync();
  return promise;
}

describe("isolate", () => {
  test("does nothing outside of a browser", async () => {
    expect(await isolate({ serviceWorker: "sw.js" })).toBe(false);
  });

  test("does nothing where the page is isolated, but forgets an earlier reload", async () => {
    const { register, kept } = browser({ crossOriginIsolated: true });
    kept.set("tallow.isolation.reloaded", "yes");
    expect(await outcome()).toBe(true);
    expect(register).not.toHaveBeenCalled();
    expect(kept.size).toBe(0);
  });

  test("registers as told, reloads once, and after that leaves the page alone", async () => {
    const { register, reload } = browser();
    const options = { serviceWorker: "./sw.js?a=b", embedderPolicy: "credentialless", scope: "./" } as const;
    expect(await outcome(options)).toBe(false);
    expect(register).toHaveBeenCalledExactlyOnceWith(
      new URL("https://a.example/app/sw.js?a=b&embedder-policy=credentialless"),
      { scope: "./" },
    );
    expect(reload).toHaveBeenCalledTimes(1);
    expect(await outcome(options)).toBe(false);
    expect(register).toHaveBeenCalledTimes(1);
    expect(reload).toHaveBeenCalledTimes(1);
  });

  test("waits until the service worker answers for the page", async () => {
    const { worker, reload } = browser({}, "installing");
    const promise = isolate({ serviceWorker: "sw.js" });
    await vi.waitFor(() => expect(worker.addEventListener).toHaveBeenCalledTimes(1));
    expect(reload).not.toHaveBeenCalled();
    for (const state of ["installed", "activated"]) {
      worker.state = state;
      worker.addEventListener.mock.lastCall?.[1]();
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(reload).toHaveBeenCalledTimes(1);
    await vi.runAllTimersAsync();
    expect(await promise).toBe(false);
  });

  const forbidden = () => Promise.reject(new DOMException("no", "SecurityError"));
  test.each<[string, Record<string, unknown>]>([
    ["an insecure address", { isSecureContext: false }],
    ["a frame", { window: { top: {} } }],
    ["a browser without service workers", { navigator: {} }],
    ["a window that forbids them", { navigator: { serviceWorker: { register: forbidden } } }],
    ["a tab without storage, which would reload for ever", { sessionStorage: undefined }],
  ])("gives up without a reload in %s", async (_, changed) => {
    const { reload } = browser(changed);
    expect(await outcome()).toBe(false);
    expect(reload).not.toHaveBeenCalled();
  });

  test("gives up without a reload where the service worker does not install", async () => {
    const { reload } = browser({}, "redundant");
    expect(await outcome()).toBe(false);
    expect(reload).not.toHaveBeenCalled();
  });

  test("a service worker that lies where it does not see the page is told of", async () => {
    const { reload } = browser({ location: { href: "https://a.example/", reload: vi.fn() } });
    await expect(outcome()).rejects.toMatchObject({
      code: "invalid_request",
      message:
        "`serviceWorker` should have the page `https://a.example/` in its scope, got `https://a.example/app/`",
    });
    expect(reload).not.toHaveBeenCalled();
  });

  test("a service worker that has no URL is told of, by the class that comes with `isolate`", async () => {
    const { register } = browser();
    const error: unknown = await outcome({ serviceWorker: "https://" }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(TallowError);
    expect(error).toMatchObject({
      code: "invalid_request",
      message: '`serviceWorker` should be a URL, got "https://"',
      cause: { name: "TypeError" },
    });
    expect(register).not.toHaveBeenCalled();
  });
});
