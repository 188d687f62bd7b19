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
 * Figures over the records of a file; shares are from 0 to 1. A record is taken for `[CLS] A [SEP] B [SEP]`, and a word for what
 * `token_boundary` opens: specials are no words, and a piece behind `[SEP]` that opens none belongs to the word before, as
 * the reference masks it.
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
  /** Width of the bands below: a sixteenth of `maxSeqLength`, rounded up. */
  readonly bandWidth: number;
  /** Records by length: `[0]` has 1 to `bandWidth` tokens, and so on. */
  readonly lengths: readonly number[];
  /** Share of the positions that is padding. */
  readonly paddingShare: number;
  /** Predictions of a record, and room for them. */
  readonly predictions: { readonly mean: number; readonly most: number; readonly room: number };
  /** Share of the tokens to predict, specials counted. */
  readonly maskRate: number;
  /** The same by position: `[0]` is 0 to `bandWidth` - 1, and so on. */
  readonly maskRateByPosition: readonly number[];
  /** Words by their pieces: `[0]` is words of one piece; the last, of 8 and more. All 0 without `token_boundary`. */
  readonly wordLengths: readonly number[];
  /** Share of those words with a prediction. */
  readonly maskRateByWordLength: readonly number[];
  /** Share of the predictions behind `[MASK]`, behind the piece itself, behind another piece. */
  readonly replacements: { readonly mask: number; readonly kept: number; readonly random: number };
  /** Id that was taken for `[MASK]`; -1 when none was to be seen. */
  readonly maskId: number;
  /**
   * Runs of neighbouring predicted words by length, `[0]` single words; the last, 8 and more. A run is an n-gram, or
   * several that touch: a record does not say where one ends.
   */
  readonly runLengths: readonly number[];
  /** Records with `next_sentence_labels` 0 and 1. */
  readonly labels: readonly [number, number];
  /** Different ids of the text: of the inputs with their masks undone, without padding. */
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

/** Counts from here on share one entry: words of so many pieces, runs of so many words. */
const LONGEST = 8;

/** Adds one at an index; a list that is too short grows. */
const bump = (list: number[], index: number): void => {
  while (list.length <= index) list.push(0);
  list[index] = (list[index] ?? 0) + 1;
};
const zeros = (length: number): number[] => Array.from({ length }, () => 0);
const ratios = (parts: readonly number[], wholes: readonly number[]): number[] =>
  wholes.map((whole, i) => (parts[i] ?? 0) / Math.max(1, whole));

/** What a record says, as numbers. */
type Numbers = {
  readonly input: readonly number[];
  /** Positions that are no padding. */
  readonly real: readonly number[];
  /** Positions to predict, and the ids that stood there. */
  readonly predicted: ReadonlyMap<number, number>;
  readonly segments: readonly number[];
  /** Empty when the record has none. */
  readonly boundary: readonly number[];
};

function numbersOf(example: Example): Numbers {
  const [positions, originals] = [
    valuesOf(example, "masked_lm_positions"),
    valuesOf(example, "masked_lm_ids"),
  ];
  const predicted = new Map<number, number>();
  valuesOf(example, "masked_lm_weights").forEach((weight, i) => {
    if (weight > 0) predicted.set(positions[i] ?? 0, originals[i] ?? 0);
  });
  return {
    input: valuesOf(example, "input_ids"),
    real: valuesOf(example, "input_mask").flatMap((one, at) => one === 1 ? [at] : []),
    predicted,
    segments: valuesOf(example, "segment_ids"),
    boundary: valuesOf(example, "token_boundary"),
  };
}

/** Counts words and runs of predicted ones. */
function wordCounter() {
  const [words, hits, runs] = [zeros(LONGEST), zeros(LONGEST), zeros(LONGEST)];
  const add = ({ real, predicted, segments, boundary }: Numbers): void => {
    const behind = real.find((at) => segments[at] === 1) ?? -1;
    const specials = [real[0], behind - 1, real[real.length - 1]];
    let [size, hit, run] = [0, false, 0];
    const endRun = (): void => {
      if (run > 0) bump(runs, Math.min(run, LONGEST) - 1);
      run = 0;
    };
    const endWord = (): void => {
      if (size === 0) return;
      bump(words, Math.min(size, LONGEST) - 1);
      if (hit) bump(hits, Math.min(size, LONGEST) - 1);
      if (hit) run++;
      else endRun();
      [size, hit] = [0, false];
    };
    for (const at of real) {
      if (specials.includes(at)) continue;
      if (boundary[at] === 1) endWord();
      size++;
      hit ||= predicted.has(at);
    }
    endWord();
    endRun();
  };
  return { words, hits, runs, add };
}

