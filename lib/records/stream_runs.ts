/**
 * Temporary files of the global shuffle. A part file holds runs: records sorted by their random keys, each run with an
 * index over the upper bits of the key. A bucket is a range of keys; reading it back takes two small reads and one large
 * one from each run. The order of all records follows from the keys alone, so it does not depend on how many part files
 * there are or who wrote them.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { CorruptFileError, crc32c, openAtomic } from "../formats/mod.ts";
import type { InstanceKey } from "../tasks/mod.ts";
import { type Scratch, scratchOf } from "./stream_plan.ts";

/** Slots of the index of a run, by the upper bits of the key. */
export const SLOTS: number = 1 << 14;
const SLOT_SHIFT = 32 - 14;
const HEAD = 32; // key, length, bytes in its output
/** Bytes of a key: high, low, document (8), pass, index. It decides a record's place, and no two records have the same. */
export const KEY = 24;
const INDEX = 16 * (SLOTS + 1); // bytes of the index of a run
const WRITE = 1 << 20; // bytes written at a time
const RUN_RECORDS = 100_000; // most records of a run

/** Counts of a part file, for the report. */
export type PartCounts = {
  documents: number;
  sentences: number;
  pieces: number;
  instances: number;
  predictions: number;
  next: number;
  swapped: number;
  random: number;
  longSentences: number;
};

/** Counts of nothing yet. */
export const noCounts = (): PartCounts => ({
  documents: 0,
  sentences: 0,
  pieces: 0,
  instances: 0,
  predictions: 0,
  next: 0,
  swapped: 0,
  random: 0,
  longSentences: 0,
});

/** Where the runs of a part file lie, and what it holds. */
type PartIndex = {
  readonly runs: readonly { readonly from: number; readonly records: number }[];
  /** Lengths and checksums of what was written at a time, in front of this index. */
  readonly checks: readonly (readonly [bytes: number, crc32c: number])[];
  readonly counts: PartCounts;
};

