/** A run of a few milliseconds a step, with dropout, for tests of the loop. */
import {
  type AlbertConfig,
  albertPreset,
  parsePretrainingConfig,
  type PretrainingConfig,
} from "../../lib/config/mod.ts";
import type { TrainingExample } from "../../lib/train/mod.ts";

export const config: AlbertConfig = albertPreset("tiny", {
  vocab_size: 20,
  embedding_size: 4,
  hidden_size: 8,
  intermediate_size: 8,
  max_position_embeddings: 8,
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
});

export const examples: TrainingExample[] = Array.from({ length: 7 }, (_, i) => ({
  input_ids: Int32Array.of(2, 5 + i, 4, 3, 6 + i, 3, 0, 0),
  input_mask: Int32Array.of(1, 1, 1, 1, 1, 1, 0, 0),
  segment_ids: Int32Array.of(0, 0, 0, 0, 1, 1, 0, 0),
  masked_lm_positions: Int32Array.of(2, 0),
  masked_lm_ids: Int32Array.of(7 + i, 0),
  masked_lm_weights: Float32Array.of(1, 0),
  next_sentence_labels: Int32Array.of(i % 2),
}));

export const runOf = (changes: Partial<PretrainingConfig>): PretrainingConfig =>
  parsePretrainingConfig({
    max_seq_length: 8,
    max_predictions_per_seq: 2,
    train_batch_size: 3,
    eval_batch_size: 4,
    learning_rate: 0.01,
    num_train_steps: 12,
    num_warmup_steps: 2,
    shuffle_buffer: 4,
    log_every: 5,
    seed: 9,
    ...changes,
  });
