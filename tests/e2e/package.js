// A page that uses the built package as it lies in js/dist, without a bundler; the tests drive it.
import * as tallow from "/tallow/index.js";

globalThis.tallow = tallow;
