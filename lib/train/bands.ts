/**
 * Where a model is good and where not: the predictions on `[MASK]` positions sorted into bands by how frequent the hidden
 * piece is, by how frequent its word is, and by how many letters the word has.
 */
import { isStartPieceUnicode } from "../tasks/mod.ts";
import type { TrainingExample, TrainingExamples } from "./batches.ts";
import { addRecord, aroundShare, emptyRatio, estimate, type Ratio } from "./ratio.ts";

/**
 * Predictions on `[MASK]` positions that have something in common.
 *
 * @example
 * ```ts
 * import type { MetricBand } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const unseen = ({ band }: MetricBand): boolean => band === "never counted";
 * assert.equal(typeof unseen, "function");
 * ```
 */
export type MetricBand = {
  /** Ranks by frequency, 1 the most frequent (`1-10`, `11-100` ..., `never counted`), or letters of the word. */
  readonly band: string;
  /** Predictions in the band. */
  readonly predictions: number;
  /** Share right, and its 95 % interval (Wilson's, over records as those of the metrics). */
  readonly accuracy: number;
  readonly accuracy_interval: readonly [number, number];
  /** Mean loss, nats. */
  readonly loss: number;
};

const rankEdges = [10, 100, 1000, 10000, Infinity];
const rankNames = [
  ...["1-10", "11-100", "101-1,000", "1,001-10,000", "10,001 and more"],
  "never counted",
];
const rankBand = (rank: number): number => rankEdges.findIndex((edge) => rank <= edge);

const lengthEdges = [0, 2, 4, 6, 9, Infinity];
const lengthNames = ["no letters", "1-2", "3-4", "5-6", "7-9", "10 and more"];

/** Letters, marks and digits of a word. */
const lettersOf = (word: string): number => word.match(/[\p{L}\p{M}\p{N}]/gu)?.length ?? 0;

const specials = new Set(["[CLS]", "[SEP]", "[MASK]", "<pad>", "[PAD]", ""]);

/** The word around each position, pieces joined; a special or padding is a word of its own. */
function wordsAround(ids: ArrayLike<number>, pieceOf: (id: number) => string): string[] {
  const words: string[] = [];
  let from = 0;
  const close = (to: number, word: string): void => {
    for (let i = from; i < to; i++) words[i] = word;
    from = to;
  };
  let word = "";
  for (let i = 0; i < ids.length; i++) {
    const piece = pieceOf(ids[i] ?? 0);
    const continues = piece.startsWith("##") || (!specials.has(piece) && !isStartPieceUnicode(piece));
    if (!continues || specials.has(word)) {
      close(i, word);
      word = piece;
    } else word += piece.replace(/^##/, "");
  }
  close(ids.length, word);
  return words.map((each) => each.replace(/^▁/, ""));
}

/** The pieces before masking. */
export function originalPieces(
  { input_ids, masked_lm_positions, masked_lm_ids, masked_lm_weights }: TrainingExample,
): Int32Array {
  const pieces = Int32Array.from(input_ids);
  masked_lm_positions.forEach((position, i) => {
    if ((masked_lm_weights[i] ?? 0) > 0) pieces[position] = masked_lm_ids[i] ?? 0;
  });
  return pieces;
}

/** Ranks by count, 1 the most frequent; equal counts in order of appearance. */
function ranksOf<Key>(counts: ReadonlyMap<Key, number>): Map<Key, number> {
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return new Map(sorted.map(([key], i) => [key, i + 1]));
}

const countOne = <Key>(counts: Map<Key, number>, key: Key): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};

type Sums = { readonly loss: Ratio; readonly right: Ratio };
type Table = { readonly names: readonly string[]; readonly sums: readonly Sums[] };

/** One prediction on a `[MASK]` position. */
type Hit = { readonly at: number; readonly label: number; readonly loss: number; readonly right: number };

/** Collects predictions record by record. */
export type Bands = {
  readonly addRecord: (example: TrainingExample, hits: readonly Hit[]) => void;
  readonly result: () => {
    readonly by_piece_frequency: readonly MetricBand[];
    readonly by_word_frequency?: readonly MetricBand[];
    readonly by_word_length?: readonly MetricBand[];
  };
};

const tableOf = (names: readonly string[]): Table => ({
  names,
  sums: names.map(() => ({ loss: emptyRatio(), right: emptyRatio() })),
});

function addTo({ names, sums }: Table, bands: readonly number[], hits: readonly Hit[]): void {
  const own = names.map(() => ({ loss: 0, right: 0, n: 0 }));
  hits.forEach(({ loss, right }, i) => {
    const band = own[bands[i] ?? 0];
    if (band === undefined) return;
    band.loss += loss;
    band.right += right;
    band.n++;
  });
  own.forEach(({ loss, right, n }, i) => {
    const sum = sums[i];
    if (sum === undefined) return;
    addRecord(sum.loss, loss, n);
    addRecord(sum.right, right, n);
  });
}

function bandsOf({ names, sums }: Table): MetricBand[] {
  return sums.flatMap(({ loss, right }, i) => {
    if (right.w === 0) return [];
    return [{
      band: names[i] ?? "",
      predictions: right.w,
      accuracy: estimate(right).value,
      accuracy_interval: aroundShare(right),
      loss: estimate(loss).value,
    }];
  });
}

/** Counts the labels (and with `pieceOf` the words) of the examples, and returns empty bands. */
export async function makeBands(
  countOn: TrainingExamples,
  pieceOf: ((id: number) => string) | undefined,
): Promise<Bands> {
  const [labels, words] = [new Map<number, number>(), new Map<string, number>()];
  for await (const example of typeof countOn === "function" ? countOn() : countOn) {
    example.masked_lm_ids.forEach((id, i) => {
      if ((example.masked_lm_weights[i] ?? 0) > 0) countOne(labels, id);
    });
    if (pieceOf === undefined) continue;
    const around = wordsAround(originalPieces(example), pieceOf);
    around.forEach((word, i) => {
      if (around[i - 1] !== word && !specials.has(word)) countOne(words, word);
    });
  }
  const [labelRanks, wordRanks] = [ranksOf(labels), ranksOf(words)];
  const rank = <Key>(ranks: Map<Key, number>, key: Key): number => {
    const found = ranks.get(key);
    return found === undefined ? rankEdges.length : rankBand(found);
  };
  const [byPiece, byWord, byLength] = [tableOf(rankNames), tableOf(rankNames), tableOf(lengthNames)];
  return {
    addRecord: (example, hits) => {
      addTo(byPiece, hits.map(({ label }) => rank(labelRanks, label)), hits);
      if (pieceOf === undefined) return;
      const around = wordsAround(originalPieces(example), pieceOf);
      const own = hits.map(({ at }) => around[at] ?? "");
      addTo(byWord, own.map((word) => rank(wordRanks, word)), hits);
      addTo(byLength, own.map((word) => lengthEdges.findIndex((edge) => lettersOf(word) <= edge)), hits);
    },
    result: () => ({
      by_piece_frequency: bandsOf(byPiece),
      ...(pieceOf === undefined
        ? {}
        : { by_word_frequency: bandsOf(byWord), by_word_length: bandsOf(byLength) }),
    }),
  };
}
