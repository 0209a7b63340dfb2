/** One thread that reads its part of a memory, as often as it is told. */

/** The part of one call: a long call would stay in V8's baseline compiler. */
const CALL = 64 << 10;
const LINE = 64;
/** How many lines a turn of `read` takes, at as many places or fewer. */
const LINES = 4;

/** @type {(at0: number, at1: number, at2: number, at3: number, step: number, end: number) => number} */
let read;
/** @type {{ from: number, to: number }} */
let part;

addEventListener("message", async ({ data }) => {
  if (data.module) {
    const { exports } = await WebAssembly.instantiate(data.module, { bench: { memory: data.memory } });
    read = /** @type {typeof read} */ (exports.read);
    part = data;
  } else {
    const { passes, places } = data;
    const distance = (part.to - part.from) / places;
    const step = (LINE * LINES) / places;
    // Where line `i` of a turn begins: one of each place, then the next of each.
    const [, at1, at2, at3] = Array.from(
      { length: LINES },
      (_, i) => (i % places) * distance + Math.floor(i / places) * LINE,
    );
    for (let pass = 0; pass < passes; pass++)
      for (let at = part.from; at < part.from + distance; at += CALL / places)
        read(at, at + at1, at + at2, at + at3, step, at + CALL / places);
  }
  postMessage("done");
});
