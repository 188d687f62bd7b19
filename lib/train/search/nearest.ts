/**
 * The nearest of many vectors by cosine: every one is looked at, in blocks whose rows stay in the cache while all queries go
 * over them. For the corpora of the guide (some 30,000 sentences) that takes milliseconds, so there is no index to build.
 */
import type { SentenceVectors } from "./vectors.ts";

/**
 * One found vector.
 *
 * @example
 * ```ts
 * import type { Neighbour } from "albert-guide";
 *
 * const best: Neighbour = { index: 17, similarity: 0.93 };
 * ```
 */
export type Neighbour = {
  /** Which vector, from 0. */
  readonly index: number;
  /** Cosine, −1 to 1. */
  readonly similarity: number;
};

/**
 * Vectors moved so that their mean is zero. Mean-pooled vectors of a language model share a large common part, which lifts
 * every cosine towards 1; without it the cosines tell sentences apart (Mu and Viswanath 2018, arXiv 1702.01417).
 *
 * @param vectors The vectors to move.
 * @param mean What to subtract, such as the mean of a corpus for queries to it; default their own mean.
 * @returns New vectors, and the mean that was subtracted.
 * @throws {RangeError} When the mean has another length.
 * @example
 * ```ts
 * import { centredVectors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { values, mean } = centredVectors({ values: Float32Array.of(1, 5, 3, 7), dimension: 2, size: 2 });
 * assert.deepEqual([[...mean], [...values]], [[2, 6], [-1, -1, 1, 1]]);
 * ```
 */
export function centredVectors(
  { values, dimension, size }: SentenceVectors,
  mean: Float32Array = meanOf(values, dimension, size),
): SentenceVectors & { readonly mean: Float32Array } {
  if (mean.length !== dimension) {
    throw new RangeError(`Cannot centre vectors of ${dimension} values by a mean of ${mean.length}`);
  }
  const moved = values.map((value, i) => value - (mean[i % dimension] ?? 0));
  return { values: moved, dimension, size, mean };
}

function meanOf(values: Float32Array, dimension: number, size: number): Float32Array {
  const sums = new Float64Array(dimension);
  for (let i = 0; i < size * dimension; i++) {
    sums[i % dimension] = (sums[i % dimension] ?? 0) + (values[i] ?? 0);
  }
  return Float32Array.from(sums, (sum) => sum / size);
}

/** Rows of length 1; a row of zeros stays. */
function unitRows({ values, dimension, size }: SentenceVectors): Float32Array {
  const unit = new Float32Array(size * dimension);
  for (let row = 0; row < size; row++) {
    let square = 0;
    for (let i = row * dimension; i < (row + 1) * dimension; i++) square += (values[i] ?? 0) ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = row * dimension; i < (row + 1) * dimension; i++) unit[i] = (values[i] ?? 0) * scale;
  }
  return unit;
}

/** Puts a neighbour into a list that stays sorted and short. */
function insert(list: Neighbour[], found: Neighbour, most: number): void {
  if (list.length === most && found.similarity <= (list[most - 1]?.similarity ?? -Infinity)) return;
  let at = list.length;
  while (at > 0 && (list[at - 1]?.similarity ?? 0) < found.similarity) at--;
  list.splice(at, 0, found);
  if (list.length > most) list.pop();
}

/**
 * Finds the nearest vectors of each query by cosine.
 *
 * @param queries Vectors to look for.
 * @param corpus Vectors to look in.
 * @param options `topK`: how many, default 5; `blockSize`: rows of the corpus at a time, default 256.
 * @returns For each query its neighbours, nearest first; of equal ones the earlier first.
 * @throws {RangeError} When the lengths of the vectors differ, or a count is no whole number from 1.
 * @example
 * ```ts
 * import { nearestVectors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const corpus = { values: Float32Array.of(1, 0, 0, 2, 1, 1), dimension: 2, size: 3 };
 * const query = { values: Float32Array.of(0, 1), dimension: 2, size: 1 };
 * assert.deepEqual(nearestVectors(query, corpus, { topK: 2 })[0]?.map(({ index }) => index), [1, 2]);
 * ```
 */
export function nearestVectors(
  queries: SentenceVectors,
  corpus: SentenceVectors,
  { topK = 5, blockSize = 256 }: { readonly topK?: number; readonly blockSize?: number } = {},
): Neighbour[][] {
  const { dimension } = corpus;
  if (queries.dimension !== dimension) {
    throw new RangeError(
      `Cannot search: queries have ${queries.dimension} values a vector, the corpus ${dimension}`,
    );
  }
  for (const [name, value] of Object.entries({ topK, blockSize })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`Cannot search: ${name} must be a whole number from 1, it is ${value}`);
    }
  }
  const [a, b] = [unitRows(queries), unitRows(corpus)];
  const found = Array.from({ length: queries.size }, (): Neighbour[] => []);
  for (let from = 0; from < corpus.size; from += blockSize) {
    const to = Math.min(from + blockSize, corpus.size);
    found.forEach((list, query) => {
      const start = query * dimension;
      for (let index = from; index < to; index++) {
        let similarity = 0;
        for (let i = 0, at = index * dimension; i < dimension; i++, at++) {
          similarity += (a[start + i] ?? 0) * (b[at] ?? 0);
        }
        insert(list, { index, similarity }, topK);
      }
    });
  }
  return found;
}
