/**
 * What a file of records holds: the reference's log of an instance, and figures over all of them. Everything is counted from
 * the records alone; a tokenizer adds the pieces' texts. Source of the log's layout: `write_instance_to_example_files`.
 */
import type { Example } from "./example.ts";

/** Features in the order in which the reference logs them. */
const LOGGED = [
  "input_ids",
  "input_mask",
  "segment_ids",
  "token_boundary",
  "masked_lm_positions",
  "masked_lm_ids",
  "masked_lm_weights",
  "next_sentence_labels",
];

const valuesOf = (example: Example, key: string): number[] =>
  Array.from((example[key]?.values ?? []) as ArrayLike<number | bigint>, Number);

/**
 * The lines that the reference logs for an instance.
 *
 * @param example A record.
 * @param pieceOf Text of an id; without it the line `tokens` is left out.
 * @returns `*** Example ***`, the tokens without padding, and each feature; floats as Python writes them.
 * @example
 * ```ts
 * import { instanceLog } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const example = {
 *   input_ids: { type: "int64_list", values: [2, 0] },
 *   input_mask: { type: "int64_list", values: [1, 0] },
 *   masked_lm_weights: { type: "float_list", values: [1] },
 * } as const;
 * const lines = instanceLog(example, (id) => ["<pad>", "<unk>", "[CLS]"][id] ?? "");
 * assert.deepEqual(lines, [
 *   "*** Example ***", "tokens: [CLS]", "input_ids: 2 0", "input_mask: 1 0", "masked_lm_weights: 1.0",
 * ]);
 * ```
 */
export function instanceLog(example: Example, pieceOf?: (id: number) => string): string[] {
  const lines = ["*** Example ***"];
  const mask = valuesOf(example, "input_mask");
  const ids = valuesOf(example, "input_ids").filter((_, i) => mask[i] === 1);
  if (pieceOf !== undefined) lines.push(`tokens: ${ids.map(pieceOf).join(" ")}`);
  const others = Object.keys(example).filter((key) => !LOGGED.includes(key));
  for (const key of [...LOGGED, ...others]) {
    const feature = example[key];
    if (feature === undefined) continue;
    const float = (value: unknown): string => Number.isInteger(value) ? `${value}.0` : String(value);
    const texts = Array.from(
      feature.values as ArrayLike<unknown>,
      feature.type === "float_list" ? float : String,
    );
    lines.push(`${key}: ${texts.join(" ")}`);
  }
  return lines;
}

/**
 * Figures over the records of a file; shares are from 0 to 1.
 *
 * @example
 * ```ts
 * import type { RecordsSummary } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ones = ({ labels }: RecordsSummary): number => labels[1] ?? 0;
 * assert.equal(typeof ones, "function");
 * ```
 */
export type RecordsSummary = {
  /** Records counted. */
  readonly records: number;
  /** Tokens of a record without padding. */
  readonly length: { readonly min: number; readonly mean: number; readonly max: number };
  /** `max_seq_length`: tokens with padding, of the first record. */
  readonly maxSeqLength: number;
  /** Share of the positions that is padding. */
  readonly paddingShare: number;
  /** Predictions of a record, and room for them. */
  readonly predictions: { readonly mean: number; readonly most: number; readonly room: number };
  /** Share of the tokens to predict, specials counted. */
  readonly maskRate: number;
  /** The same by tenths of the sequence length, first tenth first. */
  readonly maskRateByPosition: readonly number[];
  /** Share of the words with a prediction, by pieces of the word: `[0]` is words of one piece; the last, of 8 and more. */
  readonly maskRateByWordLength: readonly number[];
  /** Share of the predictions behind `[MASK]`, behind the piece itself, behind another piece. */
  readonly replacements: { readonly mask: number; readonly kept: number; readonly random: number };
  /** Id that was taken for `[MASK]`. */
  readonly maskId: number;
  /** Runs of neighbouring predicted words by length: n-grams, where no two touch. `[0]` is single words; the last, 8 and more. */
  readonly runLengths: readonly number[];
  /** Records with `next_sentence_labels` 0 and 1. */
  readonly labels: readonly [number, number];
  /** Different ids among the inputs and labels, without padding. */
  readonly distinctIds: number;
};

/**
 * Collects the figures of records.
 *
 * @example
 * ```ts
 * import { type RecordsSummarizer, recordsSummarizer } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const summarizer: RecordsSummarizer = recordsSummarizer();
 * assert.equal(summarizer.finish().records, 0);
 * ```
 */
export type RecordsSummarizer = {
  /** Counts a record. */
  readonly add: (example: Example) => void;
  /** The figures so far. */
  readonly finish: () => RecordsSummary;
};

const bump = (list: number[], index: number, by = 1): void => void (list[index] = (list[index] ?? 0) + by);
const ratios = (parts: readonly number[], wholes: readonly number[]): number[] =>
  parts.map((part, i) => part / Math.max(1, wholes[i] ?? 0));

