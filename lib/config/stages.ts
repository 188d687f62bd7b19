/**
 * A schedule in stages: a list in a JSON or YAML file, each entry the flags in which a stage differs from the run. Short
 * sequences first is BERT's own advice; small ALBERTs leave their plateau many times sooner that way.
 */
import { type Field, readFields, refuse } from "./fields.ts";
import { readValue } from "./read.ts";
import { parsePretrainingConfig, type PretrainingConfig, pretrainingFields } from "./pretraining.ts";

/**
 * One stage of a schedule.
 *
 * @example
 * ```ts
 * import { parseStages, type StageConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const stages: StageConfig[] = parseStages([{ max_seq_length: 32 }, { max_seq_length: 64, moments: "carried" }]);
 * assert.deepEqual(stages.map(({ moments }) => moments), ["fresh", "carried"]);
 * ```
 */
export type StageConfig = {
  /** Whether the moments of the optimizer start at 0, or go on from the stage before ["fresh"]. */
  readonly moments: "fresh" | "carried";
  /** The run of this stage; `output_dir`, seed and engine are those of the whole schedule. */
  readonly run: PretrainingConfig;
};

/** Flags that a stage may give; the others hold for the whole run. */
const staged: readonly (keyof PretrainingConfig)[] = [
  "input_file",
  "eval_input_file",
  "max_seq_length",
  "max_predictions_per_seq",
  "train_batch_size",
  "eval_batch_size",
  "gradient_accumulation_steps",
  "optimizer",
  "learning_rate",
  "poly_power",
  "num_train_steps",
  "num_warmup_steps",
  "start_warmup_step",
  "stop_after_steps",
  "weight_decay_rate",
  "max_grad_norm",
  "early_stop",
  "max_eval_steps",
  "eval_every",
  "log_every",
  "save_checkpoints_steps",
  "shuffle_buffer",
  "remat",
];

/** Fields of those flags; what is absent stays absent, so that the run's own value holds. */
const stageFields = (): Record<string, Field> =>
  Object.fromEntries(staged.map((key) => {
    const { default: _, ...field } = pretrainingFields[key];
    return [key, field];
  }));

const momentsField: Field = { kind: "choice", choices: ["fresh", "carried"], default: "fresh" };

/**
 * Checks a list of stages; what a stage leaves out is taken from the run.
 *
 * @param value What a JSON or YAML file held: a list of objects with flags of `pretrain` and `moments`.
 * @param options `run`: flags that hold for all stages, by name; default none. `path`: the file, for messages.
 * @returns The stages in order.
 * @throws {TypeError} When it is no list, a key is unknown or no flag of a stage, or a value has the wrong type.
 * @throws {RangeError} When the list is empty or values are out of range or contradict each other.
 * @example
 * ```ts
 * import { parseStages } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [short, long] = parseStages([
 *   { max_seq_length: 16, max_predictions_per_seq: 2, num_train_steps: 1500 },
 *   { max_seq_length: 64, max_predictions_per_seq: 10, train_batch_size: 4, num_train_steps: 5000, moments: "carried" },
 * ], { run: { learning_rate: 0.003, train_batch_size: 16 } });
 * assert.deepEqual([short?.run.train_batch_size, long?.run.train_batch_size], [16, 4]);
 * assert.equal(long?.run.learning_rate, 0.003);
 * assert.throws(() => parseStages([{ seed: 3 }]), /stage 1[^]*seed/);
 * ```
 */
export function parseStages(
  value: unknown,
  { run = {}, path }: { readonly run?: Partial<PretrainingConfig>; readonly path?: string } = {},
): StageConfig[] {
  const where = path === undefined ? "the stages" : `the stages ${path}`;
  if (!Array.isArray(value)) {
    throw new TypeError(
      `Cannot use ${where}: they must be a list of objects, they are ${JSON.stringify(value)}`,
    );
  }
  if (value.length === 0) {
    throw new RangeError(`Cannot use ${where}: the list is empty; give at least one stage`);
  }
  return value.map((entry: unknown, i) => {
    const name = `stage ${i + 1}${path === undefined ? "" : ` of ${path}`}`;
    const { values, mistakes } = readFields(entry, { moments: momentsField, ...stageFields() });
    refuse(name, mistakes);
    const { moments, ...flags } = values;
    const { stages: _, ...shared } = { stages: "", ...run };
    return {
      moments: moments as StageConfig["moments"],
      run: parsePretrainingConfig({ ...shared, ...flags }, { path: `of ${name}` }),
    };
  });
}

/**
 * Reads the file of a schedule.
 *
 * @param path JSON, or YAML when the name ends in .yaml or .yml.
 * @param options `run`: flags that hold for all stages.
 * @returns The stages in order.
 * @throws {SyntaxError} When the text is no JSON or YAML.
 * @throws {TypeError} When keys or types are wrong.
 * @throws {RangeError} When values are out of range.
 * @example
 * ```ts
 * import { readStages, writeFileAtomic } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/stages.yaml`;
 * writeFileAtomic(path, "- max_seq_length: 64\n  num_train_steps: 10\n");
 * assert.equal(readStages(path)[0]?.run.max_seq_length, 64);
 * ```
 */
export function readStages(
  path: string,
  { run = {} }: { readonly run?: Partial<PretrainingConfig> } = {},
): StageConfig[] {
  return parseStages(readValue(path), { run, path });
}
