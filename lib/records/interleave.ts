/**
 * Records of many files in the order of the reference's input pipeline (files shuffled, a few read in turn, a small
 * shuffle buffer), but by seed, and with a position that is saved and restored exactly. A position names each record by
 * file, number and byte, so restoring seeks instead of reading everything again. Source: `input_fn_builder` of the
 * reference: `min(4, files)` files in turn, a buffer of 100.
 */
import { readTfrecords, type TfRecord } from "./tfrecord_read.ts";

/**
 * A record's place: index of the file in the list, its number and its byte there.
 *
 * @example
 * ```ts
 * import type { RecordPlace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const place: RecordPlace = [0, 17, 5312];
 * assert.equal(place.length, 3);
 * ```
 */
export type RecordPlace = readonly [file: number, record: number, byte: number];

/**
 * Where reading stands, as JSON: what was handed out, the open files, and the shuffle buffer.
 *
 * @example
 * ```ts
 * import type { InterleavePosition } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const start: InterleavePosition = { epoch: 0, taken: 0, nextFile: 0, turn: 0, open: [], buffer: [] };
 * assert.equal(start.epoch, 0);
 * ```
 */
export type InterleavePosition = {
  /** Pass over the files, from 0. */
  readonly epoch: number;
  /** Records handed out, over all epochs. */
  readonly taken: number;
  /** Place in this epoch's order of files of the next one to open. */
  readonly nextFile: number;
  /** Which of the open files is next. */
  readonly turn: number;
  /** Next record of each open file. */
  readonly open: readonly RecordPlace[];
  /** Records in the shuffle buffer, in its order. */
  readonly buffer: readonly RecordPlace[];
};

/**
 * Options of `interleaveTfrecords`.
 *
 * @example
 * ```ts
 * import type { InterleaveOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const training: InterleaveOptions = { seed: 7, repeat: true };
 * assert.equal(training.seed, 7);
 * ```
 */
export type InterleaveOptions = {
  /** Seed of the order, default 0. */
  readonly seed?: number;
  /** Files read in turn, default 4. */
  readonly cycle?: number;
  /** Records in the shuffle buffer, default 100; 1 keeps the interleaved order. */
  readonly shuffleBuffer?: number;
  /** Read the files again and again, default false. */
  readonly repeat?: boolean;
  /** Where to go on; default the start. */
  readonly position?: InterleavePosition;
};

type Source = {
  readonly file: number;
  readonly records: AsyncGenerator<TfRecord>;
  ahead: TfRecord | undefined;
};
type Held = { readonly place: RecordPlace; readonly data: Uint8Array };

