import { createHash } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { loadModel, TallowError, type LoadModelOptions, type LoadProgress } from "../src/index.js";
import { fakeFile, fakeModel, fakeWorkers, INFO, rejection, TRAP } from "./fake.js";

const SHA256 = "0123456789abcdef".repeat(4);
const sha256 = (file: Uint8Array) => createHash("sha256").update(file).digest("hex");
const URL_OF_MODEL = "https://example.test/models/tiny-model.gguf";

/** Serves `chunks`, a task each, with `headers`; ends with an error if there is one. */
function serveChunks(chunks: Uint8Array[], headers: Record<string, string>, error?: Error) {
  const body = () => {
    const queue = [...chunks];
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const chunk = queue.shift();
        if (chunk) controller.enqueue(chunk);
        else if (error) controller.error(error);
        else controller.close();
      },
    });
  };
  const fetch = vi.fn(async (_url: string) => new Response(body(), { headers }));
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

function split(file: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(file.length / size) }, (_, i) =>
    file.subarray(i * size, (i + 1) * size),
  );
}

function streamOf<T>(chunks: T[]): ReadableStream<T> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

describe("sources", () => {
  const file = fakeFile(5000);
  const info = (...files: Uint8Array[]) => ({ ...INFO, sha256: files.map(sha256) });

  test.each([
    ["a File", () => new File([file], "tiny.gguf")],
    ["a Blob", () => new Blob([file])],
    ["an ArrayBuffer", () => file.buffer],
    ["a URL", () => new URL(URL_OF_MODEL)],
    ["a string", () => URL_OF_MODEL],
  ])("%s", async (_, source) => {
    fakeWorkers();
    serveChunks(split(file, 999), {});
    const model = await loadModel(source());
    expect(model.info).toEqual(info(file));
    expect(file.byteLength).toBe(5000);
  });

  test.each([
    ["the file's name", () => new File([file], "tiny.gguf"), "tiny.gguf"],
    ["the URL's last part", () => URL_OF_MODEL, "tiny-model.gguf"],
    ["the architecture", () => new Blob([file]), "llama"],
  ])("a model without a name is called after %s", async (_, source, name) => {
    fakeWorkers({ ...INFO, name: null });
    serveChunks([file], {});
    expect((await loadModel(source())).info.name).toBe(name);
  });

  test("a relative URL is the page's, not the worker's", async () => {
    fakeWorkers();
    const fetch = serveChunks([file], {});
    vi.stubGlobal("document", { baseURI: "https://example.test/app/index.html" });
    await loadModel("tiny.gguf");
    expect(fetch.mock.lastCall?.[0]).toBe("https://example.test/app/tiny.gguf");
  });

  test("a stream, chunk by chunk, whose buffers stay the caller's", async () => {
    fakeWorkers();
    const chunks = split(file, 999);
    const model = await loadModel(streamOf(chunks));
    expect(model.info).toEqual(info(file));
    expect(file.byteLength).toBe(5000);
  });

  const failing = (reason: unknown) =>
    new ReadableStream<Uint8Array>({ pull: () => Promise.reject(reason as Error) });

  test.each([
    ["an error", new RangeError("mine"), "mine"],
    ["an error that cannot be copied", new Error("mine", { cause: () => {} }), "mine"],
    ["a text", "mine", '"mine"'],
    ["nothing", undefined, "undefined"],
    ["what has no text", Object.create(null), "a undefined"],
  ])("a stream that fails with %s", async (_, reason, message) => {
    fakeWorkers();
    expect(await rejection(loadModel(failing(reason)))).toMatchObject({
      code: "storage_failed",
      message: "the stream could not be read",
      cause: { message },
    });
  });

  test("a stream of something else", async () => {
    fakeWorkers();
    const stream = streamOf(["text"]) as unknown as ReadableStream<Uint8Array>;
    expect(await rejection(loadModel(stream))).toMatchObject({
      code: "invalid_request",
      message: 'the stream should be of Uint8Arrays, got "text"',
    });
  });

  test("a stream that others read is refused", async () => {
    const { workers } = fakeWorkers();
    const stream = streamOf([file]);
    stream.getReader();
    expect(await rejection(loadModel(stream))).toMatchObject({ code: "invalid_request" });
    expect(workers).toEqual([]);
  });

  test.each([
    ["an abort before", { signal: AbortSignal.abort() }],
    ["an abort during", { abortAt: 2 }],
    ["options that do not fit", { sha256: [] }],
    ["a file that is no model", {}],
  ])(
    "a stream is let go of by %s",
    async (_, { abortAt, ...options }: LoadModelOptions & { abortAt?: number }) => {
      fakeWorkers();
      const controller = new AbortController();
      const cancel = vi.fn();
      let n = 0;
      const pull = (to: ReadableStreamDefaultController<Uint8Array>) => {
        to.enqueue(abortAt === undefined ? Uint8Array.of(255) : file.slice(0, 10));
        if (++n === abortAt) controller.abort();
      };
      await rejection(
        loadModel(new ReadableStream({ pull, cancel }), { signal: controller.signal, ...options }),
      );
      await vi.waitFor(() => expect(cancel).toHaveBeenCalledOnce());
    },
  );

  test.each([
    ["URLs", () => ["https://example.test/1.gguf", new URL("https://example.test/2.gguf")]],
    ["Blobs", () => [new Blob([file]), new File([file], "2.gguf")]],
  ])("an array of %s, a model's files in order", async (_, sources) => {
    fakeWorkers();
    const fetch = serveChunks(split(file, 999), {});
    const model = await loadModel(sources() as Blob[]);
    expect(model.info).toEqual(info(file, file));
    expect(fetch.mock.calls.map(([url]) => url)).toEqual(
      sources().flatMap((source) => (source instanceof Blob ? [] : String(source))),
    );
  });

  test.each([
    ["https://example.test/1.gguf", 1],
    ["blob:https://example.test/3f1c", 0],
    ["data:application/octet-stream,", 0],
  ])("%s may be stored, of which there is no place here: %i warnings", async (url, warnings) => {
    fakeWorkers();
    serveChunks([file], {});
    const onWarning = vi.fn();
    await loadModel(url, { cache: true, onWarning });
    expect(onWarning).toHaveBeenCalledTimes(warnings);
  });

  test("the first file's URL stands for all of a split model", async () => {
    fakeWorkers();
    const fetch = serveChunks([file], {});
    await loadModel("https://example.test/tiny-00001-of-00003.gguf?v=2");
    expect(fetch.mock.calls.map(([url]) => url)).toEqual(
      [1, 2, 3].map((i) => `https://example.test/tiny-0000${i}-of-00003.gguf?v=2`),
    );
  });

  test.each([
    [[], "`source` should be an array of URLs or of Blobs, got an empty one"],
    [[URL_OF_MODEL, 7], "`source` should be an array of URLs or of Blobs, got one with 7"],
    [
      undefined,
      "`source` should be a URL, a string, a File, a Blob, an ArrayBuffer, a ReadableStream, a FileSystemFileHandle or " +
        "an array of URLs or Blobs, got undefined",
    ],
    ["tiny.gguf", '`source` should be a URL, got "tiny.gguf"'],
  ])("%j is none where there is no page", async (source, message) => {
    const { workers } = fakeWorkers();
    expect(await rejection(loadModel(source as string))).toMatchObject({ code: "invalid_request", message });
    expect(workers).toEqual([]);
  });
});

