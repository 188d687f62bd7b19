/**
 * The second pass of `order: "stream"`: which thread writes which range of which output. One process writes whole files;
 * threads share every file in segments, whose places follow from the sizes of the part files, while the first thread
 * hashes what stands.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { openAtomic, openRanged, type RangedFile, writeFileAtomic } from "../formats/mod.ts";
import type { ReportedFile } from "./config.ts";
import type { RecordsRun } from "./create.ts";
import { partReader, SLOTS, type SlotSizes } from "./stream_runs.ts";
import type { Pool } from "./stream_workers.ts";
import { type Buckets, keysFile, partFiles, type SegmentMade, type SegmentTask } from "./stream_work.ts";

const SEGMENT = { least: 1 << 20, most: 1 << 26 }; // bytes
const HASHED = 1 << 20; // bytes hashed at a time

/** What the outputs are made of and how. */
export type OutputsPlan = {
  /** Folder of the part files, and how many it holds. */
  readonly folder: string;
  readonly parts: number;
  readonly outputs: readonly string[];
  /** Bytes of part files that a thread has in memory at a time. */
  readonly bucketBytes: number;
  /** Records of all outputs. */
  readonly total: number;
  /** Whether the files are compressed: such a one is written by one thread from its beginning to its end. */
  readonly compressed: boolean;
  /** Whether the keys of records are written beside each file. */
  readonly keys: boolean;
  /** Threads that share the work; each file is one thread's where there is 1, or many files. */
  readonly threads: number;
};

/** Writes the outputs that are missing; each is noted beside the parts as soon as it stands. */
export async function writeOutputs(
  pool: Pool,
  plan: OutputsPlan,
  { onProgress }: RecordsRun,
): Promise<ReportedFile[]> {
  const { folder, outputs, total } = plan;
  const note = (i: number): string => join(folder, `output-${i}.json`);
  const files: (ReportedFile | undefined)[] = outputs.map((path, i) => {
    if (!existsSync(note(i))) return undefined;
    const found = JSON.parse(readFileSync(note(i), "utf8")) as ReportedFile;
    return statSync(path, { throwIfNoEntry: false })?.size === found.bytes ? found : undefined;
  });
  const missing = outputs.map((_, i) => i).filter((i) => files[i] === undefined);
  let done = files.reduce((sum, file) => sum + (file?.records ?? 0), 0);
  const shared = plan.threads > 1 && !plan.compressed && missing.length < 4 * plan.threads;
  const write = shared ? inSegments : wholeFiles;
  await write(pool, plan, missing, (i, made) => {
    files[i] = made;
    writeFileAtomic(note(i), JSON.stringify(made));
  }, (records) => {
    done += records;
    onProgress?.({ stage: "records: write", done, total, unit: "records" });
  });
  return files.filter((file) => file !== undefined);
}

type WriteFiles = (
  pool: Pool,
  plan: OutputsPlan,
  missing: readonly number[],
  onFile: (output: number, made: ReportedFile) => void,
  onProgress: (records: number) => void,
) => Promise<void>;

const wholeFiles: WriteFiles = (pool, plan, missing, onFile, onProgress) => {
  const sizes = slotSizes(plan);
  const tasks = missing.map((i) => ({
    kind: "output" as const,
    path: plan.outputs[i] ?? "",
    folder: plan.folder,
    parts: plan.parts,
    buckets: bucketsOf(sizes, slotsOf(i, plan), plan.bucketBytes),
    keys: plan.keys,
  }));
  return pool.run(tasks, (task, made) => onFile(missing[task] ?? 0, made as ReportedFile), onProgress);
};

const inSegments: WriteFiles = async (pool, plan, missing, onFile, onProgress) => {
  const sizes = slotSizes(plan);
  const files: ReturnType<typeof segmentedFile>[] = [];
  const commits: Promise<void>[] = [];
  const keep = (commit: Promise<void>): void => {
    commit.catch(() => {}); // whoever waits for all is told
    commits.push(commit);
  };
  try {
    for (const i of missing) files.push(segmentedFile(plan, i, sizes));
    const places = files.flatMap(({ tasks }, file) => tasks.map((_, segment) => ({ file, segment })));
    await pool.run(
      files.flatMap(({ tasks }) => tasks),
      (task, made) => {
        const { file = 0, segment = 0 } = places[task] ?? {};
        const whole = files[file]?.written(segment, made as SegmentMade);
        if (whole !== undefined) keep(whole.then((report) => onFile(missing[file] ?? 0, report)));
      },
      onProgress,
    );
    await Promise.all(commits);
  } finally {
    await Promise.allSettled(commits);
    await Promise.all(files.map(({ discard }) => discard()));
  }
};

