/** Small wasm modules, written out. */

/** The bytes of `hex`; spaces do not count. */
export function bytes(hex: string): Uint8Array<ArrayBuffer> {
  const digits = hex.replaceAll(" ", "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}
