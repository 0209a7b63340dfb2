/**
 * Texts that are replaced as a whole: they take turns in two files, so that the old one stays until the new one is
 * there. Not every browser moves files or replaces their contents at once, WebKit's `createWritable` among them.
 */

/** A text, and how many its name has had with it. */
export interface Slot {
  turn: number;
  text: string;
}

/** A file that holds a slot; what it captures is the text's name. */
export const SLOT_NAME = /^(.+)_[01]$/;

/** The file that holds the slot of a turn. */
export function slotName(name: string, turn: number): string {
  return `${name}_${turn % 2}`;
}

/** The checksum in eight hexadecimal digits, then, in UTF-8, turn, space and text. */
export function encodeSlot({ turn, text }: Slot): Uint8Array {
  const body = new TextEncoder().encode(`${turn} ${text}`);
  const slot = new Uint8Array(8 + body.length);
  new TextEncoder().encodeInto(fnv1a(body).toString(16).padStart(8, "0"), slot);
  slot.set(body, 8);
  return slot;
}

/** The slot that {@link encodeSlot} wrote; `undefined` where it was cut off. */
export function decodeSlot(slot: Uint8Array): Slot | undefined {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const body = slot.subarray(8);
  if (body.length === 0 || parseInt(decoder.decode(slot.subarray(0, 8)), 16) !== fnv1a(body))
    return undefined;
  const [turn = ""] = decoder.decode(body).split(" ", 1);
  return { turn: Number(turn), text: decoder.decode(body.subarray(turn.length + 1)) };
}

/** FNV-1a of 32 bits; `crypto.subtle` is not there on insecure origins. */
function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
