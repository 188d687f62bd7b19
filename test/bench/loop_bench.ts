// What the loop costs beyond the bare step of the engine: input, logging, saving. And how fast records become batches.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pretrainingObjective } from "../../lib/train/pretraining_objective.ts";
import { makeTrainStep, parameterTypes, uploadAll, zeroValues } from "../../lib/train/step.ts";
import { breathe, release } from "../../lib/train/stepping.ts";
import { batchArrays, totalsLength } from "../../lib/train/totals.ts";
import {
  type AlbertConfig,
  albertPreset,
  deviceArray,
  encodeExample,
  type Engine,
  initialParameters,
  latestCheckpoint,
  openEngine,
  parsePretrainingConfig,
  pretrain,
  type PretrainingConfig,
  readBatches,
  readRecords,
  tfrecordWriter,
  type TrainingExamples,
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
  /** Steps of one measurement: a second or so of them, so that a save ends inside. */
  readonly steps: number;
};

/** Seconds on the clock and of this process's processor time. */
type Cost = { readonly wall: number; readonly processor: number };

function stopwatch(): () => Cost {
  const [wall, processor] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(processor);
    return { wall: (performance.now() - wall) / 1000, processor: (user + system) / 1e6 };
  };
}

/** The bare step: the same program on the same batch again and again, results read at the end. */
async function openBare(config: AlbertConfig, run: PretrainingConfig, engine: Engine, file: string) {
  const types = parameterTypes(config);
  const step = await makeTrainStep(pretrainingObjective({ config, run }), run, engine);
  const zero = zeroValues(types);
  let state = {
    parameters: await uploadAll(initialParameters(config, 1), types, engine),
    m: await uploadAll(zero, types, engine),
    v: await uploadAll(zero, types, engine),
    totals: await deviceArray(new Float32Array(totalsLength + 2), { engine }),
  };
  const lengths = { maxSeqLength: run.max_seq_length, maxPredictionsPerSeq: run.max_predictions_per_seq };
  const batches = readBatches(() => readRecords([file], lengths), { batchSize: run.train_batch_size });
  const { value } = await batches.next();
  await batches.return(undefined);
  const arrays = batchArrays(value, run.mask_token_id);
  let done = 0;
  return {
    measure: async (steps: number): Promise<Cost> => {
      const stop = stopwatch();
      for (let i = 0; i < steps; i++) {
        state = await step.run(state, [arrays], { step: done++, learningRate: 1e-4 });
      }
      await state.totals.data();
      await breathe(); // what the collector left to clean up is of these steps
      return stop();
    },
    close: () => {
      release(state);
      step.dispose();
    },
  };
}

type Pair = { readonly loop: Cost; readonly bare: Cost };

/**
 * Goes of the loop and of bare steps in turn, in one process, on one engine and with the same program: at every log line
 * the loop waits for as many bare steps. With `saving` a checkpoint is begun at the start of every go of the loop, and
 * what is left of it is waited for before the bare steps.
 */
async function pairsOf(
  { config, steps }: Case,
  given: PretrainingConfig,
  { engine, file, rounds, saving }: {
    readonly engine: Engine;
    readonly file: string;
    readonly rounds: number;
    readonly saving: boolean;
  },
): Promise<Pair[]> {
  const run = {
    ...given,
    log_every: steps,
    num_train_steps: (rounds + 1) * steps,
    save_checkpoints_steps: saving ? steps : 1e9,
    keep_checkpoint_max: 1,
  };
  const bare = await openBare(config, run, engine, file);
  await bare.measure(steps); // both sides start warm
  const lengths = { maxSeqLength: run.max_seq_length, maxPredictionsPerSeq: run.max_predictions_per_seq };
  const pairs: Pair[] = [];
  let stop: (() => Cost) | undefined;
  await pretrain({ config, run, examples: () => readRecords([file], lengths) }, {
    engine,
    onStep: async ({ step }) => {
      const loop = stop?.();
      const wanted = saving && loop !== undefined ? step - steps : 0;
      while (wanted > 0 && !latestCheckpoint(run.output_dir)?.endsWith(`${wanted}`)) await pause();
      const other = await bare.measure(steps);
      if (loop !== undefined) pairs.push({ loop, bare: other });
      stop = stopwatch();
    },
  });
  bare.close();
  return pairs;
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2;
};