/** Two 32-bit random words from a seed and a record's place in the corpus; they decide its place in the order. */
export function shuffleKey(seed: number, { document, pass, index }: InstanceKey, out: Uint32Array): void {
  const mix = (a: number, b: number): number => {
    let h = Math.imul(a ^ b, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return h ^ (h >>> 16);
  };
  let high = mix(seed ^ 0x9e3779b9, 0x7f4a7c15);
  for (const word of [document >>> 0, Math.floor(document / 2 ** 32), pass, index]) {
    high = mix(Math.imul(high, 5) + 0x6c62272e | 0, word);
  }
  out[0] = high;
  out[1] = mix(Math.imul(high, 0x2545f491) + seed | 0, document ^ Math.imul(pass + 1, 0x27d4eb2f) ^ index);
}

/** A part file under construction. */
export type PartWriter = {
  /** Copies a record that will take so many bytes in its output. */
  readonly add: (key: InstanceKey, data: Uint8Array, outputBytes: number) => void;
  /** Writes what is left and the index, and gives the file its name. */
  readonly commit: (counts: PartCounts) => void;
  readonly discard: () => void;
};

/** Memory of one run, used again by the next part file: what is given up is not given back at once. */
export type RunBuffer = { bytes: Uint8Array; readonly starts: Uint32Array; readonly out: Uint8Array };

/** Memory for runs of at most so many bytes, or of one record that is larger. */
export function runBuffer(runBytes: number): RunBuffer {
  return {
    bytes: new Uint8Array(runBytes),
    starts: new Uint32Array(Math.min(RUN_RECORDS, runBytes >>> 7)),
    out: new Uint8Array(Math.min(WRITE, runBytes)),
  };
}

/** Starts a part file; its records are gathered in `run` until it is full. */
export function partWriter(path: string, { seed, run }: { seed: number; run: RunBuffer }): PartWriter {
  const file = openAtomic(path);
  const runs: { from: number; records: number }[] = [];
  const checks: [number, number][] = [];
  const words = new Uint32Array(2);
  const { starts } = run; // of records in the buffer
  let view = new DataView(run.bytes.buffer);
  let used = 0;
  let records = 0;
  let written = 0;
  const write = (bytes: Uint8Array): void => {
    file.write(bytes);
    checks.push([bytes.length, crc32c(bytes)]);
    written += bytes.length;
  };
  const flush = (): void => {
    if (records === 0) return;
    runs.push({ from: written, records });
    writeRun(view, starts.subarray(0, records), run.out, write);
    records = used = 0;
  };
  return {
    add: ({ document, pass, index }, data, outputBytes) => {
      const needed = HEAD + data.length;
      if (used + needed > run.bytes.length || records === starts.length) flush();
      if (needed > run.bytes.length) { // one record is larger than a run
        run.bytes = new Uint8Array(needed);
        view = new DataView(run.bytes.buffer);
      }
      shuffleKey(seed, { document, pass, index }, words);
      view.setUint32(used, words[0] ?? 0);
      view.setUint32(used + 4, words[1] ?? 0);
      view.setFloat64(used + 8, document);
      view.setUint32(used + 16, pass);
      view.setUint32(used + 20, index);
      view.setUint32(used + 24, data.length);
      view.setUint32(used + 28, outputBytes);
      run.bytes.set(data, used + HEAD);
      starts[records++] = used;
      used += needed;
    },
    commit: (counts) => {
      flush();
      const index = new TextEncoder().encode(JSON.stringify({ runs, checks, counts }));
      const size = new Uint8Array(4);
      new DataView(size.buffer).setUint32(0, index.length);
      file.write(index);
      file.write(size);
      file.commit({ flush: false }); // one that a crash of the machine damaged is made again: see isWholePart
    },
    discard: file.discard,
  };
}

/** Which of two records comes first, by their keys: random words, then document, pass and index. */
export function compareKeys(a: DataView, atA: number, b: DataView, atB: number): number {
  return a.getUint32(atA) - b.getUint32(atB) || a.getUint32(atA + 4) - b.getUint32(atB + 4) ||
    a.getFloat64(atA + 8) - b.getFloat64(atB + 8) || a.getUint32(atA + 16) - b.getUint32(atB + 16) ||
    a.getUint32(atA + 20) - b.getUint32(atB + 20);
}

/** The index of the run (sums of bytes in front of each slot: here, then in the outputs), then its records in order. */
function writeRun(
  view: DataView,
  starts: Uint32Array,
  out: Uint8Array,
  write: (bytes: Uint8Array) => void,
): void {
  const sizeAt = (at: number): number => HEAD + view.getUint32(at + 24);
  const slotAt = (at: number): number => slotOf(view, at);
  const offsets = new Float64Array(SLOTS + 1);
  const outputs = new Float64Array(SLOTS + 1);
  const places = new Uint32Array(SLOTS + 1);
  for (const at of starts) {
    const slot = slotAt(at) + 1;
    offsets[slot]! += sizeAt(at); // in range: slot is 1 to SLOTS
    outputs[slot]! += view.getUint32(at + 28); // in range: slot is 1 to SLOTS
    places[slot]! += 1; // in range: slot is 1 to SLOTS
  }
  for (let slot = 1; slot <= SLOTS; slot++) {
    offsets[slot]! += offsets[slot - 1]!; // in range
    outputs[slot]! += outputs[slot - 1]!; // in range
    places[slot]! += places[slot - 1]!; // in range
  }
  write(new Uint8Array(offsets.buffer));
  write(new Uint8Array(outputs.buffer));
  const order = new Uint32Array(starts.length);
  const next = places.slice();
  for (const at of starts) order[next[slotAt(at)]!++] = at; // in range: below SLOTS
  const bytes = new Uint8Array(view.buffer);
  let filled = 0;
  for (let slot = 0; slot < SLOTS; slot++) {
    const those = order.subarray(places[slot], places[slot + 1]);
    if (those.length > 1) those.sort((a, b) => compareKeys(view, a, view, b));
    for (const at of those) {
      const record = bytes.subarray(at, at + sizeAt(at));
      if (filled + record.length > out.length) {
        write(out.subarray(0, filled));
        filled = 0;
      }
      if (record.length > out.length) write(record);
      else {
        out.set(record, filled);
        filled += record.length;
      }
    }
  }
  write(out.subarray(0, filled));
}

/** Bytes of the records of each slot: in the part files, and in the outputs. */
export type SlotSizes = { readonly bytes: Float64Array; readonly outputBytes: Float64Array };

/** A part file for reading. */
export type PartReader = {
  readonly counts: PartCounts;
  readonly checks: PartIndex["checks"];
  /** Bytes of the records of each slot, here and in the outputs, added to `sizes`. */
  readonly addSizes: (sizes: SlotSizes) => void;
  /** Where the records whose keys are in the slots `from` to `to - 1` stand, run by run. */
  readonly ranges: (from: number, to: number) => readonly { readonly at: number; readonly length: number }[];
  /** Reads such a range into bytes of its length. */
  readonly readInto: (at: number, bytes: Uint8Array) => void;
};

/** A record of a bucket: where in its bytes the key stands, and what follows it. */
export type BucketEntry = { readonly at: number; readonly data: Uint8Array };

/** The keys of records that `readBucket` gave, one after the other. */
export function keysOf(entries: readonly BucketEntry[]): Uint8Array {
  const keys = new Uint8Array(KEY * entries.length);
  entries.forEach(({ at, data }, i) => keys.set(new Uint8Array(data.buffer, at, KEY), KEY * i));
  return keys;
}

/** The slot of a key. */
export const slotOf = (view: DataView, at: number): number => view.getUint32(at) >>> SLOT_SHIFT;

function readAt(path: string, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  readInto(path, from, bytes);
  return bytes;
}

function readInto(path: string, from: number, bytes: Uint8Array): void {
  const handle = openSync(path, "r");
  try {
    for (let at = 0; at < bytes.length;) {
      const count = readSync(handle, bytes, at, bytes.length - at, from + at);
      if (count === 0) throw damaged(path);
      at += count;
    }
  } finally {
    closeSync(handle);
  }
}

const damaged = (path: string): CorruptFileError =>
  new CorruptFileError(
    `Cannot read ${path}: the temporary file is damaged; remove its folder and start again`,
    {
      path,
    },
  );

/** Whether a part file is there and undamaged: it was not flushed, so a crash of the machine may have left half of it. */
export function isWholePart(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    let at = 0;
    for (const [bytes, sum] of partReader(path).checks) {
      if (crc32c(readAt(path, at, bytes)) !== sum) return false;
      at += bytes;
    }
    return true;
  } catch (error) {
    if (error instanceof CorruptFileError) return false;
    throw error;
  }
}

