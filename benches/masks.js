/**
 * What a constraint costs a token of the default model: `node benches/masks.js [--threads N] [--rounds N] [--tokens N]`,
 * after `./build.sh build`. README.md says what is measured.
 */

import { parseArgs } from "node:util";
import { withBrowser } from "./browser.js";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    tokens: { type: "string", default: "64" },
  },
});
const [threads, rounds, tokens] = [values.threads, values.rounds, values.tokens].map(Number);

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

await withBrowser({}, (browser) =>
  browser.withPage(async (call) => {
    const url = "/models/smollm2-135m-instruct-q4_1.gguf";
    await call("load", "tallow", { url, n_ctx: 1024, module: "relaxed", threads });
    console.log(
      `${browser.version}, default model, ${threads} threads, ${rounds} rounds of ${tokens} tokens\n`,
    );
    console.log("| constraint | ms a token without, with | cost | until the first token, compiling it |");
    console.log("| --- | --- | --- | --- |");
    for (const [name, { first, free, held }] of Object.entries(await call("masks", { rounds, tokens }))) {
      // Of each round: what slows the machine down for a while slows both.
      const cost = median(held.map((ms, round) => ms / free[round] - 1));
      const [without, with_] = [free, held].map((ms) => median(ms).toFixed(2));
      console.log(
        `| ${name} | ${without}, ${with_} | ${(100 * cost).toFixed(1)} % | ${first.toFixed(0)} ms |`,
      );
    }
  }),
);