describe("options", () => {
  test("reach worker and wasm", async () => {
    const { workers, wasmUrls } = fakeWorkers();
    const model = await loadModel(fakeFile(16).buffer, {
      contextLength: 512,
      kvCacheType: "q8_0",
      wasmUrl: new URL("https://example.test/simd128.wasm"),
      workerUrl: "https://example.test/worker.js",
    });
    expect(model.info).toMatchObject({ contextLength: 512, kvCacheType: "q8_0" });
    expect(wasmUrls).toEqual(["https://example.test/simd128.wasm"]);
    expect(workers).toMatchObject([{ url: "https://example.test/worker.js", options: { type: "module" } }]);
  });

  test("by default worker and wasm lie beside the package", async () => {
    const { workers, wasmUrls } = fakeWorkers();
    await loadModel(fakeFile(16).buffer);
    expect(workers[0]?.url).toMatch(/\/worker\.js$/);
    expect(wasmUrls).toEqual([undefined]);
  });

  test.each([
    [{ sha1: "00" }, /^`sha1` is not supported in `loadModel`'s options; what is: `onProgress`, /],
    [{ sha256: "00" }, '`sha256` should be 64 hexadecimal digits, or an array of such, got "00"'],
    [{ sha256: [SHA256, SHA256] }, "`sha256` should be one for each of 1 files, got 2"],
    [{ contextLength: 0 }, "`contextLength` should be an integer in 1..=4294967295, got 0"],
    [{ kvCacheType: "q4_0" }, '`kvCacheType` should be "f16", "f32" or "q8_0", got "q4_0"'],
    [{ onProgress: {} }, "`onProgress` should be a function, got an object"],
    [{ signal: "now" }, '`signal` should be an AbortSignal, got "now"'],
    [null, "`loadModel`'s options should be an object, got null"],
  ])("%j is refused", async (options, message) => {
    const { workers } = fakeWorkers();
    const error = await rejection(loadModel(fakeFile(16).buffer, options as object));
    expect(error).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(message) as string,
    });
    expect(workers).toEqual([]);
  });

  test("a browser without SIMD is told so", async () => {
    fakeWorkers();
    vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
    const error = await rejection(loadModel(fakeFile(16).buffer));
    vi.restoreAllMocks();
    expect(error).toMatchObject({ code: "unsupported_browser" });
  });

  test("a worker that cannot be opened is lost", async () => {
    vi.stubGlobal("Worker", function () {
      throw new DOMException("cross-origin", "SecurityError");
    });
    const error = await rejection(loadModel(fakeFile(16).buffer));
    vi.unstubAllGlobals();
    expect(error).toMatchObject({ code: "worker_lost", cause: { name: "SecurityError" } });
  });
});

