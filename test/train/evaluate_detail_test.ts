import assert from "node:assert/strict";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import { hashBits } from "../../lib/tensor/mod.ts";
import { addRecord, emptyRatio, estimate } from "../../lib/train/evaluate_detail.ts";
import { evaluate, evaluateInDetail, type Metrics } from "../../lib/train/mod.ts";
import { config, examples } from "./tiny.ts";

const parameters = initialParameters(config, 3);
const engine = referenceEngine();

Deno.test("evaluateInDetail() gives the means of evaluate(), whatever the batch", async () => {
  const plain = await evaluate(parameters, config, examples, { engine, batchSize: 7 });
  for (const batchSize of [3, 7]) {
    const detailed = await evaluateInDetail(parameters, config, examples, { engine, batchSize });
    for (const name of Object.keys(plain) as (keyof Metrics)[]) {
      assert.ok(Math.abs(detailed[name] - plain[name]) < 1e-6, name);
    }
    for (const [name, [low, high]] of Object.entries(detailed.intervals)) {
      const value = (detailed as unknown as Record<string, number>)[name] ?? NaN;
      assert.ok(low <= value && value <= high, name);
    }
  }
});

Deno.test("evaluateInDetail() sorts predictions on [MASK] into bands by the counts of other examples", async () => {
  // Label 7 is counted often, label 8 once; 9 to 13 never.
  const countOn = [0, 0, 0, 1].map((i) => examples[i] ?? assert.fail());
  const { bands, mask_perplexity, masked_lm_mask_loss } = await evaluateInDetail(
    parameters,
    config,
    examples,
    {
      engine,
      countOn,
    },
  );
  assert.deepEqual(bands.map(({ ranks, predictions }) => [ranks, predictions]), [["1-10", 2], [
    "never counted",
    5,
  ]]);
  const mean = bands.reduce((sum, { loss, predictions }) => sum + loss * predictions / 7, 0);
  assert.ok(Math.abs(mean - masked_lm_mask_loss) < 1e-9);
  assert.ok(Math.abs(Math.log(mask_perplexity) - masked_lm_mask_loss) < 1e-9);
});

Deno.test("evaluateInDetail() refuses an empty source and knows no interval of one record", async () => {
  await assert.rejects(evaluateInDetail(parameters, config, [], { engine }), /holds no example/);
  const { intervals } = await evaluateInDetail(parameters, config, examples.slice(0, 1), { engine });
  assert.ok(intervals["masked_lm_loss"]?.every(Number.isNaN));
});

Deno.test("estimate() covers the truth 95 times of 100 though predictions of a record go together", () => {
  const random = (trial: number, i: number): number => hashBits(17, trial, i) / 2 ** 32;
  let [covered, naive] = [0, 0];
  const trials = 1500;
  for (let trial = 0; trial < trials; trial++) {
    const ratio = emptyRatio();
    for (let record = 0; record < 150; record++) {
      // 2 to 12 predictions, each right with the record's own probability, whose mean is a half.
      const n = 2 + Math.floor(11 * random(trial, 100 * record));
      const p = random(trial, 100 * record + 1);
      let right = 0;
      for (let i = 0; i < n; i++) if (random(trial, 100 * record + 2 + i) < p) right++;
      addRecord(ratio, right, n);
    }
    const { value, half } = estimate(ratio);
    if (Math.abs(value - 0.5) <= half) covered++;
    if (Math.abs(value - 0.5) <= 1.96 * Math.sqrt(value * (1 - value) / ratio.w)) naive++;
  }
  assert.ok(covered / trials > 0.93 && covered / trials < 0.97, `covered ${covered / trials}`);
  assert.ok(naive / trials < 0.8, `independent draws would claim too much: ${naive / trials}`);
});
