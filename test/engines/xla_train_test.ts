/** A run of the model on xla gives the losses that it gives on tfjs. */
import assert from "node:assert/strict";
import { albertPreset, openEngine, parsePretrainingConfig, pretrain } from "albert-guide";
import type { TrainingExample } from "albert-guide";
import { startXla, xlaHere, xlaNote } from "./xla.ts";

await startXla();

const S = 16;
const P = 4;
const examples = Array.from({ length: 48 }, (_, n): TrainingExample => ({
  input_ids: Int32Array.from({ length: S }, (_, i) => 5 + (n * 31 + i * 7) % 90),
  input_mask: new Int32Array(S).fill(1),
  segment_ids: Int32Array.from({ length: S }, (_, i) => i < S / 2 ? 0 : 1),
  masked_lm_positions: Int32Array.from({ length: P }, (_, i) => i === 3 ? 0 : 1 + 3 * i),
  masked_lm_ids: Int32Array.from({ length: P }, (_, i) => 5 + (n + i) % 90),
  masked_lm_weights: Float32Array.of(1, 1, 1, 0),
  next_sentence_labels: Int32Array.of(n % 2),
}));

Deno.test({
  name: `pretrain() on xla gives the losses of tfjs, dropout included${xlaNote}`,
  ignore: !xlaHere,
}, async () => {
  const config = albertPreset("tiny", {
    vocab_size: 100,
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
  });
  const run = parsePretrainingConfig({
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: 8,
    num_train_steps: 5,
    num_warmup_steps: 1,
    learning_rate: 0.003,
    log_every: 1,
  });
  const losses = async (name: string): Promise<number[]> => {
    const { log } = await pretrain({ config, run, examples }, { engine: await openEngine(name) });
    return log.map(({ loss }) => loss);
  };
  const [actual, expected] = [await losses("xla"), await losses("tfjs-wasm")];
  assert.equal(actual.length, 5);
  expected.forEach((want, i) => assert.ok(Math.abs((actual[i] as number) - want) < 1e-4, `step ${i + 1}`));
});
