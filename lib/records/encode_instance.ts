/**
 * An instance as the Example that the trainer expects: eight features, padded with zeros to fixed lengths.
 * Source: `write_instance_to_example_files` of the reference.
 */
import { writeVarint } from "../formats/mod.ts";
import type { PieceTable, StoredInstance, TasksConfig } from "../tasks/mod.ts";

/** The features in the order of their bytes, with the tag of their lists: 3 is int64_list, 2 float_list. */
const FEATURES = [
  ["input_ids", 3],
  ["input_mask", 3],
  ["masked_lm_ids", 3],
  ["masked_lm_positions", 3],
  ["masked_lm_weights", 2],
  ["next_sentence_labels", 3],
  ["segment_ids", 3],
  ["token_boundary", 3],
] as const;

const varintSize = (value: number): number =>
  value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : value < 268435456 ? 4 : 5;
const delimited = (size: number): number => 1 + varintSize(size) + size;

/** Sizes of a feature whose list has `body` bytes: of the list, of the feature, of the map's entry. */
function sizes(name: Uint8Array, body: number): readonly [list: number, feature: number, entry: number] {
  const list = body === 0 ? 0 : delimited(body);
  return [list, delimited(list), delimited(name.length) + delimited(delimited(list))];
}

/** Everything of a feature in front of its values. */
function headBytes([name, type]: readonly [Uint8Array, number], body: number): Uint8Array {
  const [list, feature, entry] = sizes(name, body);
  const target = new Uint8Array(64 + name.length);
  let at = 0;
  target[at++] = 0x0a;
  at = writeVarint(target, at, entry);
  target[at++] = 0x0a;
  at = writeVarint(target, at, name.length);
  target.set(name, at);
  at += name.length;
  target[at++] = 0x12;
  at = writeVarint(target, at, feature);
  target[at++] = type << 3 | 2;
  at = writeVarint(target, at, list);
  if (body > 0) {
    target[at++] = 0x0a;
    at = writeVarint(target, at, body);
  }
  return target.slice(0, at);
}

/** Serializes instances. */
export type InstanceEncoder = {
  /** The bytes of the Example; they are overwritten by the next call. */
  readonly encode: (instance: StoredInstance) => Uint8Array;
  /** How many bytes that will be. */
  readonly sizeOf: (instance: StoredInstance) => number;
};

/**
 * Makes the bytes that `encodeExample` gives, written straight from the instance: this is where record creation spends its
 * time. Without a table the pieces of instances are the ids of records.
 */
export function instanceEncoder(
  { max_seq_length, max_predictions_per_seq, do_permutation }: TasksConfig,
  table?: PieceTable,
): InstanceEncoder {
  const most = max_predictions_per_seq * (do_permutation ? 2 : 1);
  const encoder = new TextEncoder();
  const names = FEATURES.map(([name, type]) => [encoder.encode(name), type] as const);
  const one = new Uint8Array(new Float32Array([1]).buffer);
  const weights = Uint8Array.from({ length: 4 * most }, (_, i) => one[i % 4] ?? 0);
  const target = new Uint8Array(1024 + 8 * max_seq_length + 14 * most);
  const lists = [
    new Uint8Array(5 * max_seq_length + 1),
    new Uint8Array(5 * most + 1),
    new Uint8Array(5 * most + 1),
  ] as const;
  const known: (Uint8Array | undefined)[][] = FEATURES.map(() => []);
  /** Everything of feature `k` in front of `body` bytes of values; the sizes of bodies come again and again. */
  const headOf = (k: number, body: number): Uint8Array => {
    const heads = known[k]!; // k is 0 to 7
    return heads[body] ??= headBytes(names[k]!, body); // k is 0 to 7
  };
  const bodies = new Float64Array([0, max_seq_length, 0, 0, 4 * most, 1, max_seq_length, max_seq_length]);
  /** Bytes behind the tag and the size of the Example, of the bodies that are set. */
  const innerSize = (): number => {
    let inner = 0;
    for (let k = 0; k < 8; k++) inner += headOf(k, bodies[k]!).length + bodies[k]!; // 8 of each
    return inner;
  };
  const sizeOf = ({ length, count, tokens, positions, labels }: StoredInstance): number => {
    bodies[0] = idsSize(tokens, length, max_seq_length, table);
    bodies[2] = idsSize(labels, count, most, table);
    bodies[3] = idsSize(positions, count, most);
    return delimited(innerSize());
  };
  const encode = (
    { length, sep, count, pair, tokens, boundary, positions, labels }: StoredInstance,
  ): Uint8Array => {
    bodies[0] = writeIds(lists[0], tokens, length, max_seq_length, table);
    bodies[2] = writeIds(lists[1], labels, count, most, table);
    bodies[3] = writeIds(lists[2], positions, count, most);
    const inner = innerSize();
    let at = 0;
    const head = (k: number): void => {
      const bytes = headOf(k, bodies[k]!); // k is 0 to 7
      target.set(bytes, at);
      at += bytes.length;
    };
    const list = (k: number, bytes: Uint8Array): void => {
      head(k);
      target.set(bytes.subarray(0, bodies[k]), at);
      at += bodies[k]!; // k is 0 to 7
    };
    const fill = (value: number, size: number): void => void target.fill(value, at, at += size);
    target[at++] = 0x0a;
    at = writeVarint(target, at, inner);
    list(0, lists[0]);
    head(1);
    fill(1, length);
    fill(0, max_seq_length - length);
    list(2, lists[1]);
    list(3, lists[2]);
    head(4);
    target.set(weights.subarray(0, 4 * count), at);
    target.fill(0, at + 4 * count, at += 4 * most);
    head(5);
    target[at++] = pair === "next" ? 0 : 1;
    head(6);
    fill(0, sep);
    fill(1, length - sep);
    fill(0, max_seq_length - length);
    head(7);
    target.set(boundary.subarray(0, length), at);
    target.fill(0, at + length, at += max_seq_length);
    return target.subarray(0, at);
  };
  return { encode, sizeOf };
}

/** Bytes that `writeIds` would write. */
function idsSize(numbers: Int32Array, count: number, padded: number, table?: PieceTable): number {
  const size = table?.size ?? Infinity;
  let bytes = padded;
  for (let i = 0; i < count; i++) {
    let id = numbers[i]!; // in range: below count
    if (id >= size) id = table?.recordId(id) ?? 0;
    bytes += id < 16384 ? (127 - id) >>> 31 : varintSize(id) - 1;
  }
  return bytes;
}

/**
 * Writes numbers as varints, with a table as the ids that records hold for them, and zeros up to `padded` of them; returns the
 * number of bytes.
 */
function writeIds(
  target: Uint8Array,
  numbers: Int32Array,
  count: number,
  padded: number,
  table?: PieceTable,
): number {
  const size = table?.size ?? Infinity; // almost all pieces are the vocabulary's, whose numbers are their ids
  let at = 0;
  for (let i = 0; i < count; i++) {
    let id = numbers[i]!; // in range: below count
    if (id >= size) id = table?.recordId(id) ?? 0;
    if (id < 16384) { // one byte or two, without a branch that would be guessed wrong every other time
      const more = (127 - id) >>> 31;
      target[at] = id & 127 | more << 7;
      target[at + 1] = id >>> 7;
      at += 1 + more;
    } else at = writeVarint(target, at, id);
  }
  const end = at + padded - count;
  target.fill(0, at, end);
  return end;
}
