/**
 * The flags of the tasks with the reference's names and defaults, and what they must satisfy.
 * Source: `create_pretraining_data.py` of the reference, last commit of 2023-04-12.
 */
import { type NumpyRandom, numpyRandom, type PythonRandom, pythonRandom } from "../random.ts";

/**
 * Flags of masking.
 *
 * @example
 * ```ts
 * import { TASKS_DEFAULTS } from "albert-guide";
 * import type { MaskingConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config: MaskingConfig = { ...TASKS_DEFAULTS, ngram: 1 };
 * assert.equal(config.masked_lm_prob, 0.15);
 * ```
 */
export type MaskingConfig = {
  /** Share of the tokens to predict, specials counted; 0 turns masking off. Default 0.15. */
  readonly masked_lm_prob: number;
  /** Most predictions of one sequence. Default 20. */
  readonly max_predictions_per_seq: number;
  /** Longest n-gram, in words. Default 3. */
  readonly ngram: number;
  /** Short n-grams are the likely ones. Default true. */
  readonly favor_shorter_ngram: boolean;
  /** A piece that continues a word is masked with it. Default true. */
  readonly do_whole_word_mask: boolean;
  /** Exchange further tokens among each other and predict them too: up to twice the predictions. Default false. */
  readonly do_permutation: boolean;
};

/**
 * Flags of instances: segments and masking.
 *
 * @example
 * ```ts
 * import { TASKS_DEFAULTS } from "albert-guide";
 * import type { TasksConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config: TasksConfig = { ...TASKS_DEFAULTS, max_seq_length: 64 };
 * assert.equal(config.dupe_factor, 40);
 * ```
 */
export type TasksConfig = MaskingConfig & {
  /** Length of a sequence in tokens, the three specials included. Default 512. */
  readonly max_seq_length: number;
  /** Share of the documents that get a random shorter target length. Default 0.1. */
  readonly short_seq_prob: number;
  /** Segment B is a random document's half of the time (as in BERT) instead of swapped. Default false. */
  readonly random_next_sentence: boolean;
  /** Passes over the documents, each with other draws. Default 40. */
  readonly dupe_factor: number;
};

/**
 * The reference's defaults of the tasks.
 *
 * @example
 * ```ts
 * import { TASKS_DEFAULTS } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(TASKS_DEFAULTS.max_seq_length, 512);
 * ```
 */
export const TASKS_DEFAULTS: TasksConfig = {
  masked_lm_prob: 0.15,
  max_predictions_per_seq: 20,
  ngram: 3,
  favor_shorter_ngram: true,
  do_whole_word_mask: true,
  do_permutation: false,
  max_seq_length: 512,
  short_seq_prob: 0.1,
  random_next_sentence: false,
  dupe_factor: 40,
};

/**
 * The two generators that all draws of the tasks come from.
 *
 * @example
 * ```ts
 * import { generators } from "albert-guide";
 * import type { Generators } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const both: Generators = generators(12345, 12345);
 * assert.equal(both.numpy.uniform(), 0.9296160928171479);
 * ```
 */
export type Generators = {
  /** Every draw but the n-gram length. */
  readonly python: PythonRandom;
  /** The n-gram length. */
  readonly numpy: NumpyRandom;
};

/**
 * Both generators at their start.
 *
 * @param randomSeed Seed of Python's generator (`random_seed`); default 12345, the reference's.
 * @param numpySeed Seed of NumPy's; default 12345, ours: the reference leaves it to chance.
 * @returns The generators.
 * @throws {RangeError} When a seed is no whole number, or NumPy's is not in 0 to 2^32 - 1.
 * @example
 * ```ts
 * import { generators } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(generators().python.random(), 0.41661987254534116);
 * ```
 */
export function generators(randomSeed: number | bigint = 12345, numpySeed: number = 12345): Generators {
  return { python: pythonRandom(randomSeed), numpy: numpyRandom(numpySeed) };
}

/** Everything that is wrong with the flags, one line each; empty when nothing is. */
export function tasksProblems(config: TasksConfig): string[] {
  const problems: string[] = [];
  const whole = (name: keyof TasksConfig, least: number, why: string): void => {
    const value = config[name];
    if (!Number.isSafeInteger(value) || Number(value) < least) {
      problems.push(`${name} is ${value}, expected a whole number from ${least}${why}`);
    }
  };
  const share = (name: "masked_lm_prob" | "short_seq_prob"): void => {
    const value = config[name];
    if (!(value >= 0 && value <= 1)) problems.push(`${name} is ${value}, expected 0 to 1`);
  };
  whole("max_seq_length", 5, " ([CLS], [SEP], [SEP] and a token for each segment)");
  whole("max_predictions_per_seq", 0, "");
  whole("ngram", 1, "");
  whole("dupe_factor", 1, "");
  share("masked_lm_prob");
  share("short_seq_prob");
  const flags = [
    "favor_shorter_ngram",
    "do_whole_word_mask",
    "do_permutation",
    "random_next_sentence",
  ] as const;
  for (const name of flags) {
    if (typeof config[name] !== "boolean") {
      problems.push(`${name} is ${config[name]}, expected true or false`);
    }
  }
  return problems;
}

/** Defaults filled in and checked; the error names every mistake at once. */
export function checkedTasks(action: string, options: Partial<TasksConfig>): TasksConfig {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const config: TasksConfig = { ...TASKS_DEFAULTS, ...Object.fromEntries(given) };
  const problems = tasksProblems(config);
  if (problems.length > 0) throw new RangeError(`Cannot ${action}: ${problems.join("; ")}`);
  return config;
}
