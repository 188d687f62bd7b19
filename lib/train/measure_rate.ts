/**
 * The pace of a model on an engine without running the whole of it: steps of two shallower models of the same width, each
 * at two batches, are timed, and the lines through them carried on to the wished depth and batch. Two depths, because an
 * engine computes only the rows of the last layer that are read, so that it costs less than the others.
 */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { deviceArray, type Engine } from "../tensor/mod.ts";
import type { Batch } from "./batches.ts";
import { estimateCost } from "./cost.ts";
import { initialParameters } from "./initial.ts";
import type { TrainingRate } from "./plan.ts";
import { pretrainingObjective } from "./pretraining_objective.ts";
import {
  type DeviceState,
  makeTrainStep,
  parameterTypes,
  stateTotals,
  uploadAll,
  zeroValues,
} from "./step.ts";
import { release } from "./stepping.ts";
import { batchArrays } from "./totals.ts";

/** Positions of the larger of both batches, at most: enough for products to reach their speed. */
const positions = 1024;

/** Times that a step is repeated, at most. */
const rounds = 20;

/** Depths of the shallower models; one that is no deeper than the second is timed itself. */
const depths = [2, 4] as const;

/** A batch of made-up records without padding. */
function madeUpBatch(
  { vocab_size: V }: AlbertConfig,
  { max_seq_length: S, max_predictions_per_seq: P }: PretrainingConfig,
  size: number,
): Batch {
  const piece = (i: number): number => 5 + (i * 7919) % Math.max(1, V - 5);
  return {
    size,
    position: 0,
    input_ids: Int32Array.from({ length: size * S }, (_, i) => piece(i)),
    input_mask: new Int32Array(size * S).fill(1),
    segment_ids: Int32Array.from({ length: size * S }, (_, i) => i % S < S / 2 ? 0 : 1),
    masked_lm_positions: Int32Array.from({ length: size * P }, (_, i) => 1 + (i % P) % Math.max(1, S - 2)),
    masked_lm_ids: Int32Array.from({ length: size * P }, (_, i) => piece(3 * i)),
    masked_lm_weights: new Float32Array(size * P).fill(1),
    next_sentence_labels: Int32Array.from({ length: size }, (_, i) => i % 2),
  };
}

/** A compiled step that can be timed. */
export type Timed = {
  readonly step: () => Promise<number>;
  readonly processBytes: number | undefined;
  close(): void;
};

/** A compiled step on a batch of its own; each call makes one and gives its seconds. */
export async function openTimed(
  config: AlbertConfig,
  given: PretrainingConfig,
  engine: Engine,
): Promise<Timed> {
  const run = { ...given, gradient_accumulation_steps: 1 };
  const objective = pretrainingObjective({ config, run });
  const program = await makeTrainStep(objective, run, engine);
  const types = parameterTypes(config);
  let state: DeviceState = {
    parameters: await uploadAll(initialParameters(config, run.seed), types, engine),
    m: await uploadAll(zeroValues(types), types, engine),
    v: await uploadAll(zeroValues(types), types, engine),
    totals: await deviceArray(new Float32Array(stateTotals(objective)), { engine }),
  };
  const arrays = batchArrays(madeUpBatch(config, run, run.train_batch_size), run.mask_token_id);
  let done = 0;
  return {
    processBytes: program.memory?.process,
    step: async () => {
      const began = performance.now();
      state = await program.run(state, [arrays], { step: done++, learningRate: 1e-5 });
      await state.totals.data();
      return (performance.now() - began) / 1000;
    },
    close: () => {
      release(state);
      program.dispose();
    },
  };
}

type Line = { readonly base: number; readonly slope: number };

/** A line through two points: what does not grow, at least 0, and what one more adds. */
function lineThrough([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number]): Line {
  const slope = y2 > y1 ? (y2 - y1) / (x2 - x1) : y2 / x2; // the clock may say otherwise of very small steps
  return { base: Math.max(0, y1 - slope * x1), slope };
}

