/**
 * The flags of the tasks with the reference's names and defaults, and what they must satisfy.
 * Source: `create_pretraining_data.py` of the reference, last commit of 2023-04-12.
 */
import { type NumpyRandom, numpyRandom, type PythonRandom, pythonRandom, roundHalfEven } from "../random.ts";

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
  /**
   * Which pieces start a word: `"reference"` (default) takes every piece with a digit, an apostrophe or a letter outside
   * a-z for a word of its own; `"unicode"` knows digits and letters of every script (see `isStartPieceUnicode`).
   * On the KJV corpus (vocabulary 1,000, length 128) word starts fall from 76.62 to 76.49 % of the tokens: English has
   * little to gain. On the German corpus (vocabulary 3,000) from 51.99 to 51.26 %: pieces with an umlaut or ß belong to
   * their words, which the reference masks without them.
   */
  readonly word_starts: "reference" | "unicode";
  /**
   * Most predictions of one sequence: `"reference"` (default) stops at `max_predictions_per_seq`, whatever
   * `masked_lm_prob` says; `"prob"` sets `max_predictions_per_seq` to the share of `max_seq_length`, rounded, so that the
   * share is reached at every length. On the KJV corpus at length 512: 15.0 % of the tokens instead of 5.2 %, 52.6 instead of
   * 18.5 a record; no difference at lengths 64 and 128. On the German corpus at 512: 15.0 % instead of 4.6 %.
   */
  readonly mask_budget: "reference" | "prob";
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
  /**
   * What the sentence order task does with a chunk of one sentence: `"random"` (default) is the reference, segment B of
   * another document under the label of swapped segments; `"split"` cuts the sentence between two pieces and swaps the
   * parts or not; `"skip"` makes no instance of it. Without effect when `random_next_sentence` is true.
   * On the KJV corpus at length 64, where 12.8 % of the records are such chunks: 50.7 % of the labels are 1 with
   * `"split"` and with `"skip"`, 56.7 % with `"random"`. On the German corpus, whose sentences are longer, 36 % of the records
   * are such chunks: 50.1 and 49.4 % instead of 67.8 %, and `"skip"` leaves 64 % of the records.
   */
  readonly single_sentence: "random" | "split" | "skip";
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
  word_starts: "reference",
  mask_budget: "reference",
  max_seq_length: 512,
  short_seq_prob: 0.1,
  random_next_sentence: false,
  dupe_factor: 40,
  single_sentence: "random",
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

/** The flags that take one of a few words; the first one is the reference's way. */
export const CHOICES: Readonly<Record<"word_starts" | "mask_budget" | "single_sentence", readonly string[]>> =
  {
    word_starts: ["reference", "unicode"],
    mask_budget: ["reference", "prob"],
    single_sentence: ["random", "split", "skip"],
  };

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
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = config[name as keyof typeof CHOICES];
    if (!choices.includes(value)) problems.push(`${name} is ${value}, expected ${choices.join(" or ")}`);
  }
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

/**
 * Defaults filled in and checked; `mask_budget` has its effect here.
 *
 * @param action What the caller is about to do, for the message.
 * @param options Flags; the reference's defaults.
 * @returns All flags, with the `max_predictions_per_seq` that counts.
 * @throws {RangeError} When flags are wrong; every mistake is named at once.
 * @example
 * ```ts
 * import { checkedTasks } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(checkedTasks("count", { mask_budget: "prob" }).max_predictions_per_seq, 77); // 512 x 0.15
 * assert.throws(() => checkedTasks("count", { ngram: 0 }), /Cannot count: ngram is 0/);
 * ```
 */
export function checkedTasks(action: string, options: Partial<TasksConfig>): TasksConfig {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const config: TasksConfig = { ...TASKS_DEFAULTS, ...Object.fromEntries(given) };
  const problems = tasksProblems(config);
  if (problems.length > 0) throw new RangeError(`Cannot ${action}: ${problems.join("; ")}`);
  if (config.mask_budget === "reference") return config;
  const share = Math.max(1, roundHalfEven(config.max_seq_length * config.masked_lm_prob));
  return { ...config, max_predictions_per_seq: share };
}
