/** Which form of relaxed SIMD's 8-bit dot product is the faster one here. */

import { bytes } from "./hex.js";

/**
 * Sums of two products in 16 bits, one instruction on every x64; or of four in 32 bits, one instruction on arm64 and on
 * x64 with VNNI.
 */
export type RelaxedDot = "i16x8" | "i32x4";

/** `tests/dots.wat`: a loop over each form. */
export const LOOPS = bytes(
  "0061736d0100000001060160017f017f03030200000503010001071102056931367838000005693332783400010ae101" +
    "027501057b03402000fd0902002101200220014100fd00048008fd9202fd8e012102200320014100fd00049008fd9202" +
    "fd8e012103200420014100fd0004a008fd9202fd8e012104200520014100fd0004b008fd9202fd8e012105200041016b" +
    "22000d000b20022003fd5020042005fd50fd50fd1b000b6901057b03402000fd090200210120014100fd000480082002" +
    "fd9302210220014100fd000490082003fd9302210320014100fd0004a0082004fd9302210420014100fd0004b0082005" +
    "fd93022105200041016b22000d000b20022003fd5020042005fd50fd50fd1b000b",
);

const TURNS = 1000;

let faster: RelaxedDot | undefined;

/** The faster form; measured in about 2 ms at the first call. Both give the same numbers. */
export function fasterRelaxedDot(): RelaxedDot {
  return (faster ??= measure());
}

function measure(): RelaxedDot {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(LOOPS));
  const loops = exports as Record<RelaxedDot, (turns: number) => number>;
  const best = { i16x8: 0, i32x4: 0 };
  // By turns, because engines begin with code that they improve while it runs.
  for (let round = 0; round < 2; round++)
    for (const form of ["i16x8", "i32x4"] as const)
      best[form] = Math.max(
        best[form],
        runsPerMillisecond(() => loops[form](TURNS)),
      );
  return best.i32x4 > best.i16x8 ? "i32x4" : "i16x8";
}

/** From one tick of the clock to another at least half a millisecond later: some clocks tick once a millisecond. */
function runsPerMillisecond(run: () => void): number {
  let begun = performance.now();
  for (let now = begun; now === begun; now = performance.now()) run();
  begun = performance.now();
  for (let runs = 1; ; runs++) {
    run();
    const elapsed = performance.now() - begun;
    if (elapsed >= 0.5) return runs / elapsed;
  }
}