/** A whole number below n, by seed, a stream's name and a count. */
function draw(seed: number, stream: number, count: number, n: number): number {
  let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(stream + 1, 0x27d4eb2f);
  for (const word of [count >>> 0, Math.floor(count / 2 ** 32)]) {
    h = Math.imul(h ^ word, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return Math.floor((h >>> 0) / 2 ** 32 * n);
}

/** The files of an epoch in their order. */
function fileOrder(count: number, seed: number, epoch: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = draw(seed, 1 + epoch, i, i + 1);
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}

/**
 * Reads files in turn through a shuffle buffer; the same seed gives the same order.
 *
 * @param paths TFRecord files.
 * @param options See `InterleaveOptions`.
 * @returns Each record with the position behind it: pass that as `position` to go on with the next one. It is a
 * function, because most are never saved; call it before the next record is asked for.
 * @throws {CorruptFileError} At the first damaged record.
 * @throws {RangeError} When there is no record at all.
 * @example
 * ```ts
 * import { type InterleavePosition, interleaveTfrecords, tfrecordWriter } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * const paths = ["a", "b"].map((name) => `${folder}/${name}`);
 * for (const [file, path] of paths.entries()) {
 *   const writer = tfrecordWriter(path);
 *   for (let i = 0; i < 5; i++) writer.write(Uint8Array.of(10 * file + i));
 *   writer.commit();
 * }
 * const read = async (position?: InterleavePosition) => {
 *   const seen: { value: number | undefined; position: InterleavePosition }[] = [];
 *   const options = { seed: 3, shuffleBuffer: 4, ...(position ? { position } : {}) };
 *   for await (const { data, position } of interleaveTfrecords(paths, options)) {
 *     seen.push({ value: data[0], position: position() });
 *   }
 *   return seen;
 * };
 * const all = await read();
 * assert.deepEqual((await read(all[5]?.position)).map(({ value }) => value), all.slice(6).map(({ value }) => value));
 * ```
 */
export async function* interleaveTfrecords(
  paths: readonly string[],
  { seed = 0, cycle = 4, shuffleBuffer = 100, repeat = false, position }: InterleaveOptions = {},
): AsyncGenerator<TfRecord & { readonly path: string; readonly position: () => InterleavePosition }> {
  let { epoch, taken, nextFile, turn } = position ?? { epoch: 0, taken: 0, nextFile: 0, turn: 0 };
  let order = fileOrder(paths.length, seed, epoch);
  const pathOf = (file: number): string => paths[file] ?? "";
  const openAt = async ([file, record, byte]: RecordPlace): Promise<Source> => {
    const records = readTfrecords(pathOf(file), { record, byte });
    return { file, records, ahead: (await records.next()).value as TfRecord | undefined };
  };
  const open: Source[] = [];
  const buffer: Held[] = [];
  /** The next record in interleaved order; undefined when the epoch is over. */
  const pull = async (): Promise<Held | undefined> => {
    for (;;) {
      while (open.length < cycle && nextFile < paths.length) {
        const source = await openAt([order[nextFile++] ?? 0, 0, 0]);
        if (source.ahead !== undefined) open.push(source);
      }
      if (open.length === 0) return undefined;
      turn %= open.length;
      const source = open[turn];
      const found = source?.ahead;
      if (source === undefined || found === undefined) {
        open.splice(turn, 1);
        continue;
      }
      source.ahead = (await source.records.next()).value as TfRecord | undefined;
      if (source.ahead === undefined) open.splice(turn, 1); // the next file takes a place at the end
      else turn++;
      return { place: [source.file, found.index, found.byte], data: found.data };
    }
  };
  const save = (): InterleavePosition => ({
    epoch,
    taken,
    nextFile,
    turn,
    open: open.flatMap(({ file, ahead }) =>
      ahead === undefined ? [] : [[file, ahead.index, ahead.byte] as const]
    ),
    buffer: buffer.map(({ place }) => place),
  });
  try {
    for (const place of position?.open ?? []) open.push(await openAt(place));
    for (const place of position?.buffer ?? []) {
      buffer.push({ place, data: await oneRecord(pathOf(place[0]), place) });
    }
    for (let more = true; more || buffer.length > 0;) {
      while (more && buffer.length < Math.max(1, shuffleBuffer)) {
        const found = await pull();
        if (found !== undefined) {
          buffer.push(found);
          continue;
        }
        if (taken === 0 && buffer.length === 0) {
          throw new RangeError(`Cannot read records: there is none in ${paths.join(", ") || "no file"}`);
        }
        more = repeat;
        if (!repeat) break;
        order = fileOrder(paths.length, seed, ++epoch);
        nextFile = 0;
        turn = 0;
      }
      const index = draw(seed, 0, taken, buffer.length);
      const chosen = buffer[index];
      const last = buffer.pop();
      if (chosen === undefined || last === undefined) return;
      if (chosen !== last) buffer[index] = last;
      taken++;
      const [file, record, byte] = chosen.place;
      yield { index: record, byte, data: chosen.data, path: pathOf(file), position: save };
    }
  } finally {
    for (const { records } of open) await records.return(undefined);
  }
}

async function oneRecord(path: string, [, record, byte]: RecordPlace): Promise<Uint8Array> {
  for await (const { data } of readTfrecords(path, { record, byte })) return data;
  throw new RangeError(
    `Cannot go on reading ${path}: it has no record at byte ${byte}; were the records made again?`,
  );
}
