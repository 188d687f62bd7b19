/**
 * The first value that is no number: a run can be repeated to the bit, so the steps from the last good checkpoint to the
 * bad one are taken again, and the bad one is then computed with its values watched. On several devices the steps are those
 * of the run; the watched one is computed whole, as on one device, where a number may differ in its last bits.
 */
import type { Engine, Tensor, TensorType } from "../tensor/mod.ts";
import type { NamedValues } from "./checkpoint.ts";
import type { NotFinite } from "./not_finite.ts";
import type { ProgramArrays } from "./objective.ts";
import type { PretrainControls, RunOptions } from "./run_types.ts";
import { type StagePlace, startOf } from "./start.ts";
import { downloadAll, dropoutKey, stepParts, type TrainStep, typesOf } from "./step.ts";
import { batchesOf, beginning, oneStep, rateOf, readStep, release } from "./stepping.ts";
import { watch } from "./watch.ts";

/** Seconds that a repetition may take without being asked for. */
const patience = 120;

/** What finds the value needs of the run that failed. */
export type FailedRun = {
  readonly stage: StagePlace | undefined;
  readonly trainStep: TrainStep;
  /** The last good checkpoint. */
  readonly checkpoint: string | undefined;
  readonly secondsPerStep: number;
};

/** Says where the first value that is no number came from, as the end of a message; empty when it cannot be said. */
export async function locateNaN(
  options: RunOptions,
  controls: Pick<PretrainControls, "engine" | "signal" | "onProgress">,
  bad: NotFinite,
  { stage, trainStep, checkpoint, secondsPerStep }: FailedRun,
): Promise<string> {
  const { run } = options;
  const { engine, signal, onProgress } = controls;
  const { from, ...place } = stage ?? { from: undefined };
  const border = from !== undefined && from.checkpoint === checkpoint;
  const start = startOf(options, border || stage === undefined ? stage : place as StagePlace);
  const steps = bad.step - 1 - start.step;
  if (steps < 0) return "";
  const seconds = steps * secondsPerStep;
  if (seconds > patience && !run.find_nan) {
    return `; --find_nan takes the ${steps} steps since then again, about ${
      Math.ceil(seconds / 60)
    } minutes, ` +
      "and names the first value that is no number";
  }
  const now = await beginning(start, stage, options, engine);
  const batches = batchesOf(options, start.position);
  try {
    while (now.step < bad.step - 1) {
      if (signal?.aborted === true) return "";
      await oneStep(options, now, trainStep, batches);
      onProgress?.({ stage: "look for NaN", done: now.step - start.step, total: steps, unit: "steps" });
    }
    const found = await watchedStep(options, engine, now, batches);
    return found === undefined ? "; it did not show again when the step was repeated" : `; ${found}`;
  } finally {
    release(now.device);
    await batches.return(undefined);
  }
}

/** Takes one step with every value watched: its gradients, batch by batch, then its update. */
async function watchedStep(
  options: RunOptions,
  engine: Engine,
  now: Awaited<ReturnType<typeof beginning>>,
  batches: ReturnType<typeof batchesOf>,
): Promise<string | undefined> {
  const { run } = options;
  const values = {
    parameters: await downloadAll(now.device.parameters),
    m: await downloadAll(now.device.m),
    v: await downloadAll(now.device.v),
  };
  const { parameters, m, v } = values;
  const broken = badWeight({ weight: parameters, "first moment of": m, "second moment of": v });
  if (broken !== undefined) return broken;
  const { parts, position } = await readStep(options, batches);
  const records = position - parts.length * run.train_batch_size;
  const share = Math.fround(1 / parts.length);
  const sums: Record<string, Float32Array> = {};
  for (const [part, batch] of parts.entries()) {
    const key = dropoutKey(run.seed, now.step, part);
    const { finding, values: gradients } = await watchGradients(options, engine, { parameters, batch, key });
    const first = records + part * run.train_batch_size;
    if (finding !== undefined) {
      const order = now.stage === undefined
        ? "the run's order"
        : `the order of stage ${now.stage.number} alone`;
      return `${finding}, computed from records ${first + 1} to ${first + run.train_batch_size} in ${order}`;
    }
    for (const [target, gradient] of Object.entries(gradients)) {
      const name = target.replace("the gradient of ", "");
      const sum = sums[name] ??= new Float32Array(gradient.length);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + Math.fround((gradient[i] ?? 0) * share);
    }
  }
  const rate = Float32Array.of(rateOf(now, run));
  return (await watchUpdate(options, engine, { ...values, sum: sums, rate })).finding;
}

type StepArguments = {
  readonly parameters: NamedValues;
  readonly batch: ProgramArrays;
  readonly key: Uint32Array;
};

/** The gradients of one batch. */
function watchGradients({ run, objective }: RunOptions, engine: Engine, args: StepArguments) {
  const { differentiate } = stepParts(objective, run, 1);
  return watch(
    ({ parameters, batch, key }) => {
      const { gradients, sums } = differentiate(parameters, batch, key);
      return {
        forward: { sums },
        results: Object.fromEntries(
          Object.entries(gradients).map(([name, value]) => [`the gradient of ${name}`, value]),
        ),
      };
    },
    {
      parameters: typesOf(objective.parameters),
      batch: objective.batchTypes,
      key: { dtype: "uint32", shape: [2] } as TensorType,
    },
    args,
    engine,
  );
}

type UpdateArguments = { readonly [Name in "parameters" | "m" | "v" | "sum"]: NamedValues } & {
  readonly rate: Float32Array;
};

/** The change of weights and moments by summed gradients. */
function watchUpdate({ run, objective }: RunOptions, engine: Engine, given: UpdateArguments) {
  const types = typesOf(objective.parameters);
  const { update } = stepParts(objective, run, 1);
  const kinds = {
    "the weight": "parameters",
    "the first moment of": "m",
    "the second moment of": "v",
  } as const;
  return watch(
    (args) => {
      const { next, norm } = update(args.parameters, args.sum, args, args.rate);
      const named = Object.entries(kinds).flatMap(([what, group]) =>
        Object.entries(next[group]).map(([name, value]) => [`${what} ${name}`, value])
      );
      return { forward: { norm }, results: Object.fromEntries(named) as { readonly [name: string]: Tensor } };
    },
    {
      parameters: types,
      sum: types,
      m: types,
      v: types,
      rate: { dtype: "float32", shape: [] } as TensorType,
    },
    given,
    engine,
  );
}

function badWeight(groups: { readonly [what: string]: NamedValues }): string | undefined {
  for (const [what, values] of Object.entries(groups)) {
    for (const [name, data] of Object.entries(values)) {
      const count = data.reduce((sum, x) => sum + (Number.isFinite(x) ? 0 : 1), 0);
      if (count > 0) {
        return `the ${what} ${name} holds ${count} of ${data.length} values that are no numbers before the step begins`;
      }
    }
  }
  return undefined;
}