/** Counts what stands where a piece is to be predicted. */
function replacementCounter() {
  let [kept, all] = [0, 0];
  const others = new Map<number, number>(); // by the id that stands there
  const add = ({ input, predicted }: Numbers): void => {
    for (const [at, original] of predicted) {
      const now = input[at] ?? 0;
      all++;
      if (now === original) kept++;
      else others.set(now, (others.get(now) ?? 0) + 1);
    }
  };
  /** Shares, when `maskId`, or else the commonest of the others, is `[MASK]`. */
  const shares = (maskId: number | undefined): Pick<RecordsSummary, "replacements" | "maskId"> => {
    const mask = maskId ?? [...others].reduce((best, next) => next[1] > best[1] ? next : best, [-1, 0])[0];
    const hidden = others.get(mask) ?? 0;
    const [whole, random] = [Math.max(1, all), all - kept - hidden];
    return {
      replacements: { mask: hidden / whole, kept: kept / whole, random: random / whole },
      maskId: mask,
    };
  };
  return { add, shares };
}

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
 * const { maskRate, maskId, labels, replacements, wordLengths } = summarizer.finish();
 * assert.deepEqual([maskRate, maskId, labels, replacements.mask, wordLengths[0]], [0.2, 4, [0, 1], 1, 2]);
 * ```
 */
export function recordsSummarizer(
  { maskId }: { readonly maskId?: number | undefined } = {},
): RecordsSummarizer {
  let [records, tokens, positions, predictions] = [0, 0, 0, 0];
  let [min, max, most] = [Infinity, 0, 0];
  let [maxSeqLength, room, bandWidth] = [0, 0, 1];
  const lengths: number[] = [];
  const [inBand, predictedInBand]: [number[], number[]] = [[], []];
  const labels: [number, number] = [0, 0];
  const ids = new Set<number>();
  const words = wordCounter();
  const replaced = replacementCounter();
  const begin = (input: number, predictionsRoom: number): void => {
    [maxSeqLength, room, bandWidth] = [input, predictionsRoom, Math.max(1, Math.ceil(input / 16))];
    for (const bands of [lengths, inBand, predictedInBand]) {
      bands.push(...zeros(Math.ceil(input / bandWidth)));
    }
  };
  const bandOf = (position: number): number => Math.floor(position / bandWidth);
  return {
    add: (example) => {
      const numbers = numbersOf(example);
      const { input, real, predicted } = numbers;
      if (records++ === 0) begin(input.length, valuesOf(example, "masked_lm_weights").length);
      [min, max] = [Math.min(min, real.length), Math.max(max, real.length)];
      most = Math.max(most, predicted.size);
      tokens += real.length;
      positions += input.length;
      predictions += predicted.size;
      bump(lengths, bandOf(Math.max(0, real.length - 1)));
      const label = valuesOf(example, "next_sentence_labels")[0];
      if (label === 0 || label === 1) labels[label]++;
      for (const at of real) {
        bump(inBand, bandOf(at));
        if (predicted.has(at)) bump(predictedInBand, bandOf(at));
        ids.add(predicted.get(at) ?? input[at] ?? 0);
      }
      replaced.add(numbers);
      if (numbers.boundary.length > 0) words.add(numbers);
    },
    finish: () => ({
      records,
      length: { min: records === 0 ? 0 : min, mean: tokens / Math.max(1, records), max },
      maxSeqLength,
      bandWidth,
      lengths: [...lengths],
      paddingShare: (positions - tokens) / Math.max(1, positions),
      predictions: { mean: predictions / Math.max(1, records), most, room },
      maskRate: predictions / Math.max(1, tokens),
      maskRateByPosition: ratios(predictedInBand, inBand),
      wordLengths: [...words.words],
      maskRateByWordLength: ratios(words.hits, words.words),
      ...replaced.shares(maskId),
      runLengths: [...words.runs],
      labels: [...labels],
      distinctIds: ids.size,
    }),
  };
}
