/**
 * What this browser can run, found by letting it validate and run modules of a few bytes. Works on a page, in a worker and,
 * during server-side rendering, in Node; nothing is loaded.
 */

import { bytes } from "./hex.js";
import { isIsolated, processors, sharesMemory } from "./platform.js";
import { fasterRelaxedDot } from "./relaxed-dot.js";

/** The two wasm modules of this package, named after the SIMD instructions they need. */
export type WasmModuleName = "relaxed" | "simd128";

/**
 * Sums of two products in 16 bits, one instruction on every x64; or of four in 32 bits, one instruction on x64 with VNNI
 * and on arm64 with its dot products, and five on others.
 */
export type RelaxedDot = "i16x8" | "i32x4";

/** What this browser can run. */
export interface Capabilities {
  /** The wasm module Tallow takes here; `null` where none can run, for what is below or by the page's own policy. */
  module: WasmModuleName | null;
  /** 128-bit SIMD. */
  simd128: boolean;
  /** The relaxed SIMD instructions, among them the 8-bit dot product. */
  relaxedSimd: boolean;
  /**
   * Which form of that dot product is faster here; `null` where there is none. Where both have to be timed, as on arm64, the
   * first call takes some 2 ms, and several times that where the clock is coarse.
   */
  relaxedDot: RelaxedDot | null;
  /** Atomic instructions and shared memory, which both modules are built with. */
  atomics: boolean;
  /** Whether the page is cross-origin isolated, as it has to be to share memory between threads. Node always is. */
  crossOriginIsolated: boolean;
  /** The processors the browser admits to. */
  hardwareConcurrency: number;
  /** The threads that a model gets here unless `loadModel` is told otherwise. */
  threads: number;
}

/** The most threads that are taken unasked: beyond it, memory is what a model waits for. */
const MAX_AUTO_THREADS = 8;

// (module)
const EMPTY = bytes("0061736d01000000");

// (module (func (result v128) i32.const 0 i8x16.splat))
const SIMD128 = bytes("0061736d010000000105016000017b030201000a08010600 4100fd0f0b");

// (module (func (result v128) i32.const 0 i8x16.splat i32.const 0 i8x16.splat i32.const 0 i8x16.splat
//   i32x4.relaxed_dot_i8x16_i7x16_add_s))
const RELAXED = bytes("0061736d010000000105016000017b030201000a13011100 4100fd0f 4100fd0f 4100fd0f fd93020b");

// (module (memory 1 1 shared) (func i32.const 0 i32.atomic.load drop))
const ATOMICS = bytes("0061736d01000000010401600000030201000504010301010a0b010900 4100 fe100200 1a0b");

/** Whether the page's Content Security Policy lets WebAssembly be compiled. What it forbids may still be validated. */
function mayCompile(): boolean {
  try {
    return Boolean(new WebAssembly.Module(EMPTY));
  } catch {
    return false;
  }
}

/** What this browser can run. */
export function capabilities(): Capabilities {
  const validates = (probe: BufferSource) => typeof WebAssembly === "object" && WebAssembly.validate(probe);
  const simd128 = validates(SIMD128);
  const relaxedSimd = validates(RELAXED);
  const atomics = validates(ATOMICS);
  const compiles = simd128 && mayCompile();
  const hardwareConcurrency = processors();
  return {
    module: compiles && atomics ? (relaxedSimd ? "relaxed" : "simd128") : null,
    simd128,
    relaxedSimd,
    relaxedDot: compiles && relaxedSimd ? fasterRelaxedDot() : null,
    atomics,
    crossOriginIsolated: isIsolated(),
    hardwareConcurrency,
    threads: sharesMemory() ? Math.min(hardwareConcurrency, MAX_AUTO_THREADS) : 1,
  };
}
