/** How fast a download runs, over the last few seconds: steady enough to read, quick enough to be true. */

const windowMs = 3000;

export class Speed {
  #samples: { at: number; bytes: number }[] = [];

  /** Takes note that `bytes` in all had arrived at the time `at`, in milliseconds. */
  record(at: number, bytes: number): void {
    this.#samples.push({ at, bytes });
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? at) <= at - windowMs) this.#samples.shift();
  }

  /** Bytes per second, or `undefined` until a quarter of a second has been seen. */
  get bytesPerSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.at - first.at < 250) return undefined;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }
}
