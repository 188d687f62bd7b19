/**
 * The sorted table of keys and values that TensorFlow took over from LevelDB: blocks with shared key beginnings, each with
 * a checksum, an index of blocks and a footer. A checkpoint's `.index` is one. Blocks are written uncompressed, as TensorFlow
 * does; a compressed one is refused. Facts: LevelDB's table format document, TensorFlow's `lib/io/table_options`. Not part
 * of the public door.
 */
import { maskedCrc32c } from "./crc32c.ts";
import { CorruptFileError } from "./errors.ts";
import { writeVarint } from "./protobuf.ts";

/** One key with its value. */
export type TableEntry = { readonly key: Uint8Array; readonly value: Uint8Array };

type Handle = { readonly offset: number; readonly size: number };

const MAGIC = [0x8b80fb57, 0xdb477524] as const; // low and high word
const FOOTER = 48;
const TRAILER = 5; // type of compression and checksum behind every block
const RESTART = 16; // entries between restart points in data blocks
const BLOCK = 262_144; // bytes after which a data block ends: TensorFlow's default

/** Order of keys: byte by byte. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Bytes that grow. */
function byteList(): {
  readonly push: (bytes: Uint8Array) => void;
  readonly varint: (value: number) => void;
  readonly u32: (value: number) => void;
  readonly length: () => number;
  readonly bytes: () => Uint8Array;
} {
  let buffer = new Uint8Array(4096);
  let length = 0;
  const reserve = (extra: number): void => {
    if (length + extra <= buffer.length) return;
    const grown = new Uint8Array(Math.max(2 * buffer.length, length + extra));
    grown.set(buffer.subarray(0, length));
    buffer = grown;
  };
  return {
    push: (bytes) => {
      reserve(bytes.length);
      buffer.set(bytes, length);
      length += bytes.length;
    },
    varint: (value) => {
      reserve(10);
      length = writeVarint(buffer, length, value);
    },
    u32: (value) => {
      reserve(4);
      new DataView(buffer.buffer).setUint32(length, value, true);
      length += 4;
    },
    length: () => length,
    bytes: () => buffer.slice(0, length),
  };
}

const shared = (a: Uint8Array, b: Uint8Array): number => {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return same;
};

/** The content of one block; the entries are in order. */
function makeBlock(entries: readonly TableEntry[], interval: number): Uint8Array {
  const out = byteList();
  const restarts: number[] = [];
  let last: Uint8Array = new Uint8Array(0);
  entries.forEach(({ key, value }, i) => {
    const begins = i % interval === 0;
    if (begins) restarts.push(out.length());
    const same = begins ? 0 : shared(last, key);
    out.varint(same);
    out.varint(key.length - same);
    out.varint(value.length);
    out.push(key.subarray(same));
    out.push(value);
    last = key;
  });
  for (const at of restarts.length === 0 ? [0] : restarts) out.u32(at);
  out.u32(Math.max(1, restarts.length));
  return out.bytes();
}

/** A short key that is at least `a` and below `b`. */
function separator(a: Uint8Array, b: Uint8Array): Uint8Array {
  const same = shared(a, b);
  const byte = a[same];
  if (byte === undefined || byte === 0xff || byte + 1 >= (b[same] ?? 0)) return a;
  return Uint8Array.of(...a.subarray(0, same), byte + 1);
}

/** A short key that is at least `a`. */
function successor(a: Uint8Array): Uint8Array {
  const at = a.findIndex((byte) => byte !== 0xff);
  return at < 0 ? a : Uint8Array.of(...a.subarray(0, at), (a[at] ?? 0) + 1);
}

/** Entries cut into blocks where their estimated size passes the limit. */
function cut(entries: readonly TableEntry[], limit: number): (readonly TableEntry[])[] {
  const blocks: TableEntry[][] = [];
  let open: TableEntry[] = [];
  let size = 0;
  for (const entry of entries) {
    const bytes = entry.key.length + entry.value.length + 8;
    if (bytes >= 2 * limit && open.length > 0) {
      blocks.push(open);
      [open, size] = [[], 0];
    }
    open.push(entry);
    size += bytes;
    if (size >= limit) {
      blocks.push(open);
      [open, size] = [[], 0];
    }
  }
  if (open.length > 0) blocks.push(open);
  return blocks;
}

/** The bytes of a table. Keys must differ; they are sorted here. `blockSize` in bytes. */
export function writeSortedTable(
  entries: readonly TableEntry[],
  { blockSize = BLOCK }: { readonly blockSize?: number } = {},
): Uint8Array {
  const sorted = [...entries].sort((a, b) => compareBytes(a.key, b.key));
  const out = byteList();
  const putBlock = (content: Uint8Array): Uint8Array => {
    const handle = byteList();
    handle.varint(out.length());
    handle.varint(content.length);
    const typed = new Uint8Array(content.length + 1); // the last byte, 0, says: not compressed
    typed.set(content);
    out.push(typed);
    out.u32(maskedCrc32c(typed));
    return handle.bytes();
  };
  const blocks = cut(sorted, blockSize);
  const index = blocks.map((block, i): TableEntry => {
    const last = block[block.length - 1] as TableEntry; // a block has an entry
    const next = blocks[i + 1]?.[0];
    const key = next === undefined ? successor(last.key) : separator(last.key, next.key);
    return { key, value: putBlock(makeBlock(block, RESTART)) };
  });
  const footer = byteList();
  footer.push(putBlock(makeBlock([], 1)));
  footer.push(putBlock(makeBlock(index, 1)));
  footer.push(new Uint8Array(FOOTER - 8 - footer.length()));
  for (const word of MAGIC) footer.u32(word);
  out.push(footer.bytes());
  return out.bytes();
}

