// What pretrain says about time: the estimate of the first steps, and MFU over several lines.
import assert from "node:assert/strict";
import { describeFirstSteps, openPace } from "../../lib/commands/pace.ts";
import { albertPreset, parsePretrainingConfig } from "../../lib/config/mod.ts";
import { estimateCost, type StepMetrics } from "../../lib/train/mod.ts";

const config = albertPreset("tiny");
const run = parsePretrainingConfig({
  max_seq_length: 16,
  max_predictions_per_seq: 4,
  train_batch_size: 4,
  num_train_steps: 1000,
  log_every: 100,
});
const { flops, tokens } = estimateCost(config, run);

/** A log line of steps that take so many milliseconds. */
const line = (step: number, milliseconds: number): StepMetrics =>
  ({ step, tokens_per_second: tokens / milliseconds * 1000 }) as StepMetrics;

Deno.test("openPace() smooths MFU over the lines, also from a resume on, and takes a faster line for the peak", () => {
  const peak = flops / 0.005; // 5 ms a step would be all of it
  for (const from of [100, 100_000]) {
    const pace = openPace(config, [run], peak);
    assert.ok(Math.abs((pace(line(from, 10)).mfu ?? NaN) - 0.5) < 1e-3);
    const slow = pace(line(from + 100, 40)).mfu ?? NaN; // alone it would be 0.125
    assert.ok(Math.abs(slow - 0.005 * 1.8 / (0.01 * 0.8 + 0.04)) < 1e-3, `${slow}`);
    for (let i = 2; i < 30; i++) pace(line(from + 100 * i, 10));
    assert.ok(Math.abs((pace(line(from + 3000, 10)).mfu ?? NaN) - 0.5) < 1e-3);
    const fast = pace(line(from + 3100, 2)).mfu ?? NaN;
    assert.ok(fast < 1, `${fast}`);
  }
  assert.equal(openPace(config, [run], undefined)(line(100, 10)).mfu, undefined);
});

Deno.test("describeFirstSteps() counts what is left, later stages by their arithmetic", () => {
  const measured = { steps: 20, secondsPerStep: 0.1, step: 21 };
  assert.match(
    describeFirstSteps(config, [run], measured) ?? "",
    /^time: 20 steps took 100 ms each, so about 2 min are left, evaluations/,
  );
  const twice = { ...run, train_batch_size: 8 };
  assert.match(
    describeFirstSteps(config, [run, twice], measured) ?? "",
    /^time: 20 steps of stage 1 took 100 ms each, so about 5 min are left, later stages/, // 979 + 2000 tenths of a second
  );
  assert.match(
    describeFirstSteps(config, [run, twice], { ...measured, step: 1021, secondsPerStep: 2 }) ?? "",
    /^time: 20 steps of stage 2 took 2.00 s each, so about 33 min are left, eval/,
  );
  assert.equal(describeFirstSteps(config, [run], { ...measured, step: 1000 }), undefined);
});