/** An output in segments: `written` tells of one and returns the file's report when it was the last. */
function segmentedFile(plan: OutputsPlan, output: number, sizes: SlotSizes): {
  readonly tasks: readonly SegmentTask[];
  readonly written: (segment: number, made: SegmentMade) => Promise<ReportedFile> | undefined;
  readonly discard: () => Promise<void>;
} {
  const { folder, parts, bucketBytes, threads, keys } = plan;
  const path = plan.outputs[output] ?? "";
  const slots = slotsOf(output, plan);
  const bytes = outputBytesOf(sizes, slots);
  const share = Math.min(SEGMENT.most, Math.max(SEGMENT.least, bytes / (4 * threads)));
  const file = openRanged(path, bytes);
  const { temporary } = file;
  const tasks: SegmentTask[] = [];
  const ends: number[] = [];
  for (const [from, to] of groups(slots, share, (slot) => sizes.outputBytes[slot]!)) {
    const at = ends.at(-1) ?? 0;
    const buckets = bucketsOf(sizes, [from, to], bucketBytes);
    tasks.push({ kind: "segment", path, temporary, folder, parts, buckets, at, keys });
    ends.push(at + outputBytesOf(sizes, [from, to]));
  }
  const hash = createHash("sha256");
  const keyFile = keys ? openAtomic(keysFile(path)) : undefined;
  const done = new Map<number, SegmentMade>();
  let [hashed, records] = [0, 0];
  return {
    tasks,
    written: (segment, made) => {
      records += made.records;
      done.set(segment, made);
      for (; done.has(hashed); hashed++) {
        hashRange(hash, file, ends[hashed - 1] ?? 0, ends[hashed] ?? 0);
        for (const some of done.get(hashed)?.keys ?? []) keyFile?.write(some);
        done.set(hashed, { records: 0, keys: [] }); // its memory may go
      }
      file.flush();
      if (hashed < tasks.length) return undefined;
      keyFile?.commit();
      const report = { path, bytes, sha256: hash.digest("hex"), records };
      return file.commit().then(() => report);
    },
    discard: async () => {
      keyFile?.discard();
      await file.discard();
    },
  };
}

function hashRange(
  hash: { readonly update: (bytes: Uint8Array) => unknown },
  file: RangedFile,
  from: number,
  to: number,
): void {
  const buffer = new Uint8Array(Math.min(HASHED, to - from));
  for (let at = from; at < to; at += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, to - at));
    file.read(at, bytes);
    hash.update(bytes);
  }
}

function slotSizes({ folder, parts }: Pick<OutputsPlan, "folder" | "parts">): SlotSizes {
  const sizes = { bytes: new Float64Array(SLOTS), outputBytes: new Float64Array(SLOTS) };
  for (const path of partFiles(folder, parts)) partReader(path).addSizes(sizes);
  return sizes;
}

type Slots = readonly [from: number, to: number];

/** Slots of keys that belong to an output. */
export const slotsOf = (output: number, { outputs: { length } }: Pick<OutputsPlan, "outputs">): Slots => [
  Math.floor(output * SLOTS / length),
  Math.floor((output + 1) * SLOTS / length),
];

/** Bytes of the records of slots in their output. */
const outputBytesOf = ({ outputBytes }: SlotSizes, [from, to]: Slots): number =>
  outputBytes.subarray(from, to).reduce((sum, bytes) => sum + bytes, 0);

/** Groups of slots of about `most` bytes each, of one slot where that is larger. */
function groups([from, to]: Slots, most: number, bytesOf: (slot: number) => number): Buckets {
  const found: Slots[] = [];
  for (let start = from; start < to;) {
    let end = start + 1;
    let sum = bytesOf(start);
    while (end < to && sum + bytesOf(end) <= most) sum += bytesOf(end++);
    found.push([start, end]);
    start = end;
  }
  return found;
}

/** Groups of slots whose part files are read at once. */
const bucketsOf = ({ bytes }: SlotSizes, slots: Slots, most: number): Buckets =>
  groups(slots, most, (slot) => bytes[slot]!); // in range
