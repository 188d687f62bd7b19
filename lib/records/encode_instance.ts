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

/** Writes everything of a feature in front of its values; returns the offset behind it. */
function writeHead(
  target: Uint8Array,
  at: number,
  [name, type]: readonly [Uint8Array, number],
  body: number,
): number {
  const [list, feature, entry] = sizes(name, body);
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
  if (body === 0) return at;
  target[at++] = 0x0a;
  return writeVarint(target, at, body);
}

/** Bytes that numbers take as varints. */
function idBytes(ids: Int32Array, count: number): number {
  let size = 0;
  for (let i = 0; i < count; i++) size += varintSize(ids[i]!); // in range: below count
  return size;
}

/** Writes numbers as varints and zeros up to `end`; returns `end`. */
function writeIds(target: Uint8Array, at: number, ids: Int32Array, count: number, end: number): number {
  for (let i = 0; i < count; i++) {
    const id = ids[i]!; // in range: below count
    if (id < 128) target[at++] = id;
    else if (id < 16384) {
      target[at++] = id & 127 | 128;
      target[at++] = id >>> 7;
    } else at = writeVarint(target, at, id);
  }
  target.fill(0, at, end);
  return end;
}

/**
 * Makes a function that serializes instances; its result is overwritten by the next call. It gives the bytes that
 * `encodeExample` gives, written straight from the instance: this is where record creation spends its time.
 */
export function instanceEncoder(
  { max_seq_length, max_predictions_per_seq, do_permutation }: TasksConfig,
  table: PieceTable,
): (instance: StoredInstance) => Uint8Array {
  const most = max_predictions_per_seq * (do_permutation ? 2 : 1);
  const encoder = new TextEncoder();
  const names = FEATURES.map(([name, type]) => [encoder.encode(name), type] as const);
  const ids = new Int32Array(max_seq_length);
  const labelIds = new Int32Array(max_seq_length);
  const one = new Uint8Array(new Float32Array([1]).buffer);
  const weights = Uint8Array.from({ length: 4 * most }, (_, i) => one[i % 4] ?? 0);
  const target = new Uint8Array(1024 + 8 * max_seq_length + 14 * most);
  /** Ids of pieces; almost all are the vocabulary's, whose numbers are their ids. */
  const toIds = (pieces: Int32Array, count: number, out: Int32Array): void => {
    for (let i = 0; i < count; i++) {
      const piece = pieces[i]!; // in range: below count
      out[i] = piece < table.size ? piece : table.recordId(piece);
    }
  };
  return ({ length, sep, count, pair, tokens, boundary, positions, labels }) => {
    toIds(tokens, length, ids);
    toIds(labels, count, labelIds);
    const bodies = [
      idBytes(ids, length) + max_seq_length - length,
      max_seq_length,
      idBytes(labelIds, count) + most - count,
      idBytes(positions, count) + most - count,
      4 * most,
      1,
      max_seq_length,
      max_seq_length,
    ] as const;
    let inner = 0;
    for (let k = 0; k < 8; k++) inner += delimited(sizes(names[k]![0], bodies[k]!)[2]); // 8 of each
    let at = 0;
    const head = (k: number): void => void (at = writeHead(target, at, names[k]!, bodies[k]!)); // k is 0 to 7
    const fill = (value: number, size: number): void => void target.fill(value, at, at += size);
    target[at++] = 0x0a;
    at = writeVarint(target, at, inner);
    head(0);
    at = writeIds(target, at, ids, length, at + bodies[0]);
    head(1);
    fill(1, length);
    fill(0, max_seq_length - length);
    head(2);
    at = writeIds(target, at, labelIds, count, at + bodies[2]);
    head(3);
    at = writeIds(target, at, positions, count, at + bodies[3]);
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
}
