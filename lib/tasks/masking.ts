/**
 * The masked language model task: which tokens are hidden, and behind what. Words are runs of pieces, candidates are
 * n-grams of words, and every decision is one draw in the reference's order. Source: ALBERT paper, section 4.1;
 * `create_masked_lm_predictions` of the reference.
 */
import { ngramCdf, roundHalfEven } from "../random.ts";
import { checkedTasks, type Generators, type MaskingConfig } from "./config.ts";
import { type PieceTable, pieceTable, type PieceTableOptions } from "./piece_table.ts";
import type { TaskVocabulary } from "./pieces.ts";

/** Masks sequences of piece numbers in place; the result of the last call stands in the arrays. */
export type Masker = {
  /** Masks `tokens[0 .. length - 1]` and returns the number of predictions. */
  readonly mask: (tokens: Int32Array, length: number) => number;
  /** Positions to predict, ascending. */
  readonly positions: Int32Array;
  /** Original piece numbers at those positions. */
  readonly labels: Int32Array;
  /** 1 where a word or a special stands, by position. */
  readonly boundary: Uint8Array;
};

/** Words of a sequence: word w is the positions flat[starts[w] .. starts[w + 1] - 1]. */
type Words = { readonly flat: Int32Array; readonly starts: Int32Array };

/** What a piece is to the words of a sequence: part of the last one. */
export const CONTINUATION = 0;
const START = 1;
const SPECIAL = 2; // belongs to no word

/** What each piece number is, as one look-up. */
export function pieceKinds(table: PieceTable): Uint8Array {
  return Uint8Array.from({ length: table.limit() }, (_, id) => {
    if (id === table.cls || id === table.sep) return SPECIAL;
    return table.isStart(id) ? START : CONTINUATION;
  });
}

/** Finds words and word starts; returns the number of words. */
function findWords(
  tokens: Int32Array,
  length: number,
  kinds: Uint8Array,
  wholeWords: boolean,
  { flat, starts }: Words,
  boundary: Uint8Array,
): number {
  let words = 0;
  let used = 0;
  for (let at = 0; at < length; at++) {
    const kind = kinds[tokens[at]!]; // in range: below length
    boundary[at] = kind === CONTINUATION ? 0 : 1;
    if (kind === SPECIAL) continue;
    // A continuation joins the last word, even one before a [SEP]: the reference does so.
    if (kind === START || !wholeWords || words === 0) starts[words++] = used;
    flat[used++] = at;
  }
  starts[words] = used;
  return words;
}

/**
 * Visits the candidates (n-grams that begin at a word) in order until `budget` positions are taken. An n-gram that is
 * too long is shortened, one that touches a covered position is dropped; a length is drawn for each in any case.
 */
function selectNgrams(
  candidates: Int32Array,
  { flat, starts }: Words,
  covered: Uint8Array,
  budget: number,
  draw: () => number,
  take: (position: number) => void,
): void {
  const words = candidates.length;
  let taken = 0;
  for (let i = 0; i < words && taken < budget; i++) {
    const word = candidates[i] ?? 0;
    let k = draw();
    const from = starts[word] ?? 0;
    let to = starts[Math.min(word + k, words)] ?? 0;
    while (taken + to - from > budget && k > 1) to = starts[Math.min(word + --k, words)] ?? 0;
    if (taken + to - from > budget) continue;
    let free = true;
    for (let at = from; at < to && free; at++) free = covered[flat[at] ?? 0] === 0;
    if (!free) continue;
    for (let at = from; at < to; at++) take(flat[at] ?? 0);
    taken += to - from;
  }
}

