/**
 * Batches: examples in a seeded order, stacked into typed arrays. The order of the reference's input pipeline cannot be
 * reproduced (it is unseeded); here the same seed gives the same order, and a saved position goes on from the same
 * record.
 *
 * Shuffling takes a random record out of a buffer that the source keeps filled, the way of tf.data. The draw of record n
 * depends on seed and n only, so a position is a count: reading again up to it restores the buffer.
 */
import { hashBits } from "../tensor/mod.ts";

/**
 * One record as arrays, named as in the file. S is the sequence length, P the number of predictions.
 *
 * @example
 * ```ts
 * import type { TrainingExample } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const example: TrainingExample = {
 *   input_ids: Int32Array.of(2, 4, 3, 8, 3),
 *   input_mask: Int32Array.of(1, 1, 1, 1, 1),
 *   segment_ids: Int32Array.of(0, 0, 0, 1, 1),
 *   masked_lm_positions: Int32Array.of(1),
 *   masked_lm_ids: Int32Array.of(9),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * };
 * assert.equal(example.input_ids.length, 5);
 * ```
 */
export type TrainingExample = {
  /** [S], padded with 0. */
  readonly input_ids: Int32Array;
  /** [S], 1 for a piece, 0 for padding. */
  readonly input_mask: Int32Array;
  /** [S], 0 for segment A, 1 for segment B. */
  readonly segment_ids: Int32Array;
  /** [P], padded with 0. */
  readonly masked_lm_positions: Int32Array;
  /** [P], the pieces that stood there. */
  readonly masked_lm_ids: Int32Array;
  /** [P], 1 for a prediction, 0 for padding. */
  readonly masked_lm_weights: Float32Array;
  /** [1], 0 in order, 1 swapped or random. */
  readonly next_sentence_labels: Int32Array;
};

/**
 * A source of examples that can be read again from its start: an array, or a function that opens a stream.
 *
 * @example
 * ```ts
 * import { readBatches, type TrainingExamples } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const empty: TrainingExamples = () => [];
 * for await (const _ of readBatches(empty, { batchSize: 1 })) assert.fail();
 * ```
 */
export type TrainingExamples =
  | readonly TrainingExample[]
  | (() => AsyncIterable<TrainingExample> | Iterable<TrainingExample>);

/**
 * Examples stacked: B rows of each array, row-major.
 *
 * @example
 * ```ts
 * import type { Batch } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const rows = ({ size, input_ids }: Batch): number => input_ids.length / size;
 * assert.equal(typeof rows, "function");
 * ```
 */
export type Batch = TrainingExample & {
  /** Examples in the batch, B. */
  readonly size: number;
  /** Examples read before this batch and with it, counted over all epochs. */
  readonly position: number;
};

/**
 * Options of `readBatches`.
 *
 * @example
 * ```ts
 * import type { BatchOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const training: BatchOptions = { batchSize: 16, repeat: true, shuffleBuffer: 100, seed: 1 };
 * assert.equal(training.batchSize, 16);
 * ```
 */
export type BatchOptions = {
  /** Examples in a batch. */
  readonly batchSize: number;
  /** Read the source again and again, default false. */
  readonly repeat?: boolean;
  /** Examples in the shuffle buffer; 0 or 1 keeps the order, the default. */
  readonly shuffleBuffer?: number;
  /** Seed of the order, default 0. */
  readonly seed?: number;
  /** Leave out a last batch that is not full, default false. */
  readonly dropRemainder?: boolean;
  /** Examples to skip: the `position` of the last batch that was used, default 0. */
  readonly position?: number;
};

const keys = [
  "input_ids",
  "input_mask",
  "segment_ids",
  "masked_lm_positions",
  "masked_lm_ids",
  "masked_lm_weights",
  "next_sentence_labels",
] as const;

