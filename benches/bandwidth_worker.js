/** One thread that reads its part of a memory, as often as it is told. */

/** The part of one call: a long call would stay in V8's baseline compiler. */
const CALL = 64 << 10;

/** @type {(at: number, end: number) => number} */
let read;
/** @type {{ from: number, to: number }} */
let part;

addEventListener("message", async ({ data }) => {
  if (data.module) {
    const { exports } = await WebAssembly.instantiate(data.module, { bench: { memory: data.memory } });
    read = /** @type {typeof read} */ (exports.read);
    part = data;
  } else {
    for (let pass = 0; pass < data.passes; pass++)
      for (let at = part.from; at < part.to; at += CALL) read(at, at + CALL);
  }
  postMessage("done");
});