/**
 * Holds what two depths say of a deep model within what its arithmetic allows, so that a disturbed measurement cannot
 * run away: from the deeper one on, seconds grow with operations, the last layer counted wholly or not at all.
 */
function within(
  carried: number,
  measured: number,
  config: AlbertConfig,
  given: PretrainingConfig,
): number {
  const run = { ...given, train_batch_size: 1 };
  const flops = (num_hidden_layers: number): number =>
    estimateCost({ ...config, num_hidden_layers }, run).flops;
  const [deep, shallow] = [flops(config.num_hidden_layers), flops(depths[1])];
  const layer = (shallow - flops(depths[0])) / (depths[1] - depths[0]);
  const [least, most] = [measured * deep / shallow, measured * (deep - layer) / (shallow - layer)];
  return Math.min(most, Math.max(least, carried));
}

/**
 * Measures how fast an engine trains a model.
 *
 * @param config The architecture, as deep as it is wished.
 * @param run The run; `train_batch_size` records on one device.
 * @param engine The engine.
 * @param options `seconds`: about how long to repeat steps, default 10; each is made 3 to 20 times.
 * @returns Seconds of a record and of an update, and what the engine's process takes.
 * @throws {RangeError} When the engine says that even the shallower models do not fit into memory.
 * @example
 * ```ts
 * import { albertPreset, measureRate, openEngine, parsePretrainingConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const run = parsePretrainingConfig({ train_batch_size: 2, max_seq_length: 16, max_predictions_per_seq: 4 });
 * const rate = await measureRate(albertPreset("tiny"), run, await openEngine("tfjs"), { seconds: 0 });
 * assert.ok(rate.secondsPerRecord > 0);
 * ```
 */
export async function measureRate(
  config: AlbertConfig,
  run: PretrainingConfig,
  engine: Engine,
  { seconds = 10 }: { readonly seconds?: number } = {},
): Promise<TrainingRate> {
  const layers = config.num_hidden_layers;
  const shallow = config.num_hidden_groups > 1 || layers <= depths[1] ? [layers] : depths;
  const most = Math.max(2, Math.min(run.train_batch_size, Math.floor(positions / run.max_seq_length)));
  const batches = [Math.max(1, most >> 2), most] as const;
  const cases = shallow.flatMap((depth) => batches.map((batch) => ({ depth, batch })));
  const timed: Timed[] = [];
  const times: number[][] = cases.map(() => []);
  try {
    for (const { depth, batch } of cases) {
      const wished = { ...run, train_batch_size: batch };
      timed.push(await openTimed({ ...config, num_hidden_layers: depth }, wished, engine));
    }
    for (const { step } of timed) await step(); // the first one is slower
    const end = performance.now() + 1000 * seconds;
    // In turn, so that a drifting machine slows all of them.
    for (let round = 0; round < 3 || (round < rounds && performance.now() < end); round++) {
      for (const [k, { step }] of timed.entries()) times[k]?.push(await step());
    }
  } finally {
    for (const one of timed) one.close();
  }
  // The least of all: what else runs here only adds, and a difference of two disturbed times tells nothing.
  const lines = shallow.map((_, i) =>
    lineThrough([batches[0], Math.min(...times[2 * i] ?? [])], [
      batches[1],
      Math.min(...times[2 * i + 1] ?? []),
    ])
  );
  const [first, second = first] = lines as [Line, Line?];
  const further = shallow.length === 1 ? 0 : (layers - depths[0]) / (depths[1] - depths[0]);
  const processBytes = timed[0]?.processBytes ?? 0; // later ones are compiled in what the first left
  return {
    secondsPerRecord: shallow.length === 1
      ? first.slope
      : within(first.slope + further * (second.slope - first.slope), second.slope, config, run),
    secondsPerUpdate: second.base, // layers share their weights: depth adds nothing to the update
    source: `measured on ${engine.name}: ${shallow.join(" and ")} layers, batches of ${
      batches.join(" and ")
    }`,
    ...(processBytes === 0 ? {} : { processBytes }),
  };
}