/** Hands out examples in shuffled order: example n comes from a random place of the buffer, drawn by hash of seed and n. */
function openShuffle(size: number, seed: number) {
  const buffer: TrainingExample[] = [];
  let n = 0;
  const take = (): TrainingExample => {
    const bits = hashBits(seed >>> 0, Math.floor(seed / 2 ** 32) ^ 0x5bd1e995, n++);
    const place = Math.floor(bits / 2 ** 32 * buffer.length);
    const taken = buffer[place] as TrainingExample;
    const last = buffer.pop() as TrainingExample;
    if (place < buffer.length) buffer[place] = last;
    return taken;
  };
  return {
    /** Takes one in; gives one out when the buffer is full. */
    push: (example: TrainingExample): TrainingExample | undefined => {
      if (size <= 1) return example;
      buffer.push(example);
      return buffer.length >= size ? take() : undefined;
    },
    /** Gives out the rest. */
    rest: (): TrainingExample[] => Array.from({ length: buffer.length }, take),
  };
}

/** Stacks examples of equal lengths. */
export function stackExamples(examples: readonly TrainingExample[], position: number = 0): Batch {
  const first = examples[0];
  if (first === undefined) throw new RangeError("Cannot make a batch: there is no example");
  const stacked: Partial<Record<(typeof keys)[number], Int32Array | Float32Array>> = {};
  for (const key of keys) {
    const width = first[key].length;
    const values = key === "masked_lm_weights"
      ? new Float32Array(width * examples.length)
      : new Int32Array(width * examples.length);
    examples.forEach((example, row) => {
      if (example[key].length !== width) {
        throw new RangeError(
          `Cannot make a batch: ${key} has ${width} values in one example and ${
            example[key].length
          } in another`,
        );
      }
      values.set(example[key], row * width);
    });
    stacked[key] = values;
  }
  return { ...stacked as unknown as TrainingExample, size: examples.length, position };
}

/**
 * Reads examples in batches.
 *
 * @param source Examples that can be read from the start again.
 * @param options Size, repetition, shuffling, position.
 * @returns Batches, each with its own arrays; the same options give the same batches.
 * @throws {RangeError} When the batch size is no positive count, examples differ in length or a repeated source is empty.
 * @example
 * ```ts
 * import { readBatches, type TrainingExample } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const example = (id: number): TrainingExample => ({
 *   input_ids: Int32Array.of(id),
 *   input_mask: Int32Array.of(1),
 *   segment_ids: Int32Array.of(0),
 *   masked_lm_positions: Int32Array.of(0),
 *   masked_lm_ids: Int32Array.of(id),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * });
 * const seen: number[][] = [];
 * for await (const batch of readBatches([1, 2, 3].map(example), { batchSize: 2 })) seen.push([...batch.input_ids]);
 * assert.deepEqual(seen, [[1, 2], [3]]);
 * ```
 */
export async function* readBatches(
  source: TrainingExamples,
  {
    batchSize,
    repeat = false,
    shuffleBuffer = 0,
    seed = 0,
    dropRemainder = false,
    position = 0,
  }: BatchOptions,
): AsyncGenerator<Batch> {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`Cannot read batches: batchSize must be a whole number from 1, it is ${batchSize}`);
  }
  const { push, rest } = openShuffle(shuffleBuffer, seed);
  let rows: TrainingExample[] = [];
  let read = 0;
  // One generator and no chain of them: a hop of an async generator costs as much as stacking a record.
  const add = (example: TrainingExample | undefined): Batch | undefined => {
    if (example === undefined || ++read <= position) return undefined;
    rows.push(example);
    if (rows.length < batchSize) return undefined;
    const batch = stackExamples(rows, read);
    rows = [];
    return batch;
  };
  do {
    let count = 0;
    if (typeof source === "function") {
      for await (const example of source()) {
        count++;
        const batch = add(push(example));
        if (batch !== undefined) yield batch;
      }
    } else {
      for (const example of source) {
        count++;
        const batch = add(push(example));
        if (batch !== undefined) yield batch;
      }
    }
    if (count === 0 && repeat) {
      throw new RangeError("Cannot read batches: the source holds no example; make records first");
    }
  } while (repeat);
  for (const example of rest()) {
    const batch = add(example);
    if (batch !== undefined) yield batch;
  }
  if (rows.length > 0 && !dropRemainder) yield stackExamples(rows, read);
}
