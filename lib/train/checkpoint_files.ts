/**
 * The folder of a checkpoint as files: written under a temporary name, every file flushed, the manifest of byte lengths
 * and SHA-256 last, then renamed; believed only when its manifest verifies. Knows nothing of models, so that the thread
 * that saves loads little more than this. The recipe is that of orbax: a rename is the act that finishes.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pid, platform } from "node:process";
import { CorruptFileError, crc32c, readSafetensorsFile, safetensorsPieces } from "../formats/mod.ts";

/** One file of a checkpoint: bytes, or float32 tensors that become a safetensors file. */
export type CheckpointFile = {
  readonly name: string;
  readonly content:
    | { readonly bytes: Uint8Array }
    | {
      readonly tensors: {
        readonly [name: string]: { readonly shape: number[]; readonly data: Float32Array };
      };
    };
};

/** A checkpoint ready to be written; it holds no functions, so that it can be handed to a thread. */
export type PackedCheckpoint = {
  /** An output_dir. */
  readonly folder: string;
  readonly step: number;
  readonly files: readonly CheckpointFile[];
  /** Checkpoints kept, 0 keeps all. */
  readonly keep: number;
  /** Steps whose checkpoints stay all the same. */
  readonly protect: readonly number[];
};

/** What saving does to the disk, so that a test can let each of it fail. */
export type Disk = {
  readonly makeFolder: (path: string) => void;
  /** Writes a new file and flushes it to the device. */
  readonly write: (path: string, pieces: readonly Uint8Array[]) => void;
  /** Flushes the entries of a folder. */
  readonly flush: (path: string) => void;
  readonly rename: (from: string, to: string) => void;
  /** Removes a file or folder, if it is there. */
  readonly remove: (path: string) => void;
};

