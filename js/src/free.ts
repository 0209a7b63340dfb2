/** Gives back the memory of a wasm object in whose use something may have failed. */

/**
 * Frees `object`. One that a trap left in the middle of a method counts as borrowed for good: that it cannot be freed is
 * not to take the place of the trap.
 */
export function free(object: { free(): void }): void {
  try {
    object.free();
  } catch {
    // The wasm is not called again.
  }
}
