import { describe, expect, test } from "vitest";
import { fakeModel, rejection, TRAP } from "./fake.js";

describe("a text's scores", () => {
  test("have an entry for each token", async () => {
    const { model, fakes } = await fakeModel();
    const { top, ...scores } = await model.score("abc", { topLogprobs: 2 });
    expect(scores).toEqual({
      ids: Uint32Array.of(1, 97, 98, 99),
      texts: ["\u0001", "a", "b", "c"],
      logprobs: Float32Array.of(NaN, -1, -2, -3),
      ranks: Uint32Array.of(0, 1, 2, 3),
      entropies: Float32Array.of(NaN, 0.5, 1, 1.5),
      perplexity: 7,
      timings: { prompt_n: 4, prompt_ms: 12 },
    });
    const best = [
      { id: 97, logprob: -1, text: "a" },
      { id: 98, logprob: -2, text: "b" },
    ];
    expect(top).toEqual([[], best, best, best]);
    expect(fakes.scorings).toMatchObject([{ options: { topLogprobs: 2 }, steps: 4, freed: true }]);
  });

  test("of ids are of these, without alternatives unless they are asked for", async () => {
    const { model, fakes } = await fakeModel();
    const ids = Uint32Array.of(97, 98, 99);
    for (const given of [ids, [97, 98, 99]]) {
      const scores = await model.score(given);
      expect([scores.ids, scores.top]).toEqual([ids, [[], [], []]]);
    }
    await model.score("a", { window: 9, stride: 3, addSpecial: false });
    expect(ids).toEqual(Uint32Array.of(97, 98, 99));
    const [first, , last] = fakes.scorings;
    expect(first?.options).toEqual({ topLogprobs: 0 });
    expect(last).toMatchObject({
      ids: Uint32Array.of(97),
      options: { window: 9, stride: 3, topLogprobs: 0 },
    });
  });

  test("are told of as they come", async () => {
    const { model } = await fakeModel();
    const told: unknown[] = [];
    await model.score([97, 98, 99], { onProgress: (progress) => told.push(progress) });
    expect(told).toEqual([1, 2, 3].map((done) => ({ done, total: 3 })));
  });

  test("special tokens are read where that is asked for", async () => {
    const { model } = await fakeModel();
    const { ids } = await model.score("a", { parseSpecial: true });
    expect(ids).toEqual(Uint32Array.of(1, 2, 97));
  });
});

describe("scoring queues with the generations", () => {
  test("one runs at a time, in order", async () => {
    const { model, fakes } = await fakeModel();
    const log: string[] = [];
    fakes.onStep = ({ request }) => log.push("prompt" in request ? request.prompt : "");
    fakes.onScore = ({ ids }) => log.push(`ids ${ids.length}`);
    await Promise.all([
      model.completions.create({ prompt: "a b", max_tokens: 1 }),
      model.score([97, 98]),
      model.completions.create({ prompt: "c", max_tokens: 1 }),
      model.score([97, 98, 99]),
    ]);
    expect([...new Set(log)]).toEqual(["a b", "ids 2", "c", "ids 3"]);
    expect(log.lastIndexOf("ids 2")).toBeLessThan(log.indexOf("c"));
    expect(log.lastIndexOf("c")).toBeLessThan(log.indexOf("ids 3"));
  });

  test("one that is aborted in the queue never starts", async () => {
    const { model, fakes } = await fakeModel();
    const controller = new AbortController();
    const stream = await model.completions.create({ prompt: "endless", stream: true });
    const scored = rejection(model.score([97], { signal: controller.signal }));
    controller.abort("no");
    expect(await scored).toBe("no");
    for await (const _ of stream) break;
    expect((await model.score([98])).ids).toEqual(Uint32Array.of(98));
    expect(fakes.scorings).toHaveLength(1);
  });

  test("an abort stops it within a step or two, and the next goes on", async () => {
    const { model, fakes } = await fakeModel();
    const controller = new AbortController();
    fakes.onScore = ({ steps }) => {
      if (steps === 5) controller.abort("enough");
    };
    const ids = Uint32Array.from({ length: 1000 }, () => 97);
    expect(await rejection(model.score(ids, { signal: controller.signal }))).toBe("enough");
    expect((await model.completions.create({ prompt: "a b c" })).choices[0]?.text).toBe("abc");
    const [scoring] = fakes.scorings;
    expect(scoring?.freed).toBe(true);
    expect(scoring?.steps).toBeLessThan(10);
  });
});

test("a trap is told as such", async () => {
  const { model, fakes } = await fakeModel();
  fakes.onScore = () => {
    throw new WebAssembly.RuntimeError("unreachable executed");
  };
  expect(await rejection(model.score("abc"))).toMatchObject(TRAP);
});

test("what `onProgress` throws rejects, and stops the scoring before the next begins", async () => {
  const { model, fakes } = await fakeModel();
  const log: string[] = [];
  fakes.onStep = () => log.push("step");
  fakes.onScore = () => log.push("score");
  let told = 0;
  const onProgress = () => {
    told++;
    throw new RangeError("mine");
  };
  const ids = Uint32Array.from({ length: 1000 }, () => 97);
  const [error] = await Promise.all([
    rejection(model.score(ids, { onProgress })),
    model.completions.create({ prompt: "a b", max_tokens: 1 }),
  ]);
  expect(error).toEqual(new RangeError("mine"));
  expect(told).toBe(1);
  const [scoring] = fakes.scorings;
  expect(scoring?.freed).toBe(true);
  expect(scoring?.steps).toBeLessThan(10);
  expect(log.lastIndexOf("score")).toBeLessThan(log.indexOf("step"));
});

test.each([
  ["", {}, "`textOrIds` should be a text or ids, got nothing to score"],
  [[], {}, "`textOrIds` should be a text or ids, got nothing to score"],
  [undefined, {}, "`textOrIds` should be a string or an array of token ids, got nothing"],
  [[1, -1, 2], {}, "`textOrIds` should be a string or an array of token ids, got an array of 3"],
  ["a", { topLogprobs: -1 }, "`topLogprobs` should be an integer in 0..=4294967295, got -1"],
  ["a", { top_logprobs: 1 }, /^`top_logprobs` is not supported in `score`'s arguments; what is: `signal`, /],
  ["a", { window: 1 }, "`window` should be an integer in 2..=4294967295, got 1"],
  ["a", { stride: 0 }, "`stride` should be an integer in 1..=4294967295, got 0"],
  ["a", { onProgress: 3 }, "`onProgress` should be a function, got 3"],
  [[0, 97], {}, /^`ids\[0\]` should be below 0, got 0$/],
])("refused: %j %j", async (input, options, message) => {
  const { model } = await fakeModel();
  expect(await rejection(model.score(input as string, options as object))).toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(message) as string,
  });
  expect((await model.score([97])).ids).toEqual(Uint32Array.of(97));
});
