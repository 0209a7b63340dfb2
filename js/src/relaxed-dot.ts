/** Which form of relaxed SIMD's 8-bit dot product is the faster one here. */

import type { RelaxedDot } from "./capabilities.js";
import { bytes } from "./hex.js";

/** `tests/dots.wat`: a loop over each form, and one product. */
export const PROBE = bytes(
  "0061736d01000000010c0260017f017f60027f7f017f0304030000010503010001071703056931367838000005693332" +
    "7834000103646f7400020a8402037501057b03402000fd0902002101200220014100fd00048008fd9202fd8e01210220" +
    "0320014100fd00049008fd9202fd8e012103200420014100fd0004a008fd9202fd8e012104200520014100fd0004b008" +
    "fd9202fd8e012105200041016b22000d000b20022003fd5020042005fd50fd50fd1b000b6901057b03402000fd090200" +
    "210120014100fd000480082002fd9302210220014100fd000490082003fd9302210320014100fd0004a0082004fd9302" +
    "210420014100fd0004b0082005fd93022105200041016b22000d000b20022003fd5020042005fd50fd50fd1b000b2200" +
    "2000fd0f2001fd0ffd0c00000000000000000000000000000000fd9302fd1b000b",
);

type Probe = Record<RelaxedDot, (turns: number) => number> & { dot(a: number, b: number): number };

/** Products of 127 and 255 whose sum the 32-bit form tells: by its contract the second factor has 7 bits, and what becomes
 * of more is left to the machine, each of which has its own way. */
const FACTORS = [127, 255] as const;
/** x64 without VNNI: two sums of 16 bits, which saturate. */
const SATURATED = 2 * 32767;
/** x64 with VNNI. */
const EXACT = 4 * 127 * 255;
/** Those that take the second factor for -1. */
const SIGNED = 4 * 127 * -1;

let faster: RelaxedDot | undefined;

/**
 * The faster form; found at the first call: at once on x64, else in some 2 ms, or more by a coarse clock. Both give the same
 * numbers.
 */
export function fasterRelaxedDot(): RelaxedDot {
  return (faster ??= choose());
}

function choose(): RelaxedDot {
  const probe = new WebAssembly.Instance(new WebAssembly.Module(PROBE)).exports as Probe;
  switch (probe.dot(...FACTORS)) {
    case SATURATED:
      return "i16x8";
    case EXACT:
      return "i32x4";
    case SIGNED:
      return measure(probe);
    default:
      // No machine's answer: V8 11.3, which Node 20 has, adds the products twice.
      return "i16x8";
  }
}

/** On the last, one instruction and five say the same. The code that engines begin with tells them apart as well. */
function measure(probe: Probe): RelaxedDot {
  const best = { i16x8: 0, i32x4: 0 };
  for (let round = 0; round < 2; round++)
    for (const form of ["i16x8", "i32x4"] as const)
      best[form] = Math.max(best[form], turnsPerMillisecond(probe[form]));
  return best.i32x4 > best.i16x8 ? "i32x4" : "i16x8";
}

const TURNS = 1000;
/** Far more than any machine does in a millisecond: a page's clock may stand still, in a test for example. */
const MOST_TURNS = 10_000_000;

/** From one tick of the clock to another at least half a millisecond later: some clocks tick once a millisecond. */
function turnsPerMillisecond(run: (turns: number) => number): number {
  let turns = 0;
  const until = (since: number, milliseconds: number) => {
    for (turns = 0; turns < MOST_TURNS;) {
      run(TURNS);
      turns += TURNS;
      const now = performance.now();
      if (now - since > milliseconds) return now;
    }
    return since;
  };
  const begun = until(performance.now(), 0);
  const ended = until(begun, 0.5);
  return turns / (ended - begun);
}
