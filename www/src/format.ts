/** Numbers as people read them. All in English, like the page; bytes are decimal, as download sizes are. */

const integers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const threeDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** `8,192` */
export function formatInteger(value: number): string {
  return integers.format(value);
}

/** `512 B`, `98.4 MB`, `1.23 GB` */
export function formatBytes(bytes: number): string {
  return scaled(bytes, ["B", "kB", "MB", "GB", "TB"]);
}

/** `21.4 MB/s` */
export function formatSpeed(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** `135 M`, `1.24 B`: how model sizes are named. */
export function formatParameters(count: number): string {
  return scaled(count, ["", "K", "M", "B", "T"]);
}

/** `180 ms`, `2.4 s`, `1 min 5 s` */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 9_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  return seconds % 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${seconds / 60} min`;
}

/** `about 4 s left`; coarse above a minute, so that the words do not flicker. */
export function formatTimeLeft(seconds: number): string {
  if (seconds < 59.5) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

/** `41.3 tokens/s`, or `undefined` while there is nothing to divide. */
export function formatTokenRate(tokens: number, milliseconds: number): string | undefined {
  if (tokens <= 0 || milliseconds <= 0) return undefined;
  return `${((tokens / milliseconds) * 1000).toFixed(1)} tokens/s`;
}

/** `1 token`, `212 tokens` */
export function formatTokens(count: number): string {
  return `${formatInteger(count)} ${count === 1 ? "token" : "tokens"}`;
}

/** `models/smollm2-135m-instruct-q4_1.gguf?x=1` -> `smollm2-135m-instruct-q4_1`: a name until the file tells its own. */
export function nameOfFile(path: string): string {
  const [name = path] = (path.split(/[?#]/, 1)[0] ?? path).split("/").slice(-1);
  try {
    return decodeURIComponent(name).replace(/\.gguf$/i, "") || path;
  } catch {
    return name; // A stray `%`: the name as it stands.
  }
}

function scaled(value: number, units: readonly string[]): string {
  let [scale, unit] = [1, 0];
  // 999.5 would round to 1,000 of the smaller unit.
  while (value / scale >= 999.5 && unit < units.length - 1) [scale, unit] = [scale * 1000, unit + 1];
  return `${threeDigits.format(value / scale)} ${units[unit]}`.trim();
}
