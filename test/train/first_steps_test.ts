import assert from "node:assert/strict";
import { type FirstSteps, watchFirstSteps } from "../../lib/train/first_steps.ts";

Deno.test("watchFirstSteps() tells once what steps take, without the first one", async () => {
  let time = 0;
  let waits = 0;
  const told: FirstSteps[] = [];
  const after = watchFirstSteps((found) => told.push(found), { milliseconds: 1000, now: () => time });
  // The device lags: waiting for it takes 100 ms each time.
  const wait = () => {
    waits++;
    time += 100;
    return Promise.resolve();
  };
  time = 5000; // compiling, and the first step
  await after(11, wait);
  for (let step = 12; step <= 30; step++) {
    time += 250;
    await after(step, wait);
  }
  assert.deepEqual(told, [{ steps: 4, secondsPerStep: 1.1 / 4, step: 15 }]);
  assert.equal(waits, 2);
});

Deno.test("watchFirstSteps() waits for a second step, however long one takes", async () => {
  let time = 0;
  const told: FirstSteps[] = [];
  const after = watchFirstSteps((found) => told.push(found), { now: () => time });
  const wait = () => Promise.resolve();
  for (const step of [1, 2]) {
    await after(step, wait);
    time += 60_000;
  }
  assert.deepEqual(told, []);
  await after(3, wait);
  assert.deepEqual(told.map(({ steps, secondsPerStep }) => [steps, secondsPerStep]), [[2, 60]]);
});
