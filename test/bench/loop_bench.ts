// What the loop costs beyond the bare step of the engine: input, logging, saving. And how fast records become batches.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { makeTrainStep, uploadAll, zeroValues } from "../../lib/train/step.ts";
import { parameterTypes, stateTotals } from "../../lib/train/step.ts";
import { release } from "../../lib/train/stepping.ts";
import { batchArrays } from "../../lib/train/totals.ts";
import {
  type AlbertConfig,
  albertPreset,
  deviceArray,
  encodeExample,
  type Engine,
  initialParameters,
  openEngine,
  parsePretrainingConfig,
  pretrain,
  type PretrainingConfig,
  readBatches,
  readRecords,
  tfrecordWriter,
} from "../../lib/mod.ts";
import type { Ratio } from "./pairs.ts";

/** Writes a file of records of S pieces and P predictions. */
function writeRecords(path: string, count: number, S: number, P: number, vocabulary: number): void {
  const writer = tfrecordWriter(path);
  const int64 = (length: number, value: (i: number) => number) =>
    ({ type: "int64_list", values: Array.from({ length }, (_, i) => value(i)) }) as const;
  for (let n = 0; n < count; n++) {
    writer.write(encodeExample({
      input_ids: int64(S, (i) => 5 + (n * 31 + i * 7) % (vocabulary - 5)),
      input_mask: int64(S, () => 1),
      segment_ids: int64(S, (i) => i < S / 2 ? 0 : 1),
      masked_lm_positions: int64(P, (i) => 1 + i * Math.floor((S - 2) / P)),
      masked_lm_ids: int64(P, (i) => 5 + (n + i) % (vocabulary - 5)),
      masked_lm_weights: { type: "float_list", values: Array.from({ length: P }, () => 1) },
      next_sentence_labels: int64(1, () => n % 2),
    }));
  }
  writer.commit();
}

type Case = {
  readonly name: string;
  readonly config: AlbertConfig;
  readonly batch: number;
  readonly S: number;
  readonly P: number;
  /** Steps of one measurement. */
  readonly steps: number;
};

/** Seconds of `steps` bare steps: the same program on the same batch again and again, results read at the end. */
async function bareSteps(
  config: AlbertConfig,
  run: PretrainingConfig,
  engine: Engine,
  file: string,
  steps: number,
) {
  const types = parameterTypes(config);
  const step = await makeTrainStep(config, run, engine);
  const zero = zeroValues(types);
  let state = {
    parameters: await uploadAll(initialParameters(config, 1), types, engine),
    m: await uploadAll(zero, types, engine),
    v: await uploadAll(zero, types, engine),
    totals: await deviceArray(new Float32Array(stateTotals), { engine }),
  };
  const lengths = { maxSeqLength: run.max_seq_length, maxPredictionsPerSeq: run.max_predictions_per_seq };
  const batches = readBatches(() => readRecords([file], lengths), { batchSize: run.train_batch_size });
  const { value } = await batches.next();
  await batches.return(undefined);
  const arrays = batchArrays(value, run.mask_token_id);
  let began = 0;
  const warm = Math.ceil(steps / 10);
  for (let i = 0; i < warm + steps; i++) {
    if (i === warm) {
      await state.totals.data();
      began = performance.now();
    }
    state = await step.run(state, [arrays], { step: i, learningRate: 1e-4 });
  }
  await state.totals.data();
  const seconds = (performance.now() - began) / 1000;
  release(state);
  step.dispose();
  return seconds;
}

