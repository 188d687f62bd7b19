/**
 * Where a run begins: its own newest checkpoint (a resume: weights, moments, step, position), another run's weights (a
 * warm start: fresh moments, step 0), or fresh weights. A resume with changed flags would be another run under the same
 * name, so it is refused.
 */
import { createHash } from "node:crypto";
import {
  type AlbertConfig,
  albertConfigToJson,
  parsePretrainingConfig,
  type PretrainingConfig,
} from "../config/mod.ts";
import {
  type EarlyStop,
  type FinishedStage,
  type NamedValues,
  newestWhole,
  readVerified,
  type RunState,
} from "./checkpoint.ts";
import type { PretrainOptions, RunOptions } from "./run_types.ts";
import { typesOf, zeroValues } from "./step.ts";

/** What the first step starts from. */
export type Start = {
  readonly parameters: NamedValues;
  readonly m: NamedValues;
  readonly v: NamedValues;
  readonly step: number;
  readonly position: number;
  /** The step at which the schedule's clock stood at 0: 0, or where the stage began. */
  readonly firstStep: number;
  readonly totals: readonly number[];
  readonly stepsInTotals: number;
  readonly checkpoint: string | undefined;
  readonly earlyStop: EarlyStop | undefined;
  /** The log line and the evaluation of the step are still due. */
  readonly pending: boolean;
  /** Engine and devices that computed the checkpoint of a resume. */
  readonly computedOn?: string;
  /** What a warm start took, and what it did not find. */
  readonly warmStart?: string;
  /** A newer checkpoint that is damaged, and why. */
  readonly passedOver?: string;
};

/** Where a run stands in a schedule of stages. */
export type StagePlace = {
  /** From 1. */
  readonly number: number;
  readonly moments: "fresh" | "carried";
  /** The stages that are finished. */
  readonly before: readonly FinishedStage[];
  /** The end of the stage before, where this one begins; without it the folder is asked. */
  readonly from?: {
    readonly parameters: NamedValues;
    readonly m: NamedValues;
    readonly v: NamedValues;
    readonly step: number;
    readonly checkpoint: string | undefined;
  };
};

/** SHA-256 of a text, in hex. */
export const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Flags that change the result of a run; the others say where, how often and on what it runs. */
const decisive: readonly (keyof PretrainingConfig)[] = [
  "input_file",
  "init_checkpoint",
  "init_from_group0",
  "max_seq_length",
  "max_predictions_per_seq",
  "train_batch_size",
  "gradient_accumulation_steps",
  "optimizer",
  "learning_rate",
  "poly_power",
  "num_train_steps",
  "num_warmup_steps",
  "start_warmup_step",
  "weight_decay_rate",
  "max_grad_norm",
  "seed",
  "shuffle_buffer",
  "compute_dtype",
  "mask_token_id",
];

/** Refuses to go on when decisive flags or hashes differ from those of the checkpoint. */
export function refuseChanges(
  { run, hashes = {} }: Pick<PretrainOptions, "run" | "hashes">,
  before: Pick<RunState, "run" | "hashes">,
  path: string,
): void {
  if (run.allow_changed_flags) return;
  const defaults = parsePretrainingConfig({});
  const old = { ...defaults, ...before.run } as PretrainingConfig;
  // Names of records say little: a caller may open them itself, and where both know their hash it decides.
  const known = before.hashes?.["records"] !== undefined && hashes["records"] !== undefined;
  const sameData = known || old.input_file === "" || run.input_file === "";
  const flags = decisive.filter((flag) => old[flag] !== run[flag] && !(flag === "input_file" && sameData))
    .map((flag) => `${flag} was ${JSON.stringify(old[flag])} and is ${JSON.stringify(run[flag])}`);
  const contents = Object.keys(hashes)
    .filter((name) => before.hashes?.[name] !== undefined && before.hashes[name] !== hashes[name])
    .map((name) => `the SHA-256 of the ${name} was ${before.hashes?.[name]} and is ${hashes[name]}`);
  const changes = [...flags, ...contents];
  if (changes.length === 0) return;
  throw new RangeError(
    `Cannot go on from ${path}: ${
      changes.join("; ")
    }; choose another output_dir, or give --allow_changed_flags`,
  );
}

