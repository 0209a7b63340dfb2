/**
 * A checksum of 128 bits, ten times as fast as the browser's SHA-256, which would take most of the time of a load from
 * storage. It tells what a disk or a killed browser damaged; who would forge it could write the record as well.
 *
 * Four lanes take every fourth word of 32 bits in turn, as xxHash32 does; lane <- (lane ^ word) * prime, then its upper half
 * is added to the lower one (^). Each step is one to one, so that no change of a single word goes unseen.
 */

/** Of xxHash32. */
const [P1, P2, P3, P4] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];

/** The checksum of `bytes`, which begin at a multiple of 4 in their buffer, in hexadecimal. */
export function checksum(bytes: Uint8Array<ArrayBuffer>): string {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, (bytes.length >> 4) << 2);
  let [a, b, c, d] = [P1 ^ bytes.length, P2, P3, P4];
  for (let i = 0; i < words.length; i += 4) {
    a = Math.imul(a ^ (words[i] as number), P1);
    b = Math.imul(b ^ (words[i + 1] as number), P2);
    c = Math.imul(c ^ (words[i + 2] as number), P3);
    d = Math.imul(d ^ (words[i + 3] as number), P4);
    a ^= a >>> 15;
    b ^= b >>> 15;
    c ^= c >>> 15;
    d ^= d >>> 15;
  }
  for (const byte of bytes.subarray(4 * words.length)) {
    a = Math.imul(a ^ byte, P1);
    a ^= a >>> 15;
  }
  return [a, b, c, d].map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
}