/** Seconds of `steps` steps of `pretrain` after its first log line. */
async function wholeSteps(
  config: AlbertConfig,
  run: PretrainingConfig,
  engine: Engine,
  file: string,
  steps: number,
) {
  let [began, ended] = [0, 0];
  const warm = Math.ceil(steps / 10);
  const lengths = { maxSeqLength: run.max_seq_length, maxPredictionsPerSeq: run.max_predictions_per_seq };
  // Log lines stand at the beginning and at the end of what is measured, and as often between as asked for.
  const each = Math.min(run.log_every, steps);
  await pretrain({
    config,
    run: { ...run, log_every: each, num_train_steps: steps + each + warm },
    examples: () => readRecords([file], lengths),
  }, {
    engine,
    onStep: ({ step }) => {
      if (step === each) began = performance.now();
      if (step === each + steps) ended = performance.now();
    },
  });
  return (ended - began) / 1000;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

async function compare(
  one: Case,
  engine: Engine,
  folder: string,
  rounds: number,
): Promise<(Ratio | string)[]> {
  const { config, batch, S, P, steps } = one;
  const file = join(folder, `${one.name}.tfrecord`);
  writeRecords(file, batch * 20, S, P, config.vocab_size);
  const run = parsePretrainingConfig({
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: batch,
    learning_rate: 1e-4,
    num_warmup_steps: 0,
    num_train_steps: 1_000_000,
  });
  const saves = 2;
  const pairs: { bare: number; whole: number; saving: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const output_dir = mkdtempSync(join(folder, "run-"));
    pairs.push({
      bare: await bareSteps(config, run, engine, file, steps),
      whole: await wholeSteps(config, run, engine, file, steps),
      saving: await wholeSteps(
        config,
        { ...run, output_dir, save_checkpoints_steps: Math.floor(steps / saves), keep_checkpoint_max: 1 },
        engine,
        file,
        steps,
      ),
    });
    rmSync(output_dir, { recursive: true });
  }
  const ratios = pairs.map(({ bare, whole }) => whole / bare);
  const perSave = median(pairs.map(({ whole, saving }) => saving - whole)) / saves;
  const perStep = median(pairs.map(({ bare }) => bare)) / steps;
  const withSaves = median(ratios) + Math.max(perSave, 0) / perStep / run.save_checkpoints_steps;
  return [
    {
      what: `${one.name}: input and logging over the bare step, ${engine.name}`,
      ours: median(pairs.map(({ whole }) => whole)),
      peer: median(pairs.map(({ bare }) => bare)),
      ratio: median(ratios),
      low: Math.min(...ratios),
      high: Math.max(...ratios),
    },
    `${one.name}, ${engine.name}: a step takes ${
      (1000 * perStep).toFixed(1)
    } ms, a save delays the loop by ` +
    `${(1000 * perSave).toFixed(0)} ms; with one every ${run.save_checkpoints_steps} steps the loop takes ` +
    `${withSaves.toFixed(3)} of the bare steps (wished: at most 1.03)`,
  ];
}

/** Records to arrays of a batch, on one core. */
async function collating(folder: string): Promise<string[]> {
  const [S, P, count] = [128, 20, 4_000];
  const file = join(folder, "collate.tfrecord");
  writeRecords(file, count, S, P, 30000);
  const lengths = { maxSeqLength: S, maxPredictionsPerSeq: P };
  const rate = async (source: Parameters<typeof readBatches>[0], shuffleBuffer: number): Promise<number> => {
    const rates: number[] = [];
    for (let round = 0; round < 3; round++) {
      const began = process.cpuUsage(); // processor time, so that neighbours on the machine count for nothing
      let read = 0;
      for await (const batch of readBatches(source, { batchSize: 64, shuffleBuffer, seed: 1 })) {
        batchArrays(batch, 4);
        read += batch.size;
      }
      const { user, system } = process.cpuUsage(began);
      rates.push(read / (user + system) * 1e6);
    }
    return median(rates);
  };
  const memory = [];
  for await (const record of readRecords([file], lengths)) memory.push(record);
  const wish = 100_000;
  const line = (what: string, found: number): string =>
    `${what}: ${Math.round(found).toLocaleString("en")} sequences of ${S} per second of processor time, ` +
    `${(found / wish).toFixed(2)} of ${wish.toLocaleString("en")}`;
  return [
    line("shuffling and stacking", await rate(memory, 100)),
    line("reading, decoding, shuffling and stacking", await rate(() => readRecords([file], lengths), 100)),
  ];
}

/** The loop on the guide's model on both engines, on a larger one on xla, and the collating of batches. */
export async function* loopBench(): AsyncGenerator<Ratio | string> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    for (const line of await collating(folder)) yield line;
    const guide: Case = { name: "guide", config: albertPreset("guide"), batch: 16, S: 16, P: 4, steps: 150 };
    const wide = albertPreset("base", {
      hidden_size: 256,
      intermediate_size: 1024,
      num_attention_heads: 4,
      num_hidden_layers: 4,
    });
    const small: Case = { name: "4 layers of 256", config: wide, batch: 8, S: 128, P: 20, steps: 20 };
    for (const [name, one] of [["tfjs-wasm", guide], ["xla", guide], ["xla", small]] as const) {
      let engine: Engine;
      try {
        engine = await openEngine(name);
      } catch (error) {
        yield `${name}: skipped, ${error instanceof Error ? error.message : String(error)}`;
        continue;
      }
      for (const result of await compare(one, engine, folder, 3)) yield result;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
