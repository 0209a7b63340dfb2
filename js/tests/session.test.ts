import { describe, expect, test } from "vitest";
import { fakeModel, rejection, TRAP } from "./fake.js";

const text = (tokens: Uint32Array) => String.fromCodePoint(...tokens);

describe("a session", () => {
  test("answers in its own context", async () => {
    const { model, runs } = await fakeModel();
    const [one, other] = [await model.createSession(), await model.createSession()];
    const answer = await one.completions.create({ prompt: "one two", max_tokens: 5 });
    expect(answer.choices[0]?.text).toBe("onetwo");
    let streamed = "";
    const messages = [{ role: "user" as const, content: "three four" }];
    for await (const chunk of await other.chat.completions.create({ messages, stream: true }))
      streamed += chunk.choices[0]?.delta.content ?? "";
    expect(streamed).toBe("threefour");
    expect([text(await one.tokens()), text(await other.tokens())]).toEqual(["one two", "three four"]);
    expect(runs).toHaveLength(2);
  });

  test("forks, is cut, and leaves its fork as it is", async () => {
    const { model } = await fakeModel();
    const session = await model.createSession();
    await session.completions.create({ prompt: "one two" });
    const fork = await session.fork();
    await session.truncate(3);
    await fork.completions.create({ prompt: "five" });
    expect([text(await session.tokens()), text(await fork.tokens())]).toEqual(["one", "five"]);
  });

  test("is saved and restored, in another session too", async () => {
    const { model } = await fakeModel();
    const session = await model.createSession();
    await session.completions.create({ prompt: "one two" });
    const saved = await session.save();
    expect(saved).toBeInstanceOf(Blob);
    await session.truncate(0);
    const other = await model.createSession();
    for (const restored of [session, other]) {
      await restored.restore(saved);
      expect(text(await restored.tokens())).toBe("one two");
    }

    const wrong = new Blob([Uint8Array.of(1, 2, 3), saved]);
    expect(await rejection(other.restore(wrong))).toMatchObject({ code: "integrity_error" });
    expect(text(await other.tokens())).toBe("one two");
  });

  test("whose restoring traps is told the trap", async () => {
    const { model } = await fakeModel();
    const session = await model.createSession();
    await session.completions.create({ prompt: "\u00fe" });
    const saved = await session.save();
    expect(await rejection(session.restore(saved))).toMatchObject(TRAP);
  });

  test("is of use no more once it was disposed of", async () => {
    const { model } = await fakeModel();
    const session = await model.createSession();
    const fork = await session.fork();
    await session.dispose();
    await session.dispose();
    const gone = { code: "invalid_request", message: "the session was disposed of" };
    for (const call of [
      () => session.fork(),
      () => session.truncate(1),
      () => session.tokens(),
      () => session.save(),
      () => session.restore(new Blob()),
      () => session.completions.create({ prompt: "one" }),
    ])
      expect(await rejection(call())).toMatchObject(gone);
    expect((await fork.completions.create({ prompt: "one" })).choices[0]?.text).toBe("one");

    await model.dispose();
    expect(await rejection(fork.tokens())).toMatchObject({ code: "worker_lost" });
    expect(await rejection(model.createSession())).toMatchObject({ code: "worker_lost" });
  });

  test("waits for what was asked before", async () => {
    const { model } = await fakeModel();
    const session = await model.createSession();
    const order: string[] = [];
    const done = (name: string) => () => void order.push(name);
    await Promise.all([
      session.completions.create({ prompt: "one two three" }).then(done("answer")),
      session.fork().then(done("fork")),
      model.completions.create({ prompt: "one" }).then(done("model")),
      session.save().then(done("save")),
      session.dispose().then(done("dispose")),
      rejection(session.tokens()).then(done("tokens")),
    ]);
    expect(order).toEqual(["answer", "fork", "model", "save", "dispose", "tokens"]);
  });

  test("refuses what it is not given rightly", async () => {
    const { model } = await fakeModel();
    const session = await model.createSession();
    for (const [call, message] of [
      [() => session.truncate(-1), "`length` should be an integer in 0..=4294967295, got -1"],
      [() => session.restore("file" as never), '`saved` should be a Blob, got "file"'],
      [
        () => session.completions.create({ prompt: "a", context: "drop" as never }),
        '`context` should be "error" or "shift", got "drop"',
      ],
      [
        () => session.completions.create({ prompt: "a", n_keep: -2 }),
        "`n_keep` should be an integer in -1..=4294967295, got -2",
      ],
    ] as const)
      expect(await rejection(call())).toMatchObject({ code: "invalid_request", message });
  });

  test("passes on how a full context is to be treated", async () => {
    const { model, runs } = await fakeModel();
    await model.completions.create({ prompt: "one", context: "shift", n_keep: 7 });
    await model.completions.create({ prompt: "one" });
    expect(runs[0]?.request).toMatchObject({ context: "shift", n_keep: 7 });
    expect(runs[1]?.request).not.toHaveProperty("context");
  });
});
