/**
 * An instance on its way through the temporary files of `order: "stream"`: the ids that its record will hold, where words
 * start and what was masked, in a quarter of the record's bytes. The record itself is made when its file is written.
 */
import type { PieceTable, StoredInstance, TasksConfig } from "../tasks/mod.ts";

const PAIRS: readonly StoredInstance["pair"][] = ["next", "swapped", "random"];

/** Packs and unpacks instances. */
export type InstancePacking = {
  /** The packed bytes, a multiple of 4; they are overwritten by the next call. */
  readonly pack: (instance: StoredInstance) => Uint8Array;
  /** The instance, whose pieces are the ids of records; the bytes stand at a multiple of 4. It is overwritten by the next call. */
  readonly unpack: (bytes: Uint8Array) => StoredInstance;
};

const HEAD = 4; // numbers: length, sep, count, pair

/** Packing for a vocabulary and a length of sequences: numbers have 2 bytes where that is enough, else 4. */
export function instancePacking(
  { max_seq_length, max_predictions_per_seq }: Pick<
    TasksConfig,
    "max_seq_length" | "max_predictions_per_seq"
  >,
  table: PieceTable,
): InstancePacking {
  const Numbers = table.most > 65536 || max_seq_length > 65535 ? Uint32Array : Uint16Array;
  const width = Numbers.BYTES_PER_ELEMENT;
  const most = 2 * max_predictions_per_seq; // of permutation as well
  const target = new Numbers(HEAD + max_seq_length + 2 * most + (max_seq_length >> 3) + 4);
  const bytes = new Uint8Array(target.buffer);
  const out = {
    length: 0,
    sep: 0,
    pair: "next" as StoredInstance["pair"],
    count: 0,
    tokens: new Int32Array(max_seq_length),
    boundary: new Uint8Array(max_seq_length),
    positions: new Int32Array(most),
    labels: new Int32Array(most),
  };
  /** Numbers that stand for texts outside the vocabulary become the ids of their records. */
  const replaceUnknown = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const number = target[i]!; // in range
      if (number >= table.size) target[i] = table.recordId(number);
    }
  };
  return {
    pack: ({ length, sep, pair, count, tokens, boundary, positions, labels }) => {
      target[0] = length;
      target[1] = sep;
      target[2] = count;
      target[3] = PAIRS.indexOf(pair);
      target.set(tokens.subarray(0, length), HEAD);
      const end = HEAD + length + count;
      for (let i = 0; i < count; i++) {
        target[HEAD + length + i] = labels[i]!; // in range
        target[end + i] = positions[i]!; // in range
      }
      if (table.limit() > table.size) replaceUnknown(HEAD, end);
      let at = width * (end + count);
      for (let i = 0; i < length; i += 8) bytes[at++] = eightBits(boundary, i, length);
      while (at % 4 !== 0) bytes[at++] = 0;
      return bytes.subarray(0, at);
    },
    unpack: (packed) => {
      const { tokens, boundary, positions, labels } = out;
      const numbers = new Numbers(
        packed.buffer as ArrayBuffer,
        packed.byteOffset,
        Math.floor(packed.length / width),
      );
      const [length = 0, sep = 0, count = 0, pair = 0] = [numbers[0], numbers[1], numbers[2], numbers[3]];
      out.length = length;
      out.sep = sep;
      out.count = count;
      out.pair = PAIRS[pair] ?? "next";
      const end = HEAD + length + count;
      tokens.set(numbers.subarray(HEAD, HEAD + length));
      for (let i = 0; i < count; i++) {
        labels[i] = numbers[HEAD + length + i]!; // in range
        positions[i] = numbers[end + i]!; // in range
      }
      const bits = width * (end + count);
      for (let i = 0; i < length; i++) boundary[i] = packed[bits + (i >> 3)]! >> (i & 7) & 1; // in range
      return out;
    },
  };
}

/** Eight marks as the bits of a byte, the first the lowest; none behind `length`. */
function eightBits(marks: Uint8Array, from: number, length: number): number {
  let bits = 0;
  for (let i = Math.min(from + 8, length) - 1; i >= from; i--) bits = bits << 1 | marks[i]!; // in range
  return bits;
}