async function compare(
  one: Case,
  engine: Engine,
  folder: string,
  rounds: number,
): Promise<(Ratio | string)[]> {
  const { config, batch, S, P, steps } = one;
  const file = join(folder, `${one.name}.tfrecord`);
  // An epoch of the guide's has 2,000 steps and more: opening the file again must not count every 20.
  writeRecords(file, batch * (S < 32 ? 1000 : 20), S, P, config.vocab_size);
  const output_dir = mkdtempSync(join(folder, "run-"));
  const run = parsePretrainingConfig({
    output_dir,
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: batch,
    learning_rate: 1e-4,
    num_warmup_steps: 0,
  });
  const plain = await pairsOf(one, run, { engine, file, rounds, saving: false });
  rmSync(output_dir, { recursive: true });
  const saving = await pairsOf(one, run, { engine, file, rounds: Math.ceil(rounds / 2), saving: true });
  rmSync(output_dir, { recursive: true });
  const ratios = plain.map(({ loop, bare }) => loop.wall / bare.wall);
  const ratio = median(ratios);
  const perStep = median(plain.map(({ bare }) => bare.wall)) / steps;
  // A pair with a save against its own bare steps, less what the loop costs without one.
  const perSave = Math.max(0, median(saving.map(({ loop, bare }) => loop.wall - ratio * bare.wall)));
  const processor = median(plain.map(({ loop, bare }) => loop.processor - bare.processor)) / steps;
  const processorRatio = median(plain.map(({ loop, bare }) => loop.processor / bare.processor));
  const beside = engine.name.startsWith("xla") ? "" : `, ${processorRatio.toFixed(3)} of the bare steps'`;
  const every = run.save_checkpoints_steps;
  return [
    {
      what: `${one.name}: input and logging over the bare step, ${engine.name}`,
      ours: median(plain.map(({ loop }) => loop.wall)),
      peer: median(plain.map(({ bare }) => bare.wall)),
      ratio,
      low: Math.min(...ratios),
      high: Math.max(...ratios),
    },
    `${one.name}, ${engine.name}: a step takes ${(1000 * perStep).toFixed(2)} ms; the loop adds ` +
    `${
      (1000 * processor).toFixed(3)
    } ms of this process's processor time to it${beside}; a save costs the loop ` +
    `${(1000 * perSave).toFixed(0)} ms; with one every ${every} steps the loop takes ` +
    `${(ratio + perSave / perStep / every).toFixed(3)} of the bare steps (wished: at most 1.03)`,
  ];
}

/** Records to arrays of a batch, on one core. */
async function collating(folder: string): Promise<string[]> {
  const [S, P, count] = [128, 20, 8_000];
  const file = join(folder, "collate.tfrecord");
  writeRecords(file, count, S, P, 30000);
  const lengths = { maxSeqLength: S, maxPredictionsPerSeq: P };
  const rate = async (source: TrainingExamples, shuffleBuffer: number): Promise<number> => {
    const rates: number[] = [];
    for (let round = 0; round < 7; round++) { // the first two warm up
      const began = process.cpuUsage(); // processor time, so that neighbours on the machine count for nothing
      let read = 0;
      for await (const batch of readBatches(source, { batchSize: 64, shuffleBuffer, seed: 1 })) {
        batchArrays(batch, 4);
        read += batch.size;
      }
      const { user, system } = process.cpuUsage(began);
      rates.push(read / (user + system) * 1e6);
    }
    return median(rates.slice(2));
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

const wide = {
  hidden_size: 256,
  intermediate_size: 1024,
  num_attention_heads: 4,
  num_hidden_layers: 4,
};

const cases: Readonly<Record<string, Case & { readonly engine: string }>> = {
  "1": {
    engine: "tfjs-wasm",
    name: "guide",
    config: albertPreset("guide"),
    batch: 16,
    S: 16,
    P: 4,
    steps: 100,
  },
  "2": { engine: "xla", name: "guide", config: albertPreset("guide"), batch: 16, S: 16, P: 4, steps: 200 },
  "3": {
    engine: "tfjs-wasm",
    name: "4 layers of 256",
    config: albertPreset("base", wide),
    ...{ batch: 8, S: 128, P: 20, steps: 2 },
  },
  "4": {
    engine: "xla",
    name: "4 layers of 256",
    config: albertPreset("base", wide),
    ...{ batch: 8, S: 128, P: 20, steps: 6 },
  },
  "5": { engine: "xla", name: "base", config: albertPreset("base"), batch: 4, S: 128, P: 20, steps: 2 },
};

/**
 * The loop on a small model and on larger ones, on both engines, and the collating of batches. `--cases=1,2` takes some of
 * them (0 is collating), `--rounds=20` says how many pairs of goes.
 */
export async function* loopBench(
  { cases: wanted = "0,1,2,3,4,5", rounds = "10" }: { readonly [flag: string]: string },
): AsyncGenerator<Ratio | string> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const names = wanted.split(",");
  try {
    if (names.includes("0")) { for (const line of await collating(folder)) yield line; }
    for (const [number, one] of Object.entries(cases)) {
      if (!names.includes(number)) continue;
      const name = one.engine;
      let engine: Engine;
      try {
        engine = await openEngine(name);
      } catch (error) {
        yield `${name}: skipped, ${error instanceof Error ? error.message : String(error)}`;
        continue;
      }
      for (const result of await compare(one, engine, folder, Number(rounds))) yield result;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
