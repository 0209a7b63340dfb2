/** Who races: an engine with what it is told. */

/**
 * @typedef {{
 *   name: string,
 *   title: string,
 *   engine: "tallow" | "wllama" | "stock",
 *   threads: number,
 *   module?: import("tallow").WasmModuleName,
 * }} Contestant
 */

/**
 * In the order of their turns.
 * @type {Contestant[]}
 */
export const CONTESTANTS = [
  { name: "relaxed-1", title: "Tallow relaxed", engine: "tallow", module: "relaxed", threads: 1 },
  { name: "simd128-1", title: "Tallow simd128", engine: "tallow", module: "simd128", threads: 1 },
  { name: "wllama-1", title: "wllama", engine: "wllama", threads: 1 },
  { name: "stock-1", title: "stock Candle", engine: "stock", threads: 1 },
  { name: "relaxed-2", title: "Tallow relaxed", engine: "tallow", module: "relaxed", threads: 2 },
  { name: "simd128-2", title: "Tallow simd128", engine: "tallow", module: "simd128", threads: 2 },
  { name: "wllama-2", title: "wllama", engine: "wllama", threads: 2 },
];
