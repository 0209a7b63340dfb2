import { expect, test, vi } from "vitest";
import { ChunkStream } from "../src/stream.js";
import { rejection } from "./fake.js";

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const chunks: T[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test("chunks come in order, whether they wait or are waited for", async () => {
  const onLeave = vi.fn();
  const stream = new ChunkStream<string>(onLeave);
  stream.push("a");
  stream.push("b");
  const all = collect(stream);
  await Promise.resolve();
  stream.push("c");
  stream.end();
  expect(await all).toEqual(["a", "b", "c"]);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  expect(onLeave).not.toHaveBeenCalled();
});

test("several calls of next are served in order, and all end", async () => {
  const stream = new ChunkStream<number>(() => {});
  const asked = [stream.next(), stream.next(), stream.next()];
  stream.push(1);
  stream.fail("lost");
  expect(await Promise.allSettled(asked)).toMatchObject([
    { value: { value: 1 } },
    { reason: "lost" },
    { value: { done: true } },
  ]);
});

test("a failure comes after the chunks that waited, once", async () => {
  const stream = new ChunkStream<number>(() => {});
  stream.push(1);
  stream.fail("lost");
  expect((await stream.next()).value).toBe(1);
  expect(await rejection(stream.next())).toBe("lost");
  expect((await stream.next()).done).toBe(true);
});

test.each(["return", "throw"] as const)("%s leaves once and drops what waits", async (way) => {
  const onLeave = vi.fn();
  const stream = new ChunkStream<number>(onLeave);
  stream.push(1);
  await Promise.allSettled([stream[way]("reason"), stream[way]("reason")]);
  stream.push(2);
  stream.fail("too late");
  expect((await stream.next()).done).toBe(true);
  expect(onLeave).toHaveBeenCalledTimes(1);
});

test("return settles a next that waits", async () => {
  const stream = new ChunkStream<number>(() => {});
  const next = stream.next();
  await stream.return();
  expect((await next).done).toBe(true);
});

test("an abort drops chunks that wait, also of a stream that had ended", async () => {
  const controller = new AbortController();
  const stream = new ChunkStream<number>(() => {}, controller.signal);
  [1, 2, 3].forEach((chunk) => stream.push(chunk));
  stream.end();
  expect((await stream.next()).value).toBe(1);
  controller.abort("stop");
  expect(await rejection(stream.next())).toBe("stop");
  expect((await stream.next()).done).toBe(true);
});