/**
 * Starts counting records.
 *
 * @param options `maskId`: id of `[MASK]`; default the id that most often stands where another is to be predicted.
 * @returns The collector; memory does not grow with the number of records.
 * @example
 * ```ts
 * import { recordsSummarizer } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const int64 = (...values: number[]) => ({ type: "int64_list", values }) as const;
 * const summarizer = recordsSummarizer();
 * summarizer.add({
 *   input_ids: int64(2, 4, 3, 8, 3, 0), input_mask: int64(1, 1, 1, 1, 1, 0), segment_ids: int64(0, 0, 0, 1, 1, 0),
 *   token_boundary: int64(1, 1, 1, 1, 1, 0), masked_lm_positions: int64(1, 0), masked_lm_ids: int64(7, 0),
 *   masked_lm_weights: { type: "float_list", values: [1, 0] }, next_sentence_labels: int64(1),
 * });
 * const { maskRate, maskId, labels, replacements } = summarizer.finish();
 * assert.deepEqual([maskRate, maskId, labels, replacements.mask], [0.2, 4, [0, 1], 1]);
 * ```
 */
export function recordsSummarizer(
  { maskId }: { readonly maskId?: number | undefined } = {},
): RecordsSummarizer {
  let [records, tokens, positions, min, max, maxSeqLength, room, most, kept] = [
    0,
    0,
    0,
    Infinity,
    0,
    0,
    0,
    0,
    0,
  ];
  let predictions = 0;
  const zeros = (length: number): number[] => Array.from({ length }, () => 0);
  const [tenths, tenthsMasked] = [zeros(10), zeros(10)];
  const [words, wordsMasked, runs] = [zeros(8), zeros(8), zeros(8)];
  const labels: [number, number] = [0, 0];
  const replaced = new Map<number, number>();
  const ids = new Set<number>();
  const countWords = (boundary: readonly number[], masked: ReadonlySet<number>, length: number): void => {
    let run = 0;
    const endRun = (): void => {
      if (run > 0) bump(runs, Math.min(run, 8) - 1);
      run = 0;
    };
    for (let from = 0, to = 0; from < length; from = to) {
      let hit = masked.has(from);
      for (to = from + 1; to < length && boundary[to] === 0; to++) hit ||= masked.has(to);
      bump(words, Math.min(to - from, 8) - 1);
      if (!hit) endRun();
      else {
        run++;
        bump(wordsMasked, Math.min(to - from, 8) - 1);
      }
    }
    endRun();
  };
  return {
    add: (example) => {
      const input = valuesOf(example, "input_ids");
      const length = valuesOf(example, "input_mask").reduce((sum, one) => sum + one, 0);
      const weights = valuesOf(example, "masked_lm_weights");
      const original = valuesOf(example, "masked_lm_ids");
      const at = valuesOf(example, "masked_lm_positions").filter((_, i) => weights[i] === 1);
      if (records++ === 0) [maxSeqLength, room] = [input.length, weights.length];
      [min, max, most] = [Math.min(min, length), Math.max(max, length), Math.max(most, at.length)];
      tokens += length;
      positions += input.length;
      predictions += at.length;
      bump(labels, valuesOf(example, "next_sentence_labels")[0] === 0 ? 0 : 1);
      const tenth = (position: number): number =>
        Math.min(9, Math.floor(position * 10 / Math.max(1, input.length)));
      for (let i = 0; i < length; i++) {
        bump(tenths, tenth(i));
        ids.add(input[i] ?? 0);
      }
      for (const [i, position] of at.entries()) {
        bump(tenthsMasked, tenth(position));
        const [now, label] = [input[position] ?? 0, original[i] ?? 0];
        ids.add(label);
        if (now === label) kept++;
        else replaced.set(now, (replaced.get(now) ?? 0) + 1);
      }
      if (example["token_boundary"] !== undefined) {
        countWords(valuesOf(example, "token_boundary"), new Set(at), length);
      }
    },
    finish: () => {
      const mask = maskId ??
        [...replaced].reduce((best, next) => next[1] > best[1] ? next : best, [-1, 0])[0];
      const all = Math.max(1, predictions);
      const behindMask = replaced.get(mask) ?? 0;
      return {
        records,
        length: { min: records === 0 ? 0 : min, mean: tokens / Math.max(1, records), max },
        maxSeqLength,
        paddingShare: (positions - tokens) / Math.max(1, positions),
        predictions: { mean: predictions / Math.max(1, records), most, room },
        maskRate: predictions / Math.max(1, tokens),
        maskRateByPosition: ratios(tenthsMasked, tenths),
        maskRateByWordLength: ratios(wordsMasked, words),
        replacements: {
          mask: behindMask / all,
          kept: kept / all,
          random: (predictions - kept - behindMask) / all,
        },
        maskId: mask,
        runLengths: [...runs],
        labels: [...labels],
        distinctIds: ids.size,
      };
    },
  };
}