describe("progress", () => {
  /** The reports of a load whose chunks come `interval` milliseconds apart. */
  async function progress(
    chunks: Uint8Array[],
    headers: Record<string, string>,
    interval: number,
  ): Promise<LoadProgress[]> {
    fakeWorkers();
    serveChunks(chunks, headers);
    let time = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (time += interval));
    const reports: LoadProgress[] = [];
    await loadModel(URL_OF_MODEL, { onProgress: (report) => reports.push(report) });
    clock.mockRestore();
    return reports;
  }

  test("grows to the total, and is not told of every chunk", async () => {
    const reports = await progress(split(fakeFile(2000), 10), { "content-length": "2000" }, 10);
    const reported = Array.from({ length: 40 }, (_, i) => 10 + 50 * i);
    expect(reports).toEqual([
      ...reported.map((loaded) => ({ phase: "download", loaded, total: 2000 })),
      { phase: "prepare", loaded: 2000, total: 2000 },
    ]);
  });

  test.each([
    ["there is no Content-Length", {}],
    ["the body is encoded", { "content-length": "7", "content-encoding": "gzip" }],
    ["the encoding is hidden and the length too short", { "content-length": "7" }],
  ])("takes the total from the model's header where %s", async (_, headers) => {
    const reports = await progress(split(fakeFile(1000), 100), headers as Record<string, string>, 0);
    expect(reports).toEqual([
      { phase: "download", loaded: 100, total: 1000 },
      { phase: "prepare", loaded: 1000, total: 1000 },
    ]);
  });

  test("the total is that of all files, once each is known", async () => {
    const [one, two] = [fakeFile(300), fakeFile(500)];
    vi.spyOn(performance, "now").mockImplementation(
      (
        (time) => () =>
          (time += 50)
      )(0),
    );
    const reported = async (source: Blob[] | string[]) => {
      fakeWorkers();
      const reports: LoadProgress[] = [];
      await loadModel(source as Blob[], { onProgress: (report) => reports.push(report) });
      return reports.map(({ loaded, total }) => [loaded, total]);
    };
    expect(await reported([new Blob([one]), new Blob([two])])).toEqual([
      [300, 800],
      [800, 800],
      [800, 800],
    ]);
    const served = [one, two].map(
      (file) => new Response(file, { headers: { "content-length": `${file.length}` } }),
    );
    vi.stubGlobal("fetch", async () => served.shift());
    expect(await reported(["https://example.test/1.gguf", "https://example.test/2.gguf"])).toEqual([
      [300, undefined],
      [800, 800],
      [800, 800],
    ]);
    vi.restoreAllMocks();
  });

  test("never falls, also where the file becomes a shorter one", async () => {
    fakeWorkers();
    // The first breaks off; what goes on with it is of another version, which is then asked for as a whole.
    const answers: [etag: string, chunks: Uint8Array[]][] = [
      ["1", split(fakeFile(1000), 100).slice(0, 9)],
      ["2", [fakeFile(500)]],
      ["2", [fakeFile(500)]],
    ];
    vi.stubGlobal("fetch", async () => {
      const [ETag, chunks] = answers.shift() ?? ["", []];
      return new Response(streamOf(chunks), { headers: { ETag } });
    });
    let time = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (time += 50));
    const reports: LoadProgress[] = [];
    const model = await loadModel(URL_OF_MODEL, { onProgress: (report) => reports.push(report) });
    clock.mockRestore();
    expect(model.info.sha256).toEqual([sha256(fakeFile(500))]);
    expect(answers).toEqual([]);
    expect(reports.map(({ loaded }) => loaded)).toEqual([
      ...[100, 200, 300, 400, 500, 600, 700, 800, 900],
      900,
    ]);
    expect(reports.at(-1)).toEqual({ phase: "prepare", loaded: 900, total: 900 });
  });

  test("an error thrown by the listener ends the load", async () => {
    const { workers } = fakeWorkers();
    const onProgress = () => {
      throw new RangeError("mine");
    };
    expect(await rejection(loadModel(fakeFile(16).buffer, { onProgress }))).toEqual(new RangeError("mine"));
    expect(workers).toMatchObject([{ terminated: true }]);
  });
});

