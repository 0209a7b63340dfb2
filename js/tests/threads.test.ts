import { describe, expect, onTestFinished, test, vi } from "vitest";
import { loadModel } from "../src/index.js";
import { compute, join, startThreads, type Join, type Joined } from "../src/threads.js";
import type { WasmGlue } from "../src/wasm-contract.js";
import { fakeFile, fakeModel, fakeWorkers, rejection, wasmError } from "./fake.js";

function isolated(crossOriginIsolated: boolean, hardwareConcurrency = 4): void {
  vi.stubGlobal("crossOriginIsolated", crossOriginIsolated);
  vi.stubGlobal("navigator", { hardwareConcurrency });
  onTestFinished(() => void vi.unstubAllGlobals());
}

describe("the option `threads`", () => {
  test.each([
    [undefined, 4, 4],
    [null, 3, 3],
    ["auto", 2, 2],
    ["auto", 1, 1],
    ["auto", 8, 8],
    ["auto", 32, 8],
    [1, 4, 1],
    [3, 2, 3],
    [64, 2, 64],
  ])("%j with %i processors gives %i", async (threads, processors, given) => {
    isolated(true, processors);
    const { model } = await fakeModel({ threads: threads as number });
    expect(model.info.threads).toBe(given);
  });

  test.each([undefined, "auto", 1])("%j is one where the page is not isolated", async (threads) => {
    isolated(false, 8);
    const { model } = await fakeModel({ threads: threads as number });
    expect(model.info.threads).toBe(1);
  });

  test("more than one where the page is not isolated are refused", async () => {
    isolated(false, 8);
    const { workers } = fakeWorkers();
    expect(await rejection(loadModel(fakeFile(16).buffer, { threads: 2 }))).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(
        /^`threads` should be 1 or "auto" where the page is not cross-origin isolated, got 2; .*Cross-Origin-Opener-Policy/,
      ) as string,
    });
    expect(workers).toEqual([]);
  });

  test("one is taken, and more are refused, in a browser that shares no memory with an isolated page", async () => {
    isolated(true, 8);
    vi.stubGlobal("SharedArrayBuffer", undefined);
    const { model } = await fakeModel({});
    expect(model.info.threads).toBe(1);
    expect(await rejection(loadModel(fakeFile(16).buffer, { threads: 2 }))).toMatchObject({
      code: "invalid_request",
      message: '`threads` should be 1 or "auto" in a browser without `SharedArrayBuffer`, got 2',
    });
  });

  test.each([0, -1, 65, 1.5, NaN, Infinity, "2", "AUTO", true, [2]])("%j is refused", async (threads) => {
    isolated(true);
    const { workers } = fakeWorkers();
    expect(await rejection(loadModel(fakeFile(16).buffer, { threads: threads as number }))).toMatchObject({
      code: "invalid_request",
      message: expect.stringMatching(/^`threads` should be "auto" or an integer in 1\.\.=64, got /) as string,
    });
    expect(workers).toEqual([]);
  });
});

/** A glue whose calls are noted. */
function noting(overrides: Partial<WasmGlue> = {}) {
  const calls: unknown[] = [];
  const note =
    (name: string) =>
    (...parameters: unknown[]) =>
      void calls.push([name, ...parameters]);
  const glue = {
    default: async () => void calls.push("default"),
    chooseRelaxedDot: note("chooseRelaxedDot"),
    makePool: note("makePool"),
    meet: note("meet"),
    help: note("help"),
    lose: note("lose"),
    ...overrides,
  } as Partial<WasmGlue> as WasmGlue;
  return { glue, calls };
}

const WASM = {
  module: new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)),
  memory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
};

