// One training step of the guide's model on every engine that works here, against tfjs' plain JavaScript backend.
import {
  albertPreset,
  openEngine,
  parsePretrainingConfig,
  pretrain,
  type TrainingExample,
} from "../../lib/mod.ts";
import { inPairs, type Ratio } from "./pairs.ts";

const S = 16;
const P = 4;

function examples(count: number): TrainingExample[] {
  return Array.from({ length: count }, (_, n) => ({
    input_ids: Int32Array.from({ length: S }, (_, i) => 5 + (n * 31 + i * 7) % 900),
    input_mask: new Int32Array(S).fill(1),
    segment_ids: Int32Array.from({ length: S }, (_, i) => i < S / 2 ? 0 : 1),
    masked_lm_positions: Int32Array.from({ length: P }, (_, i) => 1 + 3 * i),
    masked_lm_ids: Int32Array.from({ length: P }, (_, i) => 5 + (n + i) % 900),
    masked_lm_weights: new Float32Array(P).fill(1),
    next_sentence_labels: Int32Array.of(n % 2),
  }));
}

/** Twenty steps, compilation included once in the warm-up's share. */
export async function* tfjsBench(): AsyncGenerator<Ratio | string> {
  const run = parsePretrainingConfig({
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: 16,
    num_train_steps: 20,
    num_warmup_steps: 2,
    learning_rate: 0.003,
    log_every: 0,
  });
  const config = albertPreset("guide");
  const data = examples(64);
  const peer = await openEngine("tfjs-cpu");
  const steps = (name: string) => async (): Promise<void> => {
    await pretrain({ config, run, examples: data }, {
      engine: name === peer.name ? peer : await openEngine(name),
    });
  };
  for (const name of ["tfjs-wasm", "tfjs-node", "xla"]) {
    try {
      await openEngine(name);
    } catch (error) {
      yield `${name}: skipped, ${error instanceof Error ? error.message : String(error)}`;
      continue;
    }
    yield await inPairs("20 steps of the guide's model", { name, run: steps(name) }, {
      name: peer.name,
      run: steps(peer.name),
    }, 3);
  }
}
