import assert from "node:assert/strict";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import { hashBits } from "../../lib/tensor/mod.ts";
import { addRecord, aroundShare, emptyRatio, estimate } from "../../lib/train/ratio.ts";
import { compareRecords, evaluate, evaluateInDetail, type Metrics, mistakes } from "../../lib/train/mod.ts";
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
  const { by_piece_frequency: bands, by_word_length, mask_perplexity, masked_lm_mask_loss } =
    await evaluateInDetail(
      parameters,
      config,
      examples,
      {
        engine,
        countOn,
      },
    );
  assert.deepEqual(bands.map(({ band, predictions }) => [band, predictions]), [["1-10", 2], [
    "never counted",
    5,
  ]]);
  const mean = bands.reduce((sum, { loss, predictions }) => sum + loss * predictions / 7, 0);
  assert.ok(Math.abs(mean - masked_lm_mask_loss) < 1e-9);
  assert.ok(Math.abs(Math.log(mask_perplexity) - masked_lm_mask_loss) < 1e-9);
  assert.equal(by_word_length, undefined);
});

Deno.test("evaluateInDetail() joins pieces to words before it sorts by their length and frequency", async () => {
  // The hidden pieces are 7 to 13, each behind the piece 5 to 11. Pieces 5 to 8 start a word of 3 letters, 9 is a comma,
  // 10 and above continue with two letters: 7 8 9 are words alone, 10 to 13 belong to the piece before them.
  const pieceOf = (id: number): string =>
    ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"][id] ??
      (id < 9 ? `▁ab${id}` : id === 9 ? "," : `c${id % 10}`);
  const options = { engine, pieceOf, countOn: examples.slice(0, 2) };
  const found = await evaluateInDetail(parameters, config, examples, options);
  const counts = (bands: typeof found.by_word_length): unknown =>
    bands?.map(({ band, predictions }) => [band, predictions]);
  // Records 0, 1: ▁ab7, ▁ab8. Record 2: the comma. 3 and 4: ▁ab8 c0 and "," c1. 5 and 6: c0 c2 and c1 c3 behind [CLS].
  assert.deepEqual(counts(found.by_word_length), [["no letters", 1], ["1-2", 1], ["3-4", 4], ["5-6", 1]]);
  // Counted in records 0 and 1: ab5 ab7 ab6 ab6 ab8 ab7; the other words never stood there.
  assert.deepEqual(counts(found.by_word_frequency), [["1-10", 2], ["never counted", 5]]);
  for (const bands of [found.by_word_length, found.by_word_frequency]) {
    const mean = bands?.reduce((sum, { loss, predictions }) => sum + loss * predictions / 7, 0) ?? NaN;
    assert.ok(Math.abs(mean - found.masked_lm_mask_loss) < 1e-9);
  }
});

Deno.test("compareRecords() sees a difference that two separate intervals hide, and refuses other records", async () => {
  const records = (shift: number) => {
    const masks = Array.from({ length: 50 }, (_, i) => 1 + i % 3);
    // Records differ a lot from each other, the two models by a little in each.
    const maskLoss = masks.map((n, i) => n * (2 + 6 * (hashBits(3, 4, i) / 2 ** 32)) - shift * n);
    return { masks, maskLoss, maskRight: masks.map(() => 0), orderRight: masks.map((_, i) => i % 2) };
  };
  const { mask_loss, sentence_order_accuracy } = compareRecords(records(0), records(0.1));
  assert.ok(Math.abs(mask_loss.value + 0.1) < 1e-9 && mask_loss.high < -0.09, JSON.stringify(mask_loss));
  assert.deepEqual(sentence_order_accuracy, { value: 0, low: 0, high: 0 });
  const options = { engine, keepRecords: true };
  const some = await evaluateInDetail(parameters, config, examples, options);
  const other = await evaluateInDetail(initialParameters(config, 4), config, examples, options);
  const { mask_loss: found } = compareRecords(some.records ?? assert.fail(), other.records ?? assert.fail());
  assert.ok(Math.abs(found.value - (other.masked_lm_mask_loss - some.masked_lm_mask_loss)) < 1e-9);
  assert.throws(() => compareRecords(records(0), some.records ?? assert.fail()), /are of other records/);
});