/** A masker for sequences of at most `capacity` tokens; its buffers are made once. */
export function createMasker(
  table: PieceTable,
  { python, numpy }: Generators,
  config: MaskingConfig,
  capacity: number,
): Masker {
  const positions = new Int32Array(capacity);
  const labels = new Int32Array(capacity);
  const boundary = new Uint8Array(capacity);
  const covered = new Uint8Array(capacity); // 1: a prediction stands here
  const labelAt = new Int32Array(capacity);
  const order = new Int32Array(capacity);
  const words: Words = { flat: new Int32Array(capacity), starts: new Int32Array(capacity + 1) };
  const kinds = pieceKinds(table);
  const cdf = ngramCdf(config.ngram, config.favor_shorter_ngram);
  const drawLength = (): number => 1 + numpy.choice(cdf);

  const mask = (tokens: Int32Array, length: number): number => {
    const count = findWords(tokens, length, kinds, config.do_whole_word_mask, words, boundary);
    if (config.masked_lm_prob === 0) return 0;
    const share = Math.max(1, roundHalfEven(length * config.masked_lm_prob));
    const budget = Math.min(config.max_predictions_per_seq, share);
    covered.fill(0, 0, length);
    const candidates = order.subarray(0, count);
    for (let word = 0; word < count; word++) candidates[word] = word;
    python.shuffle(candidates);
    selectNgrams(candidates, words, covered, budget, drawLength, (position) => {
      const token = tokens[position] ?? 0;
      covered[position] = 1;
      labelAt[position] = token;
      if (python.random() < 0.8) tokens[position] = table.mask;
      else if (python.random() >= 0.5) tokens[position] = python.randint(0, table.size - 1);
    });
    python.shuffle(candidates); // always, also without permutation
    if (config.do_permutation) permute(tokens, candidates, budget);
    return collect(length);
  };

  const permute = (tokens: Int32Array, candidates: Int32Array, budget: number): void => {
    const selected: number[] = [];
    selectNgrams(candidates, words, covered, budget, drawLength, (position) => {
      covered[position] = 1;
      labelAt[position] = tokens[position] ?? 0;
      selected.push(position);
    });
    selected.sort((a, b) => a - b);
    const shuffled = [...selected];
    python.shuffle(shuffled);
    for (let j = 0; j < selected.length; j++) tokens[selected[j] ?? 0] = labelAt[shuffled[j] ?? 0] ?? 0;
  };

  const collect = (length: number): number => {
    let count = 0;
    for (let at = 0; at < length; at++) {
      if (covered[at] === 0) continue;
      positions[count] = at;
      labels[count++] = labelAt[at] ?? 0;
    }
    return count;
  };

  return { mask, positions, labels, boundary };
}

/**
 * A masked sequence as texts.
 *
 * @example
 * ```ts
 * import type { MaskedTokens } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const masked: MaskedTokens = {
 *   tokens: ["[CLS]", "[MASK]", "[SEP]"],
 *   positions: [1],
 *   labels: ["▁a"],
 *   boundary: [1, 1, 1],
 * };
 * assert.equal(masked.labels[0], "▁a");
 * ```
 */
export type MaskedTokens = {
  /** The tokens after masking. */
  readonly tokens: string[];
  /** Positions to predict, ascending (`masked_lm_positions`). */
  readonly positions: number[];
  /** The tokens that stood there (`masked_lm_ids` as texts). */
  readonly labels: string[];
  /** 1 where a word starts or a special stands (`token_boundary`). */
  readonly boundary: number[];
};

/**
 * Masks one sequence: 15 % of its tokens in n-grams of whole words, each token hidden in 8 of 10 cases, kept in one
 * and replaced by a random piece in one.
 *
 * @param tokens The sequence with `[CLS]` and `[SEP]`.
 * @param vocabulary The tokenizer's pieces; random replacements come from all of them.
 * @param random Both generators; their state moves on exactly as in the reference.
 * @param options Flags of masking and the style of the pieces; the reference's defaults.
 * @returns The masked tokens, the positions to predict, their labels and the word starts.
 * @throws {RangeError} When a flag is out of range; all mistakes are named.
 * @example
 * ```ts
 * import { createMaskedLmPredictions, generators } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁un", "able", "▁to", "▁go"];
 * const vocabulary = { size: 9, idOf: (p: string) => pieces.indexOf(p), pieceOf: (id: number) => pieces[id] ?? "" };
 * const tokens = ["[CLS]", "▁un", "able", "[SEP]", "▁to", "▁go", "[SEP]"];
 * const masked = createMaskedLmPredictions(tokens, vocabulary, generators(), { masked_lm_prob: 0.3 });
 * assert.deepEqual(masked.boundary, [1, 1, 0, 1, 1, 1, 1]);
 * assert.equal(masked.positions.length, 2); // round(7 x 0.3)
 * assert.deepEqual(masked.labels, masked.positions.map((at) => tokens[at]));
 * ```
 */
export function createMaskedLmPredictions(
  tokens: readonly string[],
  vocabulary: TaskVocabulary,
  random: Generators,
  options: Partial<MaskingConfig> & PieceTableOptions = {},
): MaskedTokens {
  const config = checkedTasks("mask a sequence", options);
  const table = pieceTable(vocabulary, options);
  const ids = Int32Array.from(tokens, (token) => table.idOf(token));
  const masker = createMasker(table, random, config, ids.length);
  const count = masker.mask(ids, ids.length);
  return {
    tokens: Array.from(ids, (id) => table.pieceOf(id)),
    positions: [...masker.positions.subarray(0, count)],
    labels: Array.from(masker.labels.subarray(0, count), (id) => table.pieceOf(id)),
    boundary: [...masker.boundary.subarray(0, ids.length)],
  };
}
