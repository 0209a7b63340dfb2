/** One thread that reads its part of a memory, as often as it is told. */

/** At how many places `read` reads. */
const PLACES = 4;

/** The part of one call: a long call would stay in V8's baseline compiler. */
const CALL = 64 << 10;

/** @type {(at: number, length: number, distance: number) => number} */
let read;
/** @type {{ from: number, to: number }} */
let part;

addEventListener("message", async ({ data }) => {
  if (data.module) {
    const { exports } = await WebAssembly.instantiate(data.module, { bench: { memory: data.memory } });
    read = /** @type {typeof read} */ (exports.read);
    part = data;
  } else {
    const distance = (part.to - part.from) / PLACES;
    for (let pass = 0; pass < data.passes; pass++)
      for (let at = 0; at < distance; at += CALL / PLACES) read(part.from + at, CALL / PLACES, distance);
  }
  postMessage("done");
});