/** The real one. */
export const disk: Disk = {
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  write: (path, pieces) => {
    const handle = openSync(path, "wx");
    try {
      for (const bytes of pieces) {
        for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at, bytes.length - at);
      }
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  },
  flush: (path) => {
    if (platform === "win32") return; // a folder cannot be opened there
    const handle = openSync(path, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  },
  rename: renameSync,
  remove: (path) => rmSync(path, { recursive: true, force: true }),
};

/** One file of the manifest. The CRC-32C of its tensors, eight hexadecimal digits each, tell which one is damaged. */
type Entry = {
  readonly bytes: number;
  readonly sha256: string;
  readonly tensors?: { readonly [name: string]: string };
};

const checksum = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  crc32c(new Uint8Array(buffer, byteOffset, byteLength)).toString(16).padStart(8, "0");

/** Name of the folder of a step. */
export const stepName = (step: number): string => `step-${String(step).padStart(6, "0")}`;

/** Steps of the finished checkpoints in a folder, oldest first; they are not verified. */
export function stepsIn(folder: string): number[] {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(folder).flatMap((name) => {
    const found = /^step-(\d{6,})$/.exec(name);
    return found === null ? [] : [Number(found[1])];
  }).sort((a, b) => a - b);
}

function prepared(
  { name, content }: CheckpointFile,
): { readonly pieces: Uint8Array[]; readonly entry: Entry } {
  const tensors = "tensors" in content ? content.tensors : undefined;
  const pieces = "bytes" in content ? [content.bytes] : safetensorsPieces(
    Object.fromEntries(
      Object.entries(content.tensors).map(([key, each]) => [key, { dtype: "F32", ...each }]),
    ),
  );
  const hash = createHash("sha256");
  pieces.forEach((piece) => hash.update(piece));
  const sums = tensors === undefined ? {} : {
    tensors: Object.fromEntries(Object.entries(tensors).map(([key, { data }]) => [key, checksum(data)])),
  };
  if (name === "manifest.json") {
    throw new RangeError("Cannot save the file manifest.json: the name is reserved");
  }
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return { pieces, entry: { bytes, sha256: hash.digest("hex"), ...sums } };
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "no space is left on the device; free some",
  EDQUOT: "the quota of the device is used up; free some",
  EROFS: "the device cannot be written to; choose another output_dir",
  EACCES: "no permission to write there; choose another output_dir",
  EPERM: "no permission to write there; choose another output_dir",
  ENOTDIR: "a file is where a folder is needed; choose another output_dir",
  EEXIST: "a file is where a folder is needed; choose another output_dir",
};

/** An error of the disk in words: what was tried, why it failed, what to do. */
export function failedWrite(what: string, error: unknown, advice: string = ""): Error {
  const { code = "", message } = error as { code?: string; message: string };
  return new Error(`Cannot ${what}: ${reasons[code] ?? message}${advice}`, { cause: error });
}

/** The one text of a manifest; its last key is the SHA-256 of the rest. */
function manifestText(files: { readonly [name: string]: Entry }): string {
  const rest = { format: "albert-guide checkpoint", version: 2, files };
  const sha256 = createHash("sha256").update(JSON.stringify(rest)).digest("hex");
  return `${JSON.stringify({ ...rest, sha256 }, null, 2)}\n`;
}

/**
 * The entries of a manifest, once it holds against itself: version 2 must be, to the byte, the text that was written;
 * version 1 had no checksum, so it must at least have the keys of a version 1.
 */
function readManifest(path: string, bad: (reason: string) => CorruptFileError): Record<string, Entry> {
  let text: string;
  let manifest: { readonly version?: unknown; readonly files?: Record<string, Entry> | null } | null;
  try {
    text = readFileSync(path, "utf8");
    manifest = JSON.parse(text);
  } catch (error) {
    throw bad(`its manifest cannot be read, it may be unfinished (${(error as Error).message})`);
  }
  const files = manifest?.files;
  if (typeof files !== "object" || files === null) throw bad("its manifest lists no files");
  const old = manifest?.version === 1 && Object.keys(manifest).sort().join() === "files,format,version";
  if (!old && text !== manifestText(files)) {
    throw bad("manifest.json is damaged, it is not what its own SHA-256 says");
  }
  return files;
}

/** Writes a checkpoint and then removes the oldest ones. Returns the path of its folder. */
export function writeCheckpoint(
  { folder, step, files, keep, protect }: PackedCheckpoint,
  on: Disk = disk,
): string {
  const path = join(folder, stepName(step));
  const temporary = `${path}.tmp-${pid}`;
  try {
    on.makeFolder(folder);
    on.remove(temporary);
    on.makeFolder(temporary);
    const manifest: Record<string, Entry> = {};
    for (const file of files) {
      const { pieces, entry } = prepared(file);
      on.write(join(temporary, file.name), pieces);
      manifest[file.name] = entry;
    }
    on.write(join(temporary, "manifest.json"), [new TextEncoder().encode(manifestText(manifest))]);
    on.flush(temporary);
    // Only a damaged or older copy of the same step can stand in the way.
    on.remove(path);
    on.rename(temporary, path);
    on.flush(folder);
    prune(folder, path, { keep, protect }, on);
  } catch (error) {
    try {
      on.remove(temporary);
    } catch {
      // The disk that failed may fail again; the next save clears what is left.
    }
    const newest = stepsIn(folder).at(-1);
    throw failedWrite(
      `save the checkpoint ${path}`,
      error,
      newest === undefined
        ? "; the same command begins again"
        : `; the same command goes on from ${stepName(newest)}`,
    );
  }
  return path;
}

/** Removes the oldest checkpoints and left-over temporary folders, after the newest verified. */
function prune(
  folder: string,
  newest: string,
  { keep, protect }: Pick<PackedCheckpoint, "keep" | "protect">,
  on: Disk,
): void {
  verifyCheckpoint(newest);
  for (const name of readdirSync(folder)) {
    if (/^step-\d+\.tmp-\d+$/.test(name)) on.remove(join(folder, name));
  }
  if (keep === 0) return;
  for (const step of stepsIn(folder).slice(0, -keep)) {
    if (!protect.includes(step)) on.remove(join(folder, stepName(step)));
  }
}

/** Length and SHA-256 of a file, read in blocks. */
function measure(path: string): { readonly size: number; readonly sha256: string } {
  const handle = openSync(path, "r");
  try {
    const hash = createHash("sha256");
    const block = new Uint8Array(Math.min(1 << 20, fstatSync(handle).size + 1));
    let size = 0;
    for (let got = readSync(handle, block); got > 0; got = readSync(handle, block)) {
      hash.update(block.subarray(0, got));
      size += got;
    }
    return { size, sha256: hash.digest("hex") };
  } finally {
    closeSync(handle);
  }
}

/** Which tensor of a file is not the one that was written, as far as its header still tells. */
function damagedTensor(path: string, { tensors: sums = {} }: Entry): string {
  try {
    const { tensors } = readSafetensorsFile(path);
    const wrong = Object.entries(sums).filter(([name, sum]) => {
      const data = tensors[name]?.data;
      return data === undefined || checksum(data) !== sum;
    }).map(([name]) => name);
    return wrong.length === 0 ? "" : `: tensor ${wrong.join(", ")} is damaged`;
  } catch (error) {
    return Object.keys(sums).length === 0 ? "" : `: its header is damaged (${(error as Error).message})`;
  }
}

/** Checks a folder against its manifest; names the first thing that is wrong. */
export function verifyCheckpoint(path: string): void {
  const manifest = join(path, "manifest.json");
  const bad = (reason: string, file: string = manifest): CorruptFileError =>
    new CorruptFileError(`Cannot use the checkpoint ${path}: ${reason}`, { path: file });
  const files = readManifest(manifest, bad);
  for (const [name, entry] of Object.entries(files)) {
    const file = join(path, name);
    if (!existsSync(file)) throw bad(`${name} is missing`, file);
    const { size, sha256 } = measure(file);
    if (size !== entry.bytes) throw bad(`${name} has ${size} bytes, the manifest says ${entry.bytes}`, file);
    if (sha256 !== entry.sha256) {
      const which = damagedTensor(file, entry);
      throw bad(`${name} has SHA-256 ${sha256}, the manifest says ${entry.sha256}${which}`, file);
    }
  }
}
