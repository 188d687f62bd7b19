/**
 * Temporary files of the global shuffle. A part file holds runs: records sorted by their random keys, each run with an
 * index over the upper bits of the key. A bucket is a range of keys; reading it back takes two small reads and one large
 * one from each run. The order of all records follows from the keys alone, so it does not depend on how many part files
 * there are or who wrote them.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { CorruptFileError, openAtomic } from "../formats/mod.ts";
import type { InstanceKey } from "../tasks/mod.ts";

/** Slots of the index of a run, by the upper bits of the key. */
export const SLOTS: number = 1 << 14;
const SLOT_SHIFT = 32 - 14;
const HEAD = 28; // high, low, document (8), pass, index, length
const WRITE = 1 << 20; // bytes written at a time
const RUN_RECORDS = 100_000; // most records of a run: what orders a record takes some 150 bytes

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

/** Where the runs of a part file lie, and what it holds. */
type PartIndex = {
  readonly runs: readonly { readonly from: number; readonly records: number }[];
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
  /** Copies a record. */
  readonly add: (key: InstanceKey, data: Uint8Array) => void;
  /** Writes what is left and the index, and gives the file its name. */
  readonly commit: (counts: PartCounts) => void;
  readonly discard: () => void;
};

type Entry = { readonly high: number; readonly low: number; readonly at: number; readonly key: InstanceKey };

function byKey(a: Entry, b: Entry): number {
  return a.high - b.high || a.low - b.low || a.key.document - b.key.document || a.key.pass - b.key.pass ||
    a.key.index - b.key.index;
}

/** Starts a part file; `runBytes` bounds its memory. */
export function partWriter(path: string, { seed, runBytes }: { seed: number; runBytes: number }): PartWriter {
  const file = openAtomic(path);
  const runs: { from: number; records: number }[] = [];
  const words = new Uint32Array(2);
  let buffer = new Uint8Array(Math.min(runBytes, 1 << 22));
  let used = 0;
  let entries: Entry[] = [];
  let written = 0;
  const write = (bytes: Uint8Array): void => {
    file.write(bytes);
    written += bytes.length;
  };
  const flush = (): void => {
    if (entries.length === 0) return;
    runs.push({ from: written, records: entries.length });
    writeRun(entries.sort(byKey), buffer, write);
    entries = [];
    used = 0;
  };
  return {
    add: (key, data) => {
      const needed = HEAD + data.length;
      if (used + needed > runBytes || entries.length === RUN_RECORDS) flush();
      if (used + needed > buffer.length) {
        const grown = new Uint8Array(Math.max(Math.min(runBytes, 2 * buffer.length), used + needed));
        grown.set(buffer.subarray(0, used));
        buffer = grown;
      }
      shuffleKey(seed, key, words);
      const [high = 0, low = 0] = words;
      const view = new DataView(buffer.buffer, used, HEAD);
      view.setUint32(0, high);
      view.setUint32(4, low);
      view.setFloat64(8, key.document);
      view.setUint32(16, key.pass);
      view.setUint32(20, key.index);
      view.setUint32(24, data.length);
      buffer.set(data, used + HEAD);
      entries.push({ high, low, at: used, key });
      used += needed;
    },
    commit: (counts) => {
      flush();
      const index = new TextEncoder().encode(JSON.stringify({ runs, counts }));
      const size = new Uint8Array(4);
      new DataView(size.buffer).setUint32(0, index.length);
      write(index);
      write(size);
      file.commit();
    },
    discard: file.discard,
  };
}

/** The index of the run (SLOTS + 1 offsets behind it), then its records in order. */
function writeRun(entries: readonly Entry[], buffer: Uint8Array, write: (bytes: Uint8Array) => void): void {
  const view = new DataView(buffer.buffer);
  const sizeAt = (at: number): number => HEAD + view.getUint32(at + 24);
  const offsets = new Float64Array(SLOTS + 1);
  for (const { high, at } of entries) {
    const slot = (high >>> SLOT_SHIFT) + 1;
    offsets[slot] = (offsets[slot] ?? 0) + sizeAt(at);
  }
  for (let slot = 1; slot <= SLOTS; slot++) offsets[slot] = (offsets[slot] ?? 0) + (offsets[slot - 1] ?? 0);
  write(new Uint8Array(offsets.buffer));
  const out = new Uint8Array(WRITE);
  let filled = 0;
  for (const { at } of entries) {
    const bytes = buffer.subarray(at, at + sizeAt(at));
    if (filled + bytes.length > WRITE) {
      write(out.subarray(0, filled));
      filled = 0;
    }
    if (bytes.length > WRITE) write(bytes);
    else {
      out.set(bytes, filled);
      filled += bytes.length;
    }
  }
  write(out.subarray(0, filled));
}

/** A part file for reading. */
export type PartReader = {
  readonly counts: PartCounts;
  /** Bytes of the records of each slot, added to `sums`. */
  readonly addSizes: (sums: Float64Array) => void;
  /** Calls back for each record whose key is in the slots `from` to `to - 1`. */
  readonly read: (from: number, to: number, take: (entry: BucketEntry) => void) => void;
};

/** A record of a bucket with what orders it. */
export type BucketEntry = Entry & { readonly data: Uint8Array };

function readAt(path: string, from: number, length: number): Uint8Array {
  const handle = openSync(path, "r");
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = readSync(handle, bytes, at, length - at, from + at);
      if (count === 0) throw damaged(path);
      at += count;
    }
    return bytes;
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

/** Opens a part file that was committed. */
export function partReader(path: string): PartReader {
  const { size } = statSync(path);
  if (size < 4) throw damaged(path);
  const tail = readAt(path, size - 4, 4);
  const length = new DataView(tail.buffer).getUint32(0);
  if (length + 4 > size) throw damaged(path);
  const { runs, counts } = JSON.parse(
    new TextDecoder().decode(readAt(path, size - 4 - length, length)),
  ) as PartIndex;
  const dataOf = (from: number): number => from + 8 * (SLOTS + 1);
  return {
    counts,
    addSizes: (sums) => {
      for (const { from } of runs) {
        const offsets = new Float64Array(readAt(path, from, 8 * (SLOTS + 1)).buffer);
        for (let slot = 0; slot < SLOTS; slot++) {
          sums[slot] = (sums[slot] ?? 0) + (offsets[slot + 1] ?? 0) - (offsets[slot] ?? 0);
        }
      }
    },
    read: (from, to, take) => {
      for (const run of runs) {
        const offset = (slot: number): number =>
          new Float64Array(readAt(path, run.from + 8 * slot, 8).buffer)[0] ?? 0;
        const [start, end] = [offset(from), offset(to)];
        if (end > start) readEntries(readAt(path, dataOf(run.from) + start, end - start), take);
      }
    },
  };
}

function readEntries(bytes: Uint8Array, take: (entry: BucketEntry) => void): void {
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at + 24);
    const key = {
      document: view.getFloat64(at + 8),
      pass: view.getUint32(at + 16),
      index: view.getUint32(at + 20),
    };
    const data = bytes.subarray(at + HEAD, at + HEAD + length);
    take({ high: view.getUint32(at), low: view.getUint32(at + 4), at, key, data });
    at += HEAD + length;
  }
}

/** The records of a range of slots over all part files, in their final order. */
export function readBucket(readers: readonly PartReader[], from: number, to: number): BucketEntry[] {
  const entries: BucketEntry[] = [];
  for (const reader of readers) reader.read(from, to, (entry) => entries.push(entry));
  return entries.sort(byKey);
}
