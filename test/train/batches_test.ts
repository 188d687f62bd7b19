import assert from "node:assert/strict";
import { baselines, readBatches, type TrainingExample } from "../../lib/train/mod.ts";

const example = (id: number): TrainingExample => ({
  input_ids: Int32Array.of(id, 4),
  input_mask: Int32Array.of(1, 1),
  segment_ids: Int32Array.of(0, 1),
  masked_lm_positions: Int32Array.of(1),
  masked_lm_ids: Int32Array.of(id),
  masked_lm_weights: Float32Array.of(1),
  next_sentence_labels: Int32Array.of(id % 2),
});
const examples = Array.from({ length: 10 }, (_, i) => example(i));

type Options = Parameters<typeof readBatches>[1];

async function ids(options: Options, limit: number = Infinity): Promise<number[][]> {
  const batches: number[][] = [];
  for await (const { input_ids, size } of readBatches(() => examples, options)) {
    batches.push(Array.from({ length: size }, (_, row) => input_ids[2 * row] ?? -1));
    if (batches.length >= limit) break;
  }
  return batches;
}

Deno.test("readBatches() keeps order, stacks rows and treats the remainder as told", async () => {
  assert.deepEqual(await ids({ batchSize: 4 }), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]);
  assert.deepEqual((await ids({ batchSize: 4, dropRemainder: true })).length, 2);
  assert.deepEqual(await ids({ batchSize: 4, repeat: true }, 4), [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9, 0, 1],
    [2, 3, 4, 5],
  ]);
});

Deno.test("readBatches() shuffles by seed, loses nothing, and goes on from a position", async () => {
  const options = { batchSize: 1, shuffleBuffer: 4, seed: 7 };
  const order = (await ids(options)).flat();
  assert.notDeepEqual(order, [...order].sort());
  assert.deepEqual([...order].sort(), Array.from({ length: 10 }, (_, i) => i));
  assert.deepEqual((await ids(options)).flat(), order);
  assert.notDeepEqual((await ids({ ...options, seed: 8 })).flat(), order);
  const endless = { ...options, batchSize: 3, repeat: true };
  const whole = await ids(endless, 9);
  for (const done of [1, 4, 8]) {
    assert.deepEqual(await ids({ ...endless, position: 3 * done }, 9 - done), whole.slice(done));
  }
});

Deno.test("readBatches() goes on without decoding what was read, in any epoch, with any buffer", async () => {
  for (const shuffleBuffer of [0, 1, 2, 4, 10, 13, 25]) {
    for (const position of [0, 2, 8, 10, 12, 20, 34, 100]) {
      const options = { batchSize: 2, shuffleBuffer, seed: 3, repeat: true };
      const whole = await ids(options, position / 2 + 12);
      let [opened, decoded] = [0, 0];
      const counting = (wanted?: (example: number) => boolean) => {
        opened++;
        return examples.map((one, i) => {
          if (wanted?.(i) === false) return undefined;
          decoded++;
          return one;
        });
      };
      const found: number[][] = [];
      for await (const batch of readBatches(counting as () => TrainingExample[], { ...options, position })) {
        found.push([batch.input_ids[0] ?? -1, batch.input_ids[2] ?? -1]);
        assert.equal(batch.position, position + 2 * found.length);
        if (found.length === 12) break;
      }
      const note = `buffer ${shuffleBuffer}, position ${position}`;
      assert.deepEqual(found, whole.slice(position / 2), note);
      if (shuffleBuffer < 5 && position === 100) {
        assert.ok(opened <= 6, `${note}: ${opened} passes`); // one to count, one to three to fill, three to read
        assert.ok(decoded <= 24 + 10 + 4, `${note}: ${decoded} decoded`);
      }
    }
  }
});

Deno.test("readBatches() refuses unequal examples and wrong sizes", async () => {
  const odd = { ...example(1), input_ids: Int32Array.of(1) };
  const read = async (source: TrainingExample[], batchSize: number) => {
    for await (const _ of readBatches(source, { batchSize }));
  };
  await assert.rejects(read([example(0), odd], 2), /input_ids has 2 values in one example and 1 in another/);
  await assert.rejects(read(examples, 0), /batchSize must be a whole number from 1/);
});

Deno.test("baselines() equals what is counted by hand", async () => {
  // Labels 0 to 9 once each of 11 pieces: (1 + 1) / (10 + 11) for each.
  const base = await baselines(examples, examples, { vocabSize: 11 });
  assert.ok(Math.abs(base.unigram_loss - Math.log(21 / 2)) < 1e-12);
  assert.equal(base.unigram_mask_loss, base.unigram_loss);
  assert.equal(base.copy_loss, base.unigram_loss);
  assert.equal(base.unigram_mask_accuracy, 0.1);
  assert.equal(base.sentence_order_majority, 0.5);
  // The neighbour on the left is the label itself, except for label 4, which looks like [MASK].
  assert.equal(base.bigram_mask_accuracy, 0.9);
  assert.ok(base.bigram_mask_loss < base.unigram_mask_loss);
});

Deno.test("baselines() puts the copy floor below U where pieces stay visible", async () => {
  const kept = examples.map((one, i) =>
    i % 2 === 0 ? one : { ...one, input_ids: Int32Array.of(1, one.masked_lm_ids[0] ?? 0) }
  );
  const base = await baselines(kept, kept, { vocabSize: 11 });
  assert.ok(base.copy_loss < base.unigram_loss - 0.5);
  assert.equal(base.mask_predictions, 5);
});

Deno.test("baselines() finds the length cue of the order", async () => {
  const cued = examples.map((one, i) => ({ ...one, segment_ids: Int32Array.of(i % 2, i % 2) }));
  const base = await baselines(cued, cued, { vocabSize: 11 });
  assert.equal(base.sentence_order_length_cue, 1);
});