/** Refuses to go on with another architecture, and names the keys that differ. */
function refuseArchitecture(now: AlbertConfig, before: AlbertConfig, folder: string): void {
  const [is, was] = [now, before].map((config) => JSON.parse(albertConfigToJson(config)) as object);
  const values = (of: object | undefined): Map<string, string> =>
    new Map(Object.entries(of ?? {}).map(([key, value]) => [key, JSON.stringify(value)]));
  const [ours, theirs] = [values(is), values(was)];
  const changes = [...new Set([...theirs.keys(), ...ours.keys()])]
    .filter((key) => ours.get(key) !== theirs.get(key))
    .map((key) => `${key} was ${theirs.get(key) ?? "not given"} and is ${ours.get(key) ?? "not given"}`);
  if (changes.length === 0) return;
  throw new RangeError(
    `Cannot go on in ${folder}: its checkpoint has another architecture: ${changes.join("; ")}; ` +
      "choose another output_dir",
  );
}

/** The first step of a stage: weights of the stage before, its moments or fresh ones, new data and a new clock. */
function borderStart(
  zero: NamedValues,
  { parameters, m, v, step, checkpoint }: NonNullable<StagePlace["from"]>,
  moments: StagePlace["moments"],
): Start {
  const kept = moments === "carried" ? { m, v } : { m: zero, v: zero };
  const at = {
    step,
    firstStep: step,
    position: 0,
    totals: [],
    stepsInTotals: 0,
    earlyStop: undefined,
    pending: false,
  };
  return { parameters, ...kept, ...at, checkpoint };
}

/** Where the run begins: its own newest checkpoint, another run's weights, or fresh weights. */
export function startOf(options: RunOptions, stage?: StagePlace): Start {
  const { config, run, objective } = options;
  const zero = zeroValues(typesOf(objective.parameters));
  if (stage?.from !== undefined) return borderStart(zero, stage.from, stage.moments);
  const { path: own, damaged } = run.output_dir === ""
    ? { path: undefined, damaged: undefined }
    : newestWhole(run.output_dir);
  if (own !== undefined) {
    const { config: before, parameters, m, v, state } = readVerified(own, () => objective.parameters);
    refuseArchitecture(config, before, run.output_dir);
    refuseChanges(options, state, own);
    if ((state.stage?.number ?? 0) !== (stage?.number ?? 0)) {
      const name = (number?: number): string =>
        number === undefined ? "a run without stages" : `stage ${number}`;
      throw new RangeError(
        `Cannot go on from ${own}: it is of ${name(state.stage?.number)}, this is ${name(stage?.number)}; ` +
          "choose another output_dir, or train with the same stages",
      );
    }
    const { step, position, totals, steps_in_totals: stepsInTotals, early_stop: earlyStop } = state;
    return {
      ...{ parameters, m: m ?? zero, v: v ?? zero, step, position, totals, stepsInTotals, earlyStop },
      firstStep: state.stage?.first_step ?? 0,
      checkpoint: own,
      pending: state.pending === true,
      ...(state.computed_on === undefined ? {} : { computedOn: state.computed_on }),
      ...(damaged === undefined ? {} : { passedOver: damaged.message }),
    };
  }
  const { parameters, note } = objective.initial();
  return {
    ...(note === undefined ? {} : { warmStart: note }),
    parameters,
    m: zero,
    v: zero,
    step: 0,
    position: 0,
    firstStep: 0,
    totals: [],
    stepsInTotals: 0,
    checkpoint: undefined,
    earlyStop: undefined,
    pending: false,
  };
}
