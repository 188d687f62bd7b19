/**
 * Instances in packed integer blocks: a token and its word start in one number, 16 bits where the vocabulary allows.
 * A million sequences of 128 tokens take about 0.3 GB. All instances exist before the first is written, because the
 * reference shuffles them at the end.
 */
import type { RawInstance, SegmentPair } from "./maker.ts";

const PAIRS: readonly SegmentPair[] = ["next", "swapped", "random"];
const HEAD = 4; // length, sep, number of predictions, pair
const BLOCK = 1 << 20; // numbers in a block

/**
 * One instance out of the store; the arrays are reused by the next `read`, and longer than the instance.
 *
 * @example
 * ```ts
 * import type { StoredInstance } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const segmentOf = ({ sep }: StoredInstance, position: number): 0 | 1 => position < sep ? 0 : 1;
 * assert.equal(typeof segmentOf, "function");
 * ```
 */
export type StoredInstance = {
  /** Tokens in the sequence. */
  length: number;
  /** Index of the first token of segment B. */
  sep: number;
  /** How B came about. */
  pair: SegmentPair;
  /** Number of predictions. */
  count: number;
  /** Piece numbers after masking. */
  readonly tokens: Int32Array;
  /** 1 where a word starts or a special stands. */
  readonly boundary: Uint8Array;
  /** Positions to predict. */
  readonly positions: Int32Array;
  /** Original piece numbers at those positions. */
  readonly labels: Int32Array;
};

/** A growing list of instances. */
export type InstanceStore = {
  /** Number of instances. */
  readonly size: () => number;
  /** Instances by the origin of segment B. */
  readonly pairs: Readonly<Record<SegmentPair, number>>;
  /** Copies an instance to the end. */
  readonly append: (instance: RawInstance) => void;
  /** Unpacks instance `index`. */
  readonly read: (index: number) => StoredInstance;
};

/** An empty store for sequences of at most `capacity` tokens and piece numbers below `limit`. */
export function instanceStore(capacity: number, limit: number): InstanceStore {
  const narrow = 2 * limit < 65536 && capacity < 65536;
  const blockSize = Math.max(BLOCK, HEAD + 3 * capacity);
  const blocks: (Int32Array | Uint16Array)[] = [];
  let block: Int32Array | Uint16Array = new Uint16Array(0);
  let used = 0;
  let offsets = new Float64Array(1024);
  let size = 0;
  const pairs: Record<SegmentPair, number> = { next: 0, swapped: 0, random: 0 };
  const out: StoredInstance = {
    length: 0,
    sep: 0,
    pair: "next",
    count: 0,
    tokens: new Int32Array(capacity),
    boundary: new Uint8Array(capacity),
    positions: new Int32Array(capacity),
    labels: new Int32Array(capacity),
  };
  const append = ({ tokens, length, sep, pair, count, masker }: RawInstance): void => {
    const needed = HEAD + length + 2 * count;
    if (used + needed > block.length) {
      block = narrow ? new Uint16Array(blockSize) : new Int32Array(blockSize);
      blocks.push(block);
      used = 0;
    }
    if (size === offsets.length) {
      const grown = new Float64Array(size * 2);
      grown.set(offsets);
      offsets = grown;
    }
    offsets[size++] = (blocks.length - 1) * blockSize + used;
    pairs[pair]++;
    block[used++] = length;
    block[used++] = sep;
    block[used++] = count;
    block[used++] = PAIRS.indexOf(pair);
    const { boundary, positions, labels } = masker;
    for (let i = 0; i < length; i++) block[used++] = tokens[i]! * 2 + boundary[i]!; // in range: below length
    block.set(positions.subarray(0, count), used);
    block.set(labels.subarray(0, count), used + count);
    used += 2 * count;
  };
  const read = (index: number): StoredInstance => {
    const offset = offsets[index] ?? 0;
    const from = blocks[Math.floor(offset / blockSize)];
    if (from === undefined || index < 0 || index >= size) {
      throw new RangeError(`Cannot read instance ${index}: the store holds ${size}`);
    }
    const at = offset % blockSize;
    const [length = 0, sep = 0, count = 0, pair = 0] = from.subarray(at, at + HEAD);
    out.length = length;
    out.sep = sep;
    out.count = count;
    out.pair = PAIRS[pair] ?? "next";
    const { tokens, boundary } = out;
    for (let i = 0, place = at + HEAD; i < length; i++, place++) {
      const both = from[place]!; // in range: the instance was written there
      tokens[i] = both >>> 1;
      boundary[i] = both & 1;
    }
    const behind = at + HEAD + length;
    out.positions.set(from.subarray(behind, behind + count));
    out.labels.set(from.subarray(behind + count, behind + 2 * count));
    return out;
  };
  return { size: () => size, pairs, append, read };
}
