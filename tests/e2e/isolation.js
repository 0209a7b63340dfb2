// A page on a server without headers; its address holds the options of `isolate`.
import * as tallow from "/tallow/index.js";
import { isolate } from "/tallow/isolation.js";

globalThis.tallow = tallow;
globalThis.isolated = await isolate(Object.fromEntries(new URLSearchParams(location.search))).catch(
  ({ code }) => code,
);
