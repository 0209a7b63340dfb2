/** One thread that reads its part of a memory, as often as it is told. */

/** The part of one call: a long call would stay in V8's baseline compiler. */
const CALL = 64 << 10;

/** @type {Record<number, (at: number, length: number, distance: number) => number>} by how many places it reads at */
let read;
/** @type {{ from: number, to: number }} */
let part;

addEventListener("message", async ({ data }) => {
  if (data.module) {
    const { exports } = await WebAssembly.instantiate(data.module, { bench: { memory: data.memory } });
    read = /** @type {typeof read} */ ({ 2: exports.read2, 4: exports.read4 });
    part = data;
  } else {
    const { passes, places } = data;
    const distance = (part.to - part.from) / places;
    for (let pass = 0; pass < passes; pass++)
      for (let at = 0; at < distance; at += CALL / places)
        read[places](part.from + at, CALL / places, distance);
  }
  postMessage("done");
});
