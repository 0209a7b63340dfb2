import { expect, test } from "vitest";
import { Speed } from "../src/speed.js";

test("says nothing until a quarter of a second has been seen", () => {
  const speed = new Speed();
  expect(speed.bytesPerSecond).toBeUndefined();
  speed.record(0, 0);
  speed.record(249, 1000);
  expect(speed.bytesPerSecond).toBeUndefined();
  speed.record(250, 1000);
  expect(speed.bytesPerSecond).toBe(4000);
});

test("forgets what was more than three seconds ago", () => {
  const speed = new Speed();
  for (let second = 0; second <= 5; second += 1) speed.record(second * 1000, second * 1_000_000);
  for (let second = 6; second <= 12; second += 1) speed.record(second * 1000, 5_000_000);
  expect(speed.bytesPerSecond).toBe(0);
});
