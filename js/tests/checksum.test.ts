import { expect, test } from "vitest";
import { checksum } from "../src/checksum.js";

function sample(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 7) ^ (i >> 5));
}

test.each([0, 1, 3, 4, 15, 16, 17, 31, 32, 33, 100])(
  "every bit of %i bytes counts, and their number",
  (length) => {
    const bytes = sample(length);
    const seen = new Set([
      checksum(bytes),
      checksum(sample(length + 1)),
      checksum(new Uint8Array(length + 2)),
    ]);
    for (let bit = 0; bit < 8 * length; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      seen.add(checksum(changed));
    }
    expect(seen.size).toBe(3 + 8 * length);
    expect(checksum(sample(length))).toBe(checksum(bytes));
    for (const sum of seen) expect(sum).toMatch(/^[0-9a-f]{32}$/);
  },
);

test("zeros are told from fewer and from more of them, and words from the same ones in another order", () => {
  const zeros = Array.from({ length: 70 }, (_, n) => checksum(new Uint8Array(n)));
  expect(new Set(zeros).size).toBe(70);
  const words = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8), Uint8Array.of(0, 0, 0, 0)];
  const sums = [
    [0, 1, 2, 2],
    [1, 0, 2, 2],
    [2, 1, 0, 2],
    [2, 2, 2, 0, 1, 2, 2, 2],
    [1, 2, 2, 2, 2, 2, 2, 0],
  ].map((order) => checksum(Uint8Array.from(order.flatMap((i) => [...(words[i] ?? [])]))));
  expect(new Set(sums).size).toBe(5);
});

test("a part of a buffer has its own checksum", () => {
  const bytes = sample(64);
  expect(checksum(bytes.subarray(8, 40))).toBe(checksum(bytes.slice(8, 40)));
});
