/**
 * Batches: examples in a seeded order, stacked into typed arrays. The order of the reference's input pipeline cannot be
 * reproduced (it is unseeded); here the same seed gives the same order, and a saved position goes on from the same
 * record.
 *
 * Shuffling takes a random record out of a buffer that the source keeps filled, the way of tf.data. The draw of record n
 * depends on seed and n only, so a position is a count: drawing again up to it, over numbers, tells which records are in
 * the buffer, and only those and the later ones are decoded.
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
 * A source of examples that can be read again from its start: an array, or a function that opens a stream. A function may
 * be told which examples are wanted, by their number from 0, when a run goes on far inside; in place of the others it may
 * hand out undefined, which spares decoding them.
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
export type TrainingExamples = Examples<TrainingExample>;

/** The same for records of any arrays. */
export type Examples<Example extends object> =
  | readonly Example[]
  | {
    (): AsyncIterable<Example> | Iterable<Example>;
    (wanted: (example: number) => boolean):
      | AsyncIterable<Example | undefined>
      | Iterable<Example | undefined>;
  };

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
export type Batch = BatchOf<TrainingExample>;

/** The same for records of any arrays. */
export type BatchOf<Example extends object> = Example & {
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
  /** Names of the arrays to stack, default those of `TrainingExample`; others stay behind. */
  readonly arrays?: readonly string[];
  /** Examples to skip: the `position` of the last batch that was used, default 0. */
  readonly position?: number;
};

const recordArrays: readonly (keyof TrainingExample)[] = [
  "input_ids",
  "input_mask",
  "segment_ids",
  "masked_lm_positions",
  "masked_lm_ids",
  "masked_lm_weights",
  "next_sentence_labels",
];

/** Hands out values in shuffled order: value n comes from a random place of the buffer, drawn by hash of seed and n. */
function openShuffle<Value>(size: number, seed: number, buffer: Value[] = [], drawn: number = 0) {
  let n = drawn;
  const take = (): Value => {
    const bits = hashBits(seed >>> 0, Math.floor(seed / 2 ** 32) ^ 0x5bd1e995, n++);
    const place = Math.floor(bits / 2 ** 32 * buffer.length);
    const taken = buffer[place] as Value;
    const last = buffer.pop() as Value;
    if (place < buffer.length) buffer[place] = last;
    return taken;
  };
  return {
    /** Takes one in; gives one out when the buffer is full. */
    push: (value: Value): Value | undefined => {
      if (size <= 1) return value;
      buffer.push(value);
      return buffer.length >= size ? take() : undefined;
    },
    /** Gives out the rest. */
    rest: (): Value[] => Array.from({ length: buffer.length }, take),
  };
}

/** Where an endless reading stands: how many examples went in, and which of them, by number, are still in the buffer. */
type Place = { readonly taken: number; readonly buffered: readonly number[] };

/** The place at which `position` examples were handed out: the same draws over numbers instead of examples. */
function placeAt(position: number, size: number, seed: number): Place {
  if (position === 0) return { taken: 0, buffered: [] };
  if (size <= 1) return { taken: position, buffered: [] };
  const buffered: number[] = [];
  const { push } = openShuffle(size, seed, buffered);
  const taken = position + size - 1; // the first one comes out when the buffer is full
  for (let number = 0; number < taken; number++) push(number);
  return { taken, buffered };
}

type Arrays = { readonly [key: string]: Int32Array | Float32Array };

/** Stacks examples of equal lengths. */
function stackExamples<Example extends object>(
  examples: readonly Example[],
  position: number,
  arrays: readonly string[],
): BatchOf<Example> {
  const rows = examples as readonly Arrays[];
  const stacked: Record<string, Int32Array | Float32Array> = {};
  for (const key of arrays) {
    const first = rows[0]?.[key];
    const width = first?.length ?? 0;
    const values = first instanceof Float32Array
      ? new Float32Array(width * rows.length)
      : new Int32Array(width * rows.length);
    rows.forEach((example, row) => {
      const own = example[key];
      if (own?.length !== width) {
        throw new RangeError(
          `Cannot make a batch: ${key} has ${width} values in one example and ${
            own?.length ?? "none"
          } in another`,
        );
      }
      values.set(own, row * width);
    });
    stacked[key] = values;
  }
  return { ...stacked as Example, size: examples.length, position };
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
export async function* readBatches<Example extends object = TrainingExample>(
  source: Examples<Example>,
  {
    batchSize,
    repeat = false,
    shuffleBuffer = 0,
    seed = 0,
    dropRemainder = false,
    arrays = recordArrays,
    position = 0,
  }: BatchOptions,
): AsyncGenerator<BatchOf<Example>> {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`Cannot read batches: batchSize must be a whole number from 1, it is ${batchSize}`);
  }
  // Only an endless reading knows without reading how many examples went in; others are small.
  const place = placeAt(repeat ? position : 0, shuffleBuffer, seed);
  const waiting = new Map(place.buffered.map((number, at) => [number, at]));
  const buffer: Example[] = new Array(place.buffered.length);
  const { push, rest } = openShuffle(shuffleBuffer, seed, buffer, repeat ? position : 0);
  let rows: Example[] = [];
  let read = repeat ? position : 0; // handed out
  let number = 0; // of the next example, over all epochs
  const isWanted = (each: number): boolean => each >= place.taken || waiting.has(each);
  // One generator and no chain of them: a hop of an async generator costs as much as stacking a record.
  const add = (example: Example | undefined): BatchOf<Example> | undefined => {
    if (example === undefined || ++read <= position) return undefined;
    rows.push(example);
    if (rows.length < batchSize) return undefined;
    const batch = stackExamples(rows, read, arrays);
    rows = [];
    return batch;
  };
  /** Takes the next example of the source; those before the place fill the buffer or are left out. */
  const next = (example: Example | undefined): BatchOf<Example> | undefined => {
    const own = number++;
    if (own >= place.taken) return example && add(push(example));
    const at = waiting.get(own);
    if (at !== undefined && example !== undefined) buffer[at] = example;
    return undefined;
  };
  let size: number | undefined; // of the source, once it was read
  do {
    const before = number;
    if (size !== undefined && before + size <= place.taken && !hasAny(waiting, before, size)) {
      number += size; // an epoch of which nothing is wanted
      continue;
    }
    if (typeof source === "function") {
      const skipping = before < place.taken;
      const opened = skipping ? source((each) => isWanted(before + each)) : source();
      for await (const example of opened) {
        const batch = next(example);
        if (batch !== undefined) yield batch;
      }
    } else {
      for (const example of source) {
        const batch = next(example);
        if (batch !== undefined) yield batch;
      }
    }
    size = number - before;
    if (size === 0 && repeat) {
      throw new RangeError("Cannot read batches: the source holds no example; make records first");
    }
  } while (repeat);
  for (const example of rest()) {
    const batch = add(example);
    if (batch !== undefined) yield batch;
  }
  if (rows.length > 0 && !dropRemainder) yield stackExamples(rows, read, arrays);
}

/** Whether one of the numbers from `first` on, `count` of them, is a key. */
function hasAny(numbers: ReadonlyMap<number, number>, first: number, count: number): boolean {
  for (const number of numbers.keys()) if (number >= first && number < first + count) return true;
  return false;
}
