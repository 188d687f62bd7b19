/** A training of a second or two that tests run on several engines or devices: a tiny model with dropout, 64 examples. */
import { albertPreset, parsePretrainingConfig } from "albert-guide";
import type { AlbertConfig, PretrainingConfig, TrainingExample } from "albert-guide";

const S = 16;
const P = 4;

/** 16 pieces each, 2 to 4 of them predicted. */
export const examples: readonly TrainingExample[] = Array.from({ length: 64 }, (_, n) => ({
  input_ids: Int32Array.from({ length: S }, (_, i) => 5 + (n * 31 + i * 7) % 90),
  input_mask: new Int32Array(S).fill(1),
  segment_ids: Int32Array.from({ length: S }, (_, i) => i < S / 2 ? 0 : 1),
  masked_lm_positions: Int32Array.from({ length: P }, (_, i) => i > n % 3 + 1 ? 0 : 1 + 3 * i),
  masked_lm_ids: Int32Array.from({ length: P }, (_, i) => 5 + (n + i) % 90),
  masked_lm_weights: Float32Array.from({ length: P }, (_, i) => i > n % 3 + 1 ? 0 : 1),
  next_sentence_labels: Int32Array.of(n % 2),
}));

/** The tiny model with both dropouts. */
export const config: AlbertConfig = albertPreset("tiny", {
  vocab_size: 100,
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
});

/** Batches of 8, every step logged. */
export const runOf = (changes: Partial<PretrainingConfig>): PretrainingConfig =>
  parsePretrainingConfig({
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: 8,
    num_warmup_steps: 1,
    learning_rate: 0.003,
    log_every: 1,
    ...changes,
  });