describe("failures end the worker and name their cause", () => {
  test.each([
    [
      "a missing file",
      () => new Response(null, { status: 404, statusText: "Not Found" }),
      "with status 404 Not Found",
    ],
    ["an empty answer", () => new Response(null), "without a body"],
  ])("%s", async (_, response, message) => {
    const { workers } = fakeWorkers();
    vi.stubGlobal("fetch", async () => response());
    const error = await rejection(loadModel(URL_OF_MODEL));
    expect(error).toBeInstanceOf(TallowError);
    expect(error).toMatchObject({
      code: "download_failed",
      message: `\`${URL_OF_MODEL}\` was answered ${message}`,
    });
    expect(workers).toMatchObject([{ terminated: true }]);
  });

  test("no network", async () => {
    fakeWorkers();
    const fetch = vi.fn(() => Promise.reject(new TypeError("Failed to fetch")));
    vi.stubGlobal("fetch", fetch);
    // It waits for the least time that it may.
    vi.spyOn(Math, "random").mockReturnValue(0);
    expect(await rejection(loadModel(URL_OF_MODEL))).toMatchObject({
      code: "download_failed",
      message: `\`${URL_OF_MODEL}\` could not be fetched`,
      cause: { name: "TypeError", message: "Failed to fetch" },
    });
    vi.restoreAllMocks();
    expect(fetch).toHaveBeenCalledTimes(3);
  });

  test("a connection that breaks off, each time it is tried anew", async () => {
    const { workers } = fakeWorkers();
    const fetch = serveChunks(split(fakeFile(300), 100).slice(0, 2), {}, new TypeError("reset"));
    expect(await rejection(loadModel(URL_OF_MODEL))).toMatchObject({
      code: "download_failed",
      message: `\`${URL_OF_MODEL}\` broke off: expected 300 bytes, got 200`,
      cause: { message: "reset" },
    });
    // Without ETag or date, what has come cannot be gone on with.
    expect(fetch).toHaveBeenCalledTimes(4);
    expect(workers).toMatchObject([{ terminated: true }]);
  });

  test("a file with another SHA-256", async () => {
    fakeWorkers();
    const file = fakeFile(300);
    serveChunks([file], {});
    const got = sha256(file);
    expect(await rejection(loadModel(URL_OF_MODEL, { sha256: SHA256 }))).toMatchObject({
      code: "integrity_error",
      message: `\`${URL_OF_MODEL}\` should have the SHA-256 ${SHA256}, but has ${got}`,
    });
    // Of several files it is told which.
    const [right, wrong] = [new File([fakeFile(9)], "1.gguf"), new File([file], "2.gguf")];
    const digests = [sha256(fakeFile(9)), SHA256];
    expect(await rejection(loadModel([right, wrong], { sha256: digests }))).toMatchObject({
      message: `\`2.gguf\` should have the SHA-256 ${SHA256}, but has ${got}`,
    });
    const { info } = await loadModel(URL_OF_MODEL, { sha256: got.toUpperCase() });
    expect(info).toEqual({ ...INFO, sha256: [got] });
  });

  test.each(["a URL", "a Blob"])("a damaged file that the engine refuses, from %s", async (from) => {
    const file = fakeFile(3000);
    const damaged = file.slice();
    damaged[1000] = 255;
    const chunks = split(damaged, 500);
    let fed = 0;
    fakeWorkers();
    serveChunks(chunks, {});
    const source = () => (from === "a URL" ? URL_OF_MODEL : new Blob([damaged]));
    // Where its hash is known, the file is read to its end, and what is said is that it is another.
    expect(await rejection(loadModel(source(), { sha256: sha256(file) }))).toMatchObject({
      code: "integrity_error",
      message: expect.stringContaining(`but has ${sha256(damaged)}`) as string,
    });
    const invalid = { code: "invalid_model", message: "a byte is 255" };
    expect(await rejection(loadModel(source(), { sha256: sha256(damaged) }))).toMatchObject(invalid);
    const onProgress = ({ loaded }: LoadProgress) => (fed = loaded);
    expect(await rejection(loadModel(source(), { onProgress }))).toMatchObject(invalid);
    expect(fed).toBeLessThan(1000);
  });

  test("a file that the engine refuses", async () => {
    const { workers } = fakeWorkers();
    expect(await rejection(loadModel(new Blob([fakeFile(300).subarray(0, 299)])))).toMatchObject({
      name: "TallowError",
      code: "invalid_model",
      message: "the file ends early: expected 300 bytes, got 299",
    });
    expect(workers).toMatchObject([{ terminated: true }]);
  });

  test("an engine that traps", async () => {
    const { workers } = fakeWorkers();
    const file = fakeFile(300);
    file[200] = 254;
    expect(await rejection(loadModel(new Blob([file])))).toMatchObject(TRAP);
    expect(workers).toMatchObject([{ terminated: true }]);
  });

  test("an engine that fails in telling what failed, as one of another build may", async () => {
    const fakes = fakeWorkers();
    const takeRefused = () => {
      throw new TypeError("takeRefused is not a function");
    };
    Object.defineProperty(fakes, "refused", { get: takeRefused });
    const error = await rejection(loadModel(new Blob([fakeFile(300).subarray(0, 299)])));
    expect(error).toMatchObject({
      code: "internal",
      message:
        "the engine stopped: Error: the file ends early: expected 300 bytes, got 299; " +
        "and then: TypeError: takeRefused is not a function",
      cause: { name: "TypeError" },
    });
    expect(fakes.workers).toMatchObject([{ terminated: true }]);
  });

  test("a worker whose script does not load", async () => {
    const { workers } = fakeWorkers();
    vi.stubGlobal("fetch", () => new Promise(() => {}));
    const loading = rejection(loadModel(URL_OF_MODEL));
    await vi.waitFor(() => expect(workers.length).toBe(1));
    workers[0]?.die("");
    expect(await loading).toMatchObject({
      code: "worker_lost",
      message: "the worker stopped: its script `worker.js` could not be loaded",
    });
    expect(workers).toMatchObject([{ terminated: true }]);
  });
});

describe("abort", () => {
  test.each([
    ["its reason", new RangeError("mine"), new RangeError("mine")],
    ["an AbortError by default", undefined, expect.objectContaining({ name: "AbortError" })],
  ])("during a load ends the worker and rejects with %s", async (_, reason, expected) => {
    const { workers } = fakeWorkers();
    const controller = new AbortController();
    serveChunks(split(fakeFile(1000), 1), {});
    const onProgress = () => controller.abort(reason);
    expect(await rejection(loadModel(URL_OF_MODEL, { onProgress, signal: controller.signal }))).toEqual(
      expected,
    );
    expect(workers).toMatchObject([{ terminated: true }]);
  });

  test("before a load opens no worker", async () => {
    const { workers } = fakeWorkers();
    expect(await rejection(loadModel(URL_OF_MODEL, { signal: AbortSignal.abort("no") }))).toBe("no");
    expect(workers).toEqual([]);
  });

  test("after a load does nothing", async () => {
    const controller = new AbortController();
    const { model, worker } = await fakeModel({ signal: controller.signal });
    controller.abort();
    expect(await model.detokenize([97])).toBe("a");
    expect(worker.terminated).toBe(false);
  });
});
