// What a compiled training step is said to need against what its process took at its peak, at three sizes.
import { albertPreset, findPlugin, type MemoryNeed, parsePretrainingConfig } from "../../lib/mod.ts";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import type { AlbertConfig } from "../../lib/config/mod.ts";
import { type DeviceArray, deviceArray } from "../../lib/tensor/mod.ts";
import {
  type DeviceState,
  makeTrainStep,
  parameterTypes,
  uploadAll,
  zeroValues,
} from "../../lib/train/step.ts";
import { pretrainingObjective } from "../../lib/train/pretraining_objective.ts";
import { batchArrays, totalsLength } from "../../lib/train/totals.ts";

type Size = { readonly name: string; readonly config: AlbertConfig; readonly batch: number };

const sizes: readonly Size[] = [
  {
    name: "4 layers, H 256, batch 8 × 128",
    config: albertPreset("base", {
      num_hidden_layers: 4,
      hidden_size: 256,
      num_attention_heads: 4,
      intermediate_size: 1024,
      vocab_size: 8192,
    }),
    batch: 8,
  },
  {
    name: "6 layers, H 512, batch 16 × 128",
    config: albertPreset("base", {
      num_hidden_layers: 6,
      hidden_size: 512,
      num_attention_heads: 8,
      intermediate_size: 2048,
      vocab_size: 16384,
    }),
    batch: 16,
  },
  { name: "12 layers, H 768, batch 8 × 128", config: albertPreset("base"), batch: 8 },
];

const [S, P] = [128, 20];
const steps = 4;

async function measure({ config, batch: B }: Size, plugin: string): Promise<readonly [MemoryNeed, number]> {
  const engine = xlaEngineOn({ plugin, programCache: false });
  const run = parsePretrainingConfig({
    train_batch_size: B,
    max_seq_length: S,
    max_predictions_per_seq: P,
    num_train_steps: steps,
  });
  const step = await makeTrainStep(pretrainingObjective({ config, run }), run, engine);
  const types = parameterTypes(config);
  const zeros = () => uploadAll(zeroValues(types), types, engine);
  const totals: DeviceArray = await deviceArray(new Float32Array(totalsLength + 2), { engine });
  let state: DeviceState = { parameters: await zeros(), m: await zeros(), v: await zeros(), totals };
  const arrays = batchArrays({
    size: B,
    position: 0,
    input_ids: Int32Array.from({ length: B * S }, (_, i) => (i * 7) % 1000),
    input_mask: new Int32Array(B * S).fill(1),
    segment_ids: new Int32Array(B * S),
    masked_lm_positions: Int32Array.from({ length: B * P }, (_, i) => 1 + i % P),
    masked_lm_ids: new Int32Array(B * P).fill(5),
    masked_lm_weights: new Float32Array(B * P).fill(1),
    next_sentence_labels: new Int32Array(B),
  }, 4);
  for (let i = 0; i < steps; i++) {
    state = await step.run(state, [arrays], { step: i, learningRate: 1e-3 });
    await state.totals.data();
  }
  const { peak } = await engine.status();
  await engine.dispose();
  return [step.memory as MemoryNeed, peak];
}

/** One line a size; the aim is a ratio of 0.85 to 1.15. `--sizes=1,3` takes the first and the third. */
export async function* memoryBench(
  { sizes: wanted = "1,2,3" }: { readonly [flag: string]: string },
): AsyncGenerator<string> {
  const plugin = findPlugin("xla-cpu");
  if (plugin === undefined) return yield "skipped: no XLA plugin is installed";
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  for (const size of sizes.filter((_, i) => wanted.split(",").includes(`${i + 1}`))) {
    const [{ peak: estimate, process, arguments: given, temporary }, peak] = await measure(size, plugin);
    yield `${size.name.padEnd(34)} estimate / peak ${(estimate / peak).toFixed(2)}: ${
      megabytes(estimate)
    } of ` +
      `${megabytes(peak)} (process ${megabytes(process)}, state and batch ${megabytes(given)}, ` +
      `temporary ${megabytes(temporary)})`;
  }
}