function indexIn(path: string, bytes: Uint8Array): PartIndex {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as PartIndex;
  } catch {
    throw damaged(path);
  }
}

/** Opens a part file that was committed. */
export function partReader(path: string): PartReader {
  const { size } = statSync(path);
  if (size < 4) throw damaged(path);
  const tail = readAt(path, size - 4, 4);
  const length = new DataView(tail.buffer).getUint32(0);
  if (length + 4 > size) throw damaged(path);
  const { runs, checks, counts } = indexIn(path, readAt(path, size - 4 - length, length));
  return {
    counts,
    checks,
    addSizes: ({ bytes, outputBytes }) => {
      for (const { from } of runs) {
        const sums = new Float64Array(readAt(path, from, INDEX).buffer);
        for (let slot = 0; slot < SLOTS; slot++) {
          bytes[slot]! += sums[slot + 1]! - sums[slot]!; // in range
          outputBytes[slot]! += sums[SLOTS + slot + 2]! - sums[SLOTS + slot + 1]!; // in range
        }
      }
    },
    ranges: (from, to) =>
      runs.map((run) => {
        const offset = (slot: number): number =>
          new Float64Array(readAt(path, run.from + 8 * slot, 8).buffer)[0] ?? 0;
        const [start, end] = [offset(from), offset(to)];
        return { at: run.from + INDEX + start, length: end - start };
      }).filter(({ length }) => length > 0),
    readInto: (at, bytes) => readInto(path, at, bytes),
  };
}

/** The records of a range of slots over all part files, in their final order; they stand in `scratch` until the next call. */
export function readBucket(
  readers: readonly PartReader[],
  from: number,
  to: number,
  scratch: Scratch,
): BucketEntry[] {
  const found = readers.flatMap((reader) => reader.ranges(from, to).map((range) => ({ reader, ...range })));
  const bytes = scratchOf(scratch, found.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const { reader, at, length } of found) reader.readInto(at, bytes.subarray(end, end += length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: BucketEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at + HEAD;
    const next = start + view.getUint32(at + 24);
    entries.push({ at, data: bytes.subarray(start, next) });
    at = next;
  }
  return entries.sort((a, b) => compareKeys(view, a.at, view, b.at));
}