describe("startThreads", () => {
  /** A worker that does as told when it is to join. */
  class Answering extends EventTarget {
    readonly #answer: (worker: Answering, message: Join) => void;

    constructor(answer: (worker: Answering, message: Join) => void) {
      super();
      this.#answer = answer;
    }

    postMessage(message: Join): void {
      this.#answer(this, message);
    }

    say(data: Joined): void {
      this.dispatchEvent(new MessageEvent("message", { data }));
    }
  }
  const opened = (answer: (worker: Answering, message: Join) => void) => () =>
    new Answering(answer) as unknown as Worker;

  test("one thread takes no pool and no worker", async () => {
    const { glue, calls } = noting();
    await startThreads(glue, WASM, 1, () => {
      throw new Error("a worker was opened");
    });
    expect(calls).toEqual([]);
  });

  test("the pool is there before its workers join, and meets when all have", async () => {
    const { glue, calls } = noting();
    const answer = (worker: Answering, message: Join) => {
      calls.push(["join", message]);
      worker.say({ joined: true });
    };
    await startThreads(glue, WASM, 4, opened(answer));
    expect(calls).toEqual([
      ["makePool", 4],
      ...[1, 2, 3].map((thread) => ["join", { ...WASM, thread }]),
      ["meet"],
    ]);
  });

  const dying = (message: string) => Object.assign(new Event("error", { cancelable: true }), { message });

  test.each([
    [
      "cannot instantiate",
      (worker: Answering) => worker.say({ joined: false, reason: "RangeError: memory" }),
      "RangeError: memory",
    ],
    [
      "whose script is missing",
      (worker: Answering) => worker.dispatchEvent(dying("")),
      "its script could not be loaded",
    ],
    ["whose script throws", (worker: Answering) => worker.dispatchEvent(dying("oh")), "oh"],
    [
      "cannot be understood",
      (worker: Answering) => worker.dispatchEvent(new MessageEvent("messageerror")),
      "its answer could not be read",
    ],
    [
      "cannot be sent its memory",
      () => {
        throw new DOMException("The object can not be cloned.", "DataCloneError");
      },
      "DataCloneError: The object can not be cloned.",
    ],
  ])("a worker that %s is lost", async (_, fail, reason) => {
    const { glue, calls } = noting();
    const answer = (worker: Answering, { thread }: Join) =>
      thread === 2 ? fail(worker) : worker.say({ joined: true });
    expect(await rejection(startThreads(glue, WASM, 4, opened(answer)))).toMatchObject({
      code: "worker_lost",
      message: `a compute worker could not be started: ${reason}`,
    });
    expect(calls).toEqual([["makePool", 4]]);
  });

  test("a worker that may not be opened is lost", async () => {
    const forbidden = () => {
      throw new DOMException("the policy has no such worker", "SecurityError");
    };
    expect(await rejection(startThreads(noting().glue, WASM, 2, forbidden))).toMatchObject({
      code: "worker_lost",
      message: "a compute worker could not be started: SecurityError: the policy has no such worker",
    });
  });

  test("a worker that does not answer is lost after 30 s, and none is waited for once all have joined", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { glue, calls } = noting();
    const silent = ({ thread }: Join) => thread === 2;
    const answer = (worker: Answering, message: Join) => {
      if (!silent(message)) worker.say({ joined: true });
    };
    let outcome: unknown = "waits";
    const starting = rejection(startThreads(glue, WASM, 4, opened(answer))).then(
      (error) => (outcome = error),
    );
    await vi.advanceTimersByTimeAsync(29_900);
    expect(outcome).toBe("waits");
    await vi.advanceTimersByTimeAsync(200);
    expect(outcome).toMatchObject({
      code: "worker_lost",
      message: "a compute worker could not be started: it did not answer within 30 s",
    });
    await starting;
    expect(calls).toEqual([["makePool", 4]]);
    expect(vi.getTimerCount()).toBe(0);

    await startThreads(glue, WASM, 2, opened(answer));
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a worker that dies once it has joined is lost to the wasm, and to no other", async () => {
    const { glue, calls } = noting();
    const workers: Answering[] = [];
    const answer = (worker: Answering) => {
      workers.push(worker);
      worker.say({ joined: true });
    };
    await startThreads(glue, WASM, 4, opened(answer));
    calls.length = 0;
    const event = dying("out of memory");
    workers[1]?.dispatchEvent(event);
    expect(calls).toEqual([["lose", 2]]);
    expect(event.defaultPrevented).toBe(true);
  });
});

describe("compute", () => {
  function computing(glue: WasmGlue, calls: unknown[]): EventTarget {
    const target = new EventTarget();
    const scope = {
      addEventListener: (type: string, listener: (event: { data: Join }) => void) =>
        target.addEventListener(type, (event) => listener(event as MessageEvent<Join>)),
      postMessage: (joined: Joined) => calls.push(joined),
    };
    compute(scope, glue, () => calls.push("sleep"));
    return target;
  }

  test("joins when told to", async () => {
    const { glue, calls } = noting();
    const scope = computing(glue, calls);
    expect(calls).toEqual([]);
    scope.dispatchEvent(new MessageEvent("message", { data: { ...WASM, thread: 3 } }));
    await vi.waitFor(() => expect(calls).toEqual(["default", { joined: true }, ["help", 3]]));
  });

  test("tells of a message that could not be received", () => {
    const { glue, calls } = noting();
    computing(glue, calls).dispatchEvent(new MessageEvent("messageerror"));
    expect(calls).toEqual([
      { joined: false, reason: "the module and its memory could not be received" },
      "sleep",
    ]);
  });
});

describe("join", () => {
  const joining = (glue: WasmGlue, calls: unknown[]) =>
    join(
      glue,
      { ...WASM, thread: 3 },
      (joined) => calls.push(joined),
      () => calls.push("sleep"),
    );

  test("instantiates, tells so, helps", async () => {
    const { glue, calls } = noting();
    await joining(glue, calls);
    expect(calls).toEqual(["default", { joined: true }, ["help", 3]]);
  });

  test("tells why it cannot", async () => {
    const { glue, calls } = noting({ default: () => Promise.reject(new RangeError("memory")) });
    await joining(glue, calls);
    expect(calls).toEqual([{ joined: false, reason: "RangeError: memory" }, "sleep"]);
  });

  test("a trap is told to the other threads", async () => {
    const { glue, calls } = noting({
      help: () => {
        throw new WebAssembly.RuntimeError("unreachable executed");
      },
    });
    await joining(glue, calls);
    expect(calls).toEqual(["default", { joined: true }, ["lose", 3], "sleep"]);
  });
});

test("a lost compute worker ends the model: this request, those that wait, and later ones", async () => {
  const { model, worker, fakes } = await fakeModel();
  const detail = "a compute worker stopped";
  fakes.onStep = () => {
    throw wasmError("worker_lost", detail);
  };
  const lost = { name: "TallowError", code: "worker_lost", message: detail };
  const running = rejection(model.completions.create({ prompt: "a b c" }));
  const waiting = rejection(model.completions.create({ prompt: "a b c" }));
  expect(await running).toMatchObject(lost);
  expect(await waiting).toMatchObject(lost);
  expect(worker.terminated).toBe(true);
  expect(await rejection(model.tokenize("a"))).toMatchObject(lost);
});