Deno.test("mistakes() lists wrong guesses with their context and counts every [MASK]", async () => {
  // A large output bias makes the model say piece 9 everywhere; it is right in one record of seven.
  const biased = { ...parameters };
  biased["cls/predictions/output_bias"] = Float32Array.from({ length: 20 }, (_, i) => i === 9 ? 40 : 0);
  const pieceOf = (id: number): string => ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"][id] ?? `▁w${id}`;
  const found = await mistakes(biased, config, examples, { engine, pieceOf, batchSize: 3, count: 4 });
  assert.deepEqual([found.predictions, found.wrong], [7, 6]);
  assert.deepEqual(found.confusions.map(({ guess, count }) => [guess, count]), Array(4).fill(["▁w9", 1]));
  assert.equal(found.surest.length, 4);
  for (const { truth, context, guess_probability, truth_probability } of found.surest) {
    const label = Number(truth.slice(2));
    assert.equal(context, `[CLS] w${label - 2} [MASK] [SEP] w${label - 1} [SEP]`);
    assert.ok(guess_probability > 0.99 && truth_probability < 0.01);
  }
  const [bin] = found.calibration;
  assert.deepEqual([found.calibration.length, bin?.predictions, bin?.from], [1, 7, 0.9]);
  assert.ok(Math.abs((bin?.accuracy ?? 0) - 1 / 7) < 1e-9);
  const [from = NaN, to = NaN] = bin?.accuracy_interval ?? [];
  assert.ok(from > 0 && from < 1 / 7 && to > 0.4 && to < 0.6, `${from} to ${to}`);
});

Deno.test("evaluateInDetail() refuses an empty source and knows no interval of one record", async () => {
  await assert.rejects(evaluateInDetail(parameters, config, [], { engine }), /holds no example/);
  const { intervals } = await evaluateInDetail(parameters, config, examples.slice(0, 1), { engine });
  assert.ok(intervals["masked_lm_loss"]?.every(Number.isNaN));
  const [low = NaN, high = NaN] = intervals["masked_lm_accuracy"] ?? [];
  assert.ok(low >= 0 && high <= 1 && high - low > 0.7, `one record says next to nothing: ${low} to ${high}`);
});

Deno.test("aroundShare() is Wilson's interval where every record is one draw", () => {
  // Wilson's score interval, 95 %, of hits in draws.
  const known = [
    { hits: 0, draws: 10, low: 0, high: 0.2775 },
    { hits: 10, draws: 10, low: 0.7225, high: 1 },
    { hits: 1, draws: 10, low: 0.0179, high: 0.4042 },
    { hits: 50, draws: 100, low: 0.4038, high: 0.5962 },
    { hits: 0, draws: 100, low: 0, high: 0.037 },
  ];
  for (const { hits, draws, low, high } of known) {
    const ratio = emptyRatio();
    for (let i = 0; i < draws; i++) addRecord(ratio, i < hits ? 1 : 0, 1);
    const found = aroundShare(ratio);
    // The variance over records has n - 1 below the line, so the draws are a little fewer.
    const near = (a: number, b: number): boolean => Math.abs(a - b) < (hits % draws === 0 ? 1e-4 : 0.02);
    assert.ok(near(found[0], low) && near(found[1], high), `${hits} of ${draws}: ${found}`);
  }
  assert.ok(aroundShare(emptyRatio()).every(Number.isNaN));
});

Deno.test("aroundShare() is wider where the predictions of a record go together", () => {
  const [together, apart] = [emptyRatio(), emptyRatio()];
  for (let i = 0; i < 40; i++) {
    addRecord(together, i % 2 === 0 ? 10 : 0, 10);
    addRecord(apart, 5, 10);
  }
  const width = ([low, high]: readonly [number, number]): number => high - low;
  assert.ok(width(aroundShare(together)) > 2.9 * width(aroundShare(apart)));
});

Deno.test("aroundShare() covers a rare share 95 times of 100, where deviations around the share do not", () => {
  const trials = 1500;
  let [covered, plain] = [0, 0];
  for (let trial = 0; trial < trials; trial++) {
    const ratio = emptyRatio();
    for (let record = 0; record < 100; record++) {
      let right = 0;
      for (let i = 0; i < 2; i++) if (hashBits(23, trial, 2 * record + i) / 2 ** 32 < 0.01) right++;
      addRecord(ratio, right, 2);
    }
    const [low, high] = aroundShare(ratio);
    if (low <= 0.01 && 0.01 <= high) covered++;
    const { value, half } = estimate(ratio);
    if (Math.abs(value - 0.01) <= half) plain++;
  }
  assert.ok(covered / trials > 0.93, `covered ${covered / trials}`);
  assert.ok(plain / trials < 0.9, `covered ${plain / trials} without Wilson`);
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
