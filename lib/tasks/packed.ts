/**
 * Instances in little memory: an instance is two ranges of the corpus and what was masked in them, so it takes 20 bytes and 2 or
 * 4 for each prediction where numbers have 16 bits, whatever its length. All instances exist before the first is written,
 * because the reference shuffles them at the end.
 */
import type { PackedDocuments } from "./documents.ts";
import type { RawInstance, SegmentPair } from "./maker.ts";
import { CONTINUATION, pieceKinds } from "./masking.ts";
import type { PieceTable } from "./piece_table.ts";

const PAIRS: readonly SegmentPair[] = ["next", "swapped", "random"];
const HEAD = 8; // where A and B begin (two halves each), their lengths, number of predictions, pair
const BLOCK = 1 << 20; // numbers in a block

/** What stands at a position to predict, in its two lowest bits: the mask, the piece itself, or the piece that follows. */
const MASKED = 0;
const KEPT = 1;
const OTHER = 2;

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
  /** Keeps an instance at the end. */
  readonly append: (instance: RawInstance) => void;
  /** Puts the instances into a random order. */
  readonly shuffle: (random: { readonly shuffle: (array: Uint32Array) => void }) => void;
  /** Unpacks instance `index`. */
  readonly read: (index: number) => StoredInstance;
};

/** An empty store for sequences of at most `capacity` tokens out of these documents. */
export function instanceStore(
  capacity: number,
  { ids }: Pick<PackedDocuments, "ids">,
  table: PieceTable,
): InstanceStore {
  const narrow = table.limit() <= 65536 && capacity <= 16384;
  const blockSize = Math.max(BLOCK, HEAD + 2 * capacity);
  const blocks: (Int32Array | Uint16Array)[] = [];
  let block: Int32Array | Uint16Array = new Uint16Array(0);
  let used = 0;
  let offsets = new Uint32Array(1024);
  let size = 0;
  const pairs: Record<SegmentPair, number> = { next: 0, swapped: 0, random: 0 };
  const kinds = pieceKinds(table);
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
  const makeRoom = (needed: number): void => {
    if (used + needed > block.length) {
      if ((blocks.length + 1) * blockSize > 2 ** 32) {
        throw new RangeError(`Cannot keep more than ${size} instances in memory: make fewer, or in shards`);
      }
      block = narrow ? new Uint16Array(blockSize) : new Int32Array(blockSize);
      blocks.push(block);
      used = 0;
    }
    if (size === offsets.length) {
      const grown = new Uint32Array(Math.ceil(1.5 * size));
      grown.set(offsets);
      offsets = grown;
    }
  };
  const append = ({ tokens, length, sep, a0, b0, pair, count, masker }: RawInstance): void => {
    makeRoom(HEAD + 2 * count);
    offsets[size++] = (blocks.length - 1) * blockSize + used;
    pairs[pair]++;
    block[used++] = a0 & 65535;
    block[used++] = a0 >>> 16;
    block[used++] = b0 & 65535;
    block[used++] = b0 >>> 16;
    block[used++] = sep - 2;
    block[used++] = length - sep - 1;
    block[used++] = count;
    block[used++] = PAIRS.indexOf(pair);
    const { positions, labels } = masker;
    for (let i = 0; i < count; i++) {
      const at = positions[i]!; // in range: below count
      const token = tokens[at]!; // in range: a position of the sequence
      const what = token === table.mask ? MASKED : token === labels[i] ? KEPT : OTHER;
      block[used++] = at << 2 | what;
      if (what === OTHER) block[used++] = token;
    }
  };
  const read = (index: number): StoredInstance => {
    const offset = offsets[index] ?? 0;
    const from = blocks[Math.floor(offset / blockSize)];
    if (from === undefined || index < 0 || index >= size) {
      throw new RangeError(`Cannot read instance ${index}: the store holds ${size}`);
    }
    let at = offset % blockSize;
    const next = (): number => from[at++]!; // in range: the instance was written there
    const a0 = (next() | next() << 16) >>> 0;
    const b0 = (next() | next() << 16) >>> 0;
    const lengthA = next();
    const lengthB = next();
    const { tokens, boundary, positions, labels } = out;
    tokens[0] = table.cls;
    tokens.set(ids.subarray(a0, a0 + lengthA), 1);
    out.sep = lengthA + 2;
    tokens[lengthA + 1] = table.sep;
    tokens.set(ids.subarray(b0, b0 + lengthB), out.sep);
    out.length = out.sep + lengthB + 1;
    tokens[out.length - 1] = table.sep;
    for (let i = 0; i < out.length; i++) boundary[i] = kinds[tokens[i]!] === CONTINUATION ? 0 : 1; // in range
    out.count = next();
    out.pair = PAIRS[next()] ?? "next";
    for (let i = 0; i < out.count; i++) {
      const both = next();
      const position = both >>> 2;
      positions[i] = position;
      labels[i] = tokens[position]!; // in range: a position of the sequence
      if ((both & 3) === MASKED) tokens[position] = table.mask;
      else if ((both & 3) === OTHER) tokens[position] = next();
    }
    return out;
  };
  return {
    size: () => size,
    pairs,
    append,
    shuffle: (random) => random.shuffle(offsets.subarray(0, size)),
    read,
  };
}