type Refuse = (reason: string, byte: number) => CorruptFileError;

/** A varint that fits a double; tables hold lengths only. */
function varint(bytes: Uint8Array, at: number, end: number, refuse: Refuse): readonly [number, number] {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    if (at + i >= end) throw refuse("it ends inside a number", at + i);
    const byte = bytes[at + i] ?? 0;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) {
      if (!Number.isSafeInteger(value)) throw refuse("it holds a number beyond 2^53", at);
      return [value, at + i + 1];
    }
  }
  throw refuse("it holds a number beyond 2^53", at);
}

function readHandle(
  bytes: Uint8Array,
  at: number,
  end: number,
  refuse: Refuse,
): { readonly handle: Handle; readonly end: number } {
  const [offset, sizeAt] = varint(bytes, at, end, refuse);
  const [size, last] = varint(bytes, sizeAt, end, refuse);
  if (offset + size + TRAILER > bytes.length - FOOTER) {
    throw refuse(`a block of ${size} bytes at byte ${offset} reaches past the end`, at);
  }
  return { handle: { offset, size }, end: last };
}

/** The entries of one block, with keys made whole. */
function readBlock(bytes: Uint8Array, { offset, size }: Handle, refuse: Refuse): TableEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = offset + size;
  const found = maskedCrc32c(bytes, offset, end + 1);
  const expected = view.getUint32(end + 1, true);
  if (found !== expected) {
    const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
    throw refuse(`the checksum of a block is ${hex(found)}, expected ${hex(expected)}`, offset);
  }
  const type = bytes[end];
  if (type !== 0) {
    throw refuse(`a block is compressed (type ${type}), which TensorFlow's checkpoints are not`, end);
  }
  const restarts = size < 4 ? 0 : view.getUint32(end - 4, true);
  const stop = end - 4 - 4 * restarts;
  if (restarts === 0 || stop < offset) throw refuse("a block has no restart points", end);
  const entries: TableEntry[] = [];
  let last: Uint8Array = new Uint8Array(0);
  for (let at = offset; at < stop;) {
    const [same, restAt] = varint(bytes, at, stop, refuse);
    const [rest, lengthAt] = varint(bytes, restAt, stop, refuse);
    const [length, keyAt] = varint(bytes, lengthAt, stop, refuse);
    if (same > last.length || keyAt + rest + length > stop) {
      throw refuse("an entry is longer than its block", at);
    }
    const key = new Uint8Array(same + rest);
    key.set(last.subarray(0, same));
    key.set(bytes.subarray(keyAt, keyAt + rest), same);
    if (entries.length > 0 && compareBytes(last, key) >= 0) throw refuse("its keys are not in order", at);
    at = keyAt + rest + length;
    entries.push({ key, value: bytes.subarray(keyAt + rest, at) });
    last = key;
  }
  return entries;
}

/** Every entry of a table, in order; all checksums are verified. */
export function readSortedTable(bytes: Uint8Array, { path }: { readonly path: string }): TableEntry[] {
  const refuse: Refuse = (reason, byte) =>
    new CorruptFileError(`Cannot read ${path}: ${reason} (byte ${byte})`, { path, byte });
  if (bytes.length < FOOTER) throw refuse(`it has ${bytes.length} bytes, a footer takes ${FOOTER}`, 0);
  const start = bytes.length - FOOTER;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(start + 40, true) !== MAGIC[0] || view.getUint32(start + 44, true) !== MAGIC[1]) {
    throw refuse("it does not end as an index of a TensorFlow checkpoint does", start + 40);
  }
  const meta = readHandle(bytes, start, start + 40, refuse);
  readBlock(bytes, meta.handle, refuse);
  const { handle } = readHandle(bytes, meta.end, start + 40, refuse);
  const entries: TableEntry[] = [];
  for (const { value } of readBlock(bytes, handle, refuse)) {
    const at = value.byteOffset - bytes.byteOffset;
    const { handle: block } = readHandle(bytes, at, at + value.length, refuse);
    const last = entries[entries.length - 1];
    const next = readBlock(bytes, block, refuse);
    const first = next[0];
    if (last !== undefined && first !== undefined && compareBytes(last.key, first.key) >= 0) {
      throw refuse("its keys are not in order", block.offset);
    }
    for (const entry of next) entries.push(entry);
  }
  return entries;
}
