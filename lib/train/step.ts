/**
 * The programs of a run: forward, backward, clip and update as one compiled step whose weights, moments and sums stay on
 * the device. With gradient accumulation there are two: one adds up gradients, the other updates.
 */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { albertParameters, type NamedTensors, type ParameterSpec } from "../model/mod.ts";
import {
  abs,
  add,
  allReduce,
  cast,
  compare,
  compile,
  concat,
  type DeviceArray,
  deviceArray,
  type Engine,
  grad,
  hashBits,
  type MemoryNeed,
  mul,
  reduceSum,
  reshape,
  sizeOf,
  type Tensor,
  type TensorType,
  zeros,
} from "../tensor/mod.ts";
import type { HasLoss, Objective, ProgramArrays, ProgramTensors } from "./objective.ts";
import { adamw, clipByGlobalNorm, lamb, type Updated } from "./optimizer.ts";

/** Values on the device by name. */
export type NamedArrays = { readonly [name: string]: DeviceArray };

/** What a step takes and gives back; the step consumes what it takes. */
export type DeviceState = {
  readonly parameters: NamedArrays;
  readonly m: NamedArrays;
  readonly v: NamedArrays;
  /** Sums over the batches since they were last reset; behind them the sum of the gradient norms, and the good steps. */
  readonly totals: DeviceArray;
};

/** The step of a run. */
export type TrainStep = {
  /**
   * One update from as many batches as are accumulated. `between` is called after each batch but the last; when it throws,
   * the step is dropped and the state that was given stays whole.
   */
  readonly run: (
    state: DeviceState,
    batches: readonly ProgramArrays[],
    at: {
      readonly step: number;
      readonly learningRate: number;
      readonly between?: (done: number) => Promise<void>;
    },
  ) => Promise<DeviceState>;
  /** What the step needs, where the engine knows before the first one. */
  readonly memory?: MemoryNeed;
  /** Frees the programs. */
  readonly dispose: () => void;
};

/** Sums of batches, one for the gradient norm, one that counts the steps whose loss and norm are finite. */
export const stateTotals = ({ totalsLength }: Pick<Objective, "totalsLength">): number => totalsLength + 2;

/** Types of weights. */
export function typesOf(weights: readonly ParameterSpec[]): Record<string, TensorType> {
  return Object.fromEntries(weights.map(({ name, shape }) => [name, { dtype: "float32", shape }]));
}

/** Types of all weights of the pretrained model. */
export const parameterTypes = (config: AlbertConfig): Record<string, TensorType> =>
  typesOf(albertParameters(config));

/** The key of one batch's dropout: it depends on seed, step and batch only. */
export function dropoutKey(seed: number, step: number, part: number): Uint32Array {
  const [low, high] = [seed >>> 0, Math.floor(seed / 2 ** 32)];
  return Uint32Array.of(hashBits(low, 2 * high, step), hashBits(low ^ part, 2 * high + 1, step));
}

const scalar: TensorType = { dtype: "float32", shape: [] };
const keyType: TensorType = { dtype: "uint32", shape: [2] };
const totalsOf = (objective: Objective): TensorType => ({
  dtype: "float32",
  shape: [stateTotals(objective)],
});
const withNorm = (sums: Tensor, norm: Tensor, good: Tensor): Tensor =>
  concat([sums, reshape(norm, [1]), reshape(good, [1])]);

/** 1 for a finite number, 0 for NaN and infinities: after a bad step every later one is bad, so a sum dates the first. */
const finite = (x: Tensor): Tensor => cast(compare(abs(x), "le", 3.4e38), "float32");

/** The halves of a step as graph functions. */
export type StepParts = {
  /** Gradients of a batch, and its sums. */
  readonly differentiate: (
    parameters: NamedTensors,
    batch: ProgramTensors,
    key: Tensor,
  ) => { readonly gradients: NamedTensors; readonly sums: Tensor };
  /** Clips, and changes the weights. */
  readonly update: (
    parameters: NamedTensors,
    raw: NamedTensors,
    moments: { readonly m: NamedTensors; readonly v: NamedTensors },
    learningRate: Tensor,
  ) => { readonly next: Updated; readonly norm: Tensor };
};

/**
 * The parts that both ways of running share, as graph functions. On several devices each has its part of the batch; sums
 * and the mean of the gradients go over all of them, so that every device makes the same update.
 */
export function stepParts(
  objective: Objective,
  run: PretrainingConfig,
  devices: number,
): StepParts {
  const meanOverDevices = (x: Tensor): Tensor => devices === 1 ? x : mul(allReduce(x), 1 / devices);
  const differentiate: StepParts["differentiate"] = (parameters, batch, key) => {
    const { loss, totals } = objective.loss(parameters, batch, {
      dropoutKey: key,
      computeDtype: run.compute_dtype,
      remat: run.remat,
    });
    const found = grad(loss, Object.values(parameters));
    const gradients = Object.fromEntries(
      Object.keys(parameters).map((name, i) => [name, found[i] as Tensor]),
    );
    return { gradients, sums: allReduce(totals) };
  };
  const update: StepParts["update"] = (parameters, raw, moments, learningRate) => {
    const whole = Object.fromEntries(Object.entries(raw).map(([name, g]) => [name, meanOverDevices(g)]));
    const limit = run.max_grad_norm === 0 ? 1 : run.max_grad_norm;
    const { gradients: clipped, norm } = clipByGlobalNorm(whole, limit);
    const gradients = run.max_grad_norm === 0 ? whole : clipped;
    const options = { learningRate, weightDecayRate: run.weight_decay_rate };
    const rule = run.optimizer === "lamb" ? lamb : adamw;
    return { next: rule(parameters, gradients, moments, options), norm };
  };
  return { differentiate, update };
}

