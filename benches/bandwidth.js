/** How fast this machine reads memory that no cache holds, from wasm: what bounds the speed of decoding. */

/** Parts of it are no power of two apart: what is, meets in the same banks of memory and takes longer. */
const BYTES = 250 << 20;
/** At so many places a thread reads. */
const PLACES = [2, 4];
const PAGE = 64 << 10;
/** In one measurement, so that the messages that begin and end it weigh nothing. */
const PASSES = 8;
const MEASUREMENTS = 6;

/**
 * The best of some measurements, in bytes per second: each thread reads its own part of one memory.
 * @param {number[]} wasm the bytes of `bandwidth.wat`'s module
 * @param {number} threads
 */
export async function bandwidth(wasm, threads) {
  const module = await WebAssembly.compile(Uint8Array.from(wasm));
  const memory = new WebAssembly.Memory({ initial: BYTES / PAGE, maximum: BYTES / PAGE, shared: true });
  // Pages that were never written are all the same page of zeros.
  new Uint8Array(memory.buffer).fill(1);

  const workers = Array.from(
    { length: threads },
    () => new Worker("bandwidth_worker.js", { type: "module" }),
  );
  const ask = (message) =>
    Promise.all(
      workers.map((worker, i) => {
        const answered = new Promise((resolve, reject) => {
          worker.onmessage = resolve;
          worker.onerror = ({ message }) =>
            reject(new Error(message || "bandwidth_worker.js could not be loaded"));
        });
        worker.postMessage(message(i));
        return answered;
      }),
    );
  try {
    const part = BYTES / threads;
    await ask((i) => ({ module, memory, from: i * part, to: (i + 1) * part }));
    let best = 0;
    for (const places of PLACES) {
      // The first read waits for the optimising compiler.
      await ask(() => ({ passes: PASSES, places }));
      for (let i = 0; i < MEASUREMENTS; i++) {
        const start = performance.now();
        await ask(() => ({ passes: PASSES, places }));
        best = Math.max(best, (1000 * PASSES * BYTES) / (performance.now() - start));
      }
    }
    return best;
  } finally {
    for (const worker of workers) worker.terminate();
  }
}