async function fusedStep(objective: Objective, run: PretrainingConfig, engine: Engine): Promise<TrainStep> {
  const types = typesOf(objective.parameters);
  const batch = objective.batchTypes;
  const { differentiate, update } = stepParts(objective, run, engine.devices().length);
  const program = await compile(
    (args) => {
      const { parameters, m, v, totals } = args;
      const { gradients, sums } = differentiate(parameters, args.batch, args.key);
      const { next, norm } = update(parameters, gradients, { m, v }, args.learning_rate);
      const good = finite(add(norm, reduceSum(sums)));
      return { ...next, totals: add(totals, withNorm(sums, norm, good)) };
    },
    {
      parameters: types,
      m: types,
      v: types,
      totals: totalsOf(objective),
      batch,
      learning_rate: scalar,
      key: keyType,
    },
    { engine, donate: ["parameters", "m", "v", "totals"], split: ["batch"] },
  );
  return {
    run: ({ parameters, m, v, totals }, batches, { step, learningRate }) =>
      program.run({
        parameters,
        m,
        v,
        totals,
        batch: batches[0] as ProgramArrays,
        learning_rate: Float32Array.of(learningRate),
        key: dropoutKey(run.seed, step, 0),
      }),
    ...(program.memory === undefined ? {} : { memory: program.memory }),
    dispose: program.dispose,
  };
}

/** With both moments, which lie beside the program that adds up gradients. */
function withMoments(need: MemoryNeed, types: Readonly<Record<string, TensorType>>): MemoryNeed {
  const moments = 8 * Object.values(types).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return { ...need, arguments: need.arguments + moments, peak: need.peak + moments };
}

async function accumulatedStep(
  objective: Objective,
  run: PretrainingConfig,
  engine: Engine,
): Promise<TrainStep> {
  const types = typesOf(objective.parameters);
  const [batch, totalsType] = [objective.batchTypes, totalsOf(objective)];
  const { differentiate, update } = stepParts(objective, run, engine.devices().length);
  const share = 1 / run.gradient_accumulation_steps;
  const collect = await compile(
    (args) => {
      const { gradients, sums } = differentiate(args.parameters, args.batch, args.key);
      const grown = Object.entries(args.sum).map(([name, sum]) => [
        name,
        add(sum, mul(gradients[name] as Tensor, share)),
      ]);
      return {
        sum: Object.fromEntries(grown) as NamedTensors,
        totals: add(args.totals, withNorm(sums, zeros([]), zeros([]))),
      };
    },
    { parameters: types, sum: types, totals: totalsType, batch, key: keyType },
    { engine, donate: ["sum"], split: ["batch"] }, // the totals of before stay, should the step be dropped
  );
  const apply = await compile(
    ({ parameters, m, v, sum, totals, learning_rate }) => {
      const { next, norm } = update(parameters, sum, { m, v }, learning_rate);
      return { ...next, totals: add(totals, withNorm(zeros([objective.totalsLength]), norm, finite(norm))) };
    },
    { parameters: types, m: types, v: types, sum: types, totals: totalsType, learning_rate: scalar },
    { engine, donate: ["parameters", "m", "v", "sum", "totals"] },
  );
  return {
    run: async ({ parameters, m, v, totals: before }, batches, { step, learningRate, between }) => {
      let sum = await uploadAll(zeroValues(types), types, engine);
      let totals = before;
      for (const [part, arrays] of batches.entries()) {
        const key = dropoutKey(run.seed, step, part);
        const grown = await collect.run({ parameters, sum, totals, batch: arrays, key });
        if (totals !== before) totals.dispose();
        ({ sum, totals } = grown);
        if (between === undefined || part + 1 === batches.length) continue;
        try {
          await between(part + 1);
        } catch (error) {
          [...Object.values(sum), totals].forEach((array) => array.dispose());
          throw error;
        }
      }
      before.dispose();
      return await apply.run({ parameters, m, v, sum, totals, learning_rate: Float32Array.of(learningRate) });
    },
    ...(collect.memory === undefined ? {} : { memory: withMoments(collect.memory, types) }),
    dispose: () => {
      collect.dispose();
      apply.dispose();
    },
  };
}

/** Makes the step of a run for batches of `train_batch_size` examples. */
export async function makeTrainStep<M extends HasLoss>(
  objective: Objective<M>,
  run: PretrainingConfig,
  engine: Engine,
): Promise<TrainStep> {
  const make = run.gradient_accumulation_steps === 1 ? fusedStep : accumulatedStep;
  return await make(objective, run, engine);
}

/** Zeros for every weight, for moments that start fresh. */
export function zeroValues(types: Readonly<Record<string, TensorType>>): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(types).map(([name, { shape }]) => [name, new Float32Array(sizeOf(shape))]),
  );
}

/** Brings named values to the device. */
export async function uploadAll(
  values: { readonly [name: string]: Float32Array },
  types: Readonly<Record<string, TensorType>>,
  engine: Engine,
): Promise<NamedArrays> {
  const arrays: Record<string, DeviceArray> = {};
  for (const [name, { shape }] of Object.entries(types)) {
    const value = values[name];
    if (value === undefined) throw new TypeError(`Cannot load the weight ${name}: it has no value`);
    arrays[name] = await deviceArray(value, { engine, shape });
  }
  return arrays;
}

/** Copies named values to the host as float32. */
export async function downloadAll(arrays: NamedArrays): Promise<Record<string, Float32Array>> {
  const values: Record<string, Float32Array> = {};
  for (const [name, array] of Object.entries(arrays)) values[name] = new Float32Array(await array.data());
  return values;
}
