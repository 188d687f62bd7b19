/**
 * Checkpoints: a folder `step-000123` with the weights, both moments, the state of the run and a manifest of byte
 * lengths and SHA-256. It is written under a temporary name, every file flushed, the manifest last, and renamed; a reader
 * takes only a folder whose manifest verifies, and an older one is removed only after the next verifies. So a run that is
 * killed at any instant leaves the old checkpoint or the new one.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pid, platform } from "node:process";
import { type AlbertConfig, albertConfigToJson, parseAlbertConfig } from "../config/mod.ts";
import {
  CorruptFileError,
  crc32c,
  readSafetensors,
  readSafetensorsFile,
  writeSafetensors,
} from "../formats/mod.ts";
import { albertParameters } from "../model/mod.ts";

/** Float32 values by name. */
export type NamedValues = { readonly [name: string]: Float32Array };

/** The count of evaluations without a lower held-out loss on [MASK]. */
export type EarlyStop = {
  readonly best_loss: number;
  readonly best_step: number;
  /** Evaluations since. */
  readonly waited: number;
};

/**
 * Where a run stands, besides weights and moments; readable JSON in `state.json`.
 *
 * @example
 * ```ts
 * import type { RunState } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const fresh: RunState = { step: 0, position: 0, totals: [], steps_in_totals: 0, run: {} };
 * assert.equal(fresh.step, 0);
 * ```
 */
export type RunState = {
  /** Updates done. */
  readonly step: number;
  /** Examples read, over all epochs. Order and dropout follow from it, the step and the seed. */
  readonly position: number;
  /** Sums of the metrics since the last log line. */
  readonly totals: readonly number[];
  /** Steps in those sums. */
  readonly steps_in_totals: number;
  /** The configuration of the run. */
  readonly run: object;
  /** SHA-256 of config, and as far as they were told of tokenizer and records. */
  readonly hashes?: { readonly [name: string]: string };
  /** With `early_stop`: the best held-out evaluation. */
  readonly early_stop?: EarlyStop;
  /** In a schedule of stages: which one, from 1, the step it began at, and what the finished ones ran with. */
  readonly stage?: {
    readonly number: number;
    readonly first_step: number;
    readonly moments: "fresh" | "carried";
    readonly before: readonly FinishedStage[];
  };
};

/** What a finished stage ran with, compared on resume. */
export type FinishedStage = Pick<RunState, "run" | "hashes"> & { readonly moments: "fresh" | "carried" };

/**
 * A checkpoint in memory.
 *
 * @example
 * ```ts
 * import type { Checkpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const names = ({ parameters }: Checkpoint): string[] => Object.keys(parameters);
 * assert.equal(typeof names, "function");
 * ```
 */
export type Checkpoint = {
  /** Folder it was read from. */
  readonly path: string;
  readonly config: AlbertConfig;
  /** Weights by TensorFlow name. */
  readonly parameters: NamedValues;
  /** First moments by the names of the weights; undefined in a folder without them. */
  readonly m?: NamedValues;
  /** Second moments. */
  readonly v?: NamedValues;
  readonly state: RunState;
};

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function flushFolder(path: string): void {
  if (platform === "win32") return; // a folder cannot be opened there
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function writeFlushed(path: string, bytes: Uint8Array): void {
  const handle = openSync(path, "wx");
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at, bytes.length - at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** One file of the manifest. The CRC-32C of its tensors, eight hexadecimal digits each, tell which one is damaged. */
type Entry = {
  readonly bytes: number;
  readonly sha256: string;
  readonly tensors?: { readonly [name: string]: string };
};

const checksum = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  crc32c(new Uint8Array(buffer, byteOffset, byteLength)).toString(16).padStart(8, "0");

/** Which tensor of a file is not the one that was written, as far as its header still tells. */
function damagedTensor(bytes: Uint8Array, { tensors: sums = {} }: Entry, path: string): string {
  try {
    const { tensors } = readSafetensors(bytes, { path });
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
function verify(path: string): void {
  const manifest = join(path, "manifest.json");
  const bad = (reason: string, file: string = manifest): CorruptFileError =>
    new CorruptFileError(`Cannot use the checkpoint ${path}: ${reason}`, { path: file });
  let files: Record<string, Entry>;
  try {
    files = (JSON.parse(readFileSync(manifest, "utf8")) as { files: Record<string, Entry> }).files;
  } catch (error) {
    throw bad(`its manifest cannot be read, it may be unfinished (${(error as Error).message})`);
  }
  if (typeof files !== "object" || files === null) throw bad("its manifest lists no files");
  for (const [name, entry] of Object.entries(files)) {
    const file = join(path, name);
    if (!existsSync(file)) throw bad(`${name} is missing`, file);
    const { size } = statSync(file);
    if (size !== entry.bytes) throw bad(`${name} has ${size} bytes, the manifest says ${entry.bytes}`, file);
    const bytes = readFileSync(file);
    const found = sha256(bytes);
    if (found !== entry.sha256) {
      const which = damagedTensor(bytes, entry, file);
      throw bad(`${name} has SHA-256 ${found}, the manifest says ${entry.sha256}${which}`, file);
    }
  }
}

const stepName = (step: number): string => `step-${String(step).padStart(6, "0")}`;

/** Steps of the finished checkpoints in a folder, oldest first; they are not verified. */
function stepsIn(folder: string): number[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const found = /^step-(\d{6,})$/.exec(name);
    return found === null ? [] : [Number(found[1])];
  }).sort((a, b) => a - b);
}

function slots(m: NamedValues, v: NamedValues): NamedValues {
  return Object.fromEntries(
    Object.keys(m).flatMap((name) => [
      [`${name}/adam_m`, m[name] as Float32Array],
      [`${name}/adam_v`, v[name] as Float32Array],
    ]),
  );
}

/** Writes a checkpoint into `folder` and removes the oldest beyond `keep` (0 keeps all) but `protect`. Returns its path. */
export function saveCheckpoint(
  folder: string,
  { config, parameters, m, v, state }: Omit<Required<Checkpoint>, "path">,
  { keep, protect, attachments = {} }: {
    readonly keep: number;
    readonly protect?: number;
    readonly attachments?: { readonly [name: string]: Uint8Array };
  },
): string {
  const shapes = new Map(albertParameters(config).map(({ name, shape }) => [name, shape]));
  const moments = slots(m, v);
  const file = (values: NamedValues, of: (name: string) => string): Uint8Array =>
    writeSafetensors(Object.fromEntries(
      Object.entries(values).map(([name, data]) => [
        name,
        { dtype: "F32", shape: shapes.get(of(name)) ?? [data.length], data },
      ]),
    ));
  const text = new TextEncoder();
  const files: Record<string, Uint8Array> = {
    ...attachments,
    "albert_config.json": text.encode(albertConfigToJson(config)),
    "model.safetensors": file(parameters, (name) => name),
    "optimizer.safetensors": file(moments, (name) => name.replace(/\/adam_[mv]$/, "")),
    "state.json": text.encode(`${JSON.stringify(state, null, 2)}\n`),
  };
  const path = join(folder, stepName(state.step));
  const temporary = `${path}.tmp-${pid}`;
  mkdirSync(folder, { recursive: true });
  rmSync(temporary, { recursive: true, force: true });
  try {
    mkdirSync(temporary);
    for (const [name, bytes] of Object.entries(files)) writeFlushed(join(temporary, name), bytes);
    const sums = (values: NamedValues) => ({
      tensors: Object.fromEntries(Object.entries(values).map(([name, data]) => [name, checksum(data)])),
    });
    const manifest = Object.fromEntries(
      Object.entries(files).map(([name, bytes]): [string, Entry] => [name, {
        bytes: bytes.length,
        sha256: sha256(bytes),
        ...(name === "model.safetensors" ? sums(parameters) : {}),
        ...(name === "optimizer.safetensors" ? sums(moments) : {}),
      }]),
    );
    const json = JSON.stringify({ format: "albert-guide checkpoint", version: 1, files: manifest }, null, 2);
    writeFlushed(join(temporary, "manifest.json"), text.encode(`${json}\n`));
    flushFolder(temporary);
    // Only a damaged or older copy of the same step can stand in the way.
    rmSync(path, { recursive: true, force: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw new Error(`Cannot save the checkpoint ${path}: ${(error as Error).message}`, { cause: error });
  }
  flushFolder(folder);
  prune(folder, path, keep, protect);
  return path;
}

/** Removes the oldest checkpoints and left-over temporary folders, after the newest verified. */
function prune(folder: string, newest: string, keep: number, protect: number | undefined): void {
  verify(newest);
  for (const name of readdirSync(folder)) {
    if (/^step-\d+\.tmp-\d+$/.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  if (keep === 0) return;
  for (const step of stepsIn(folder).slice(0, -keep)) {
    if (step !== protect) rmSync(join(folder, stepName(step)), { recursive: true, force: true });
  }
}

/**
 * The newest checkpoint of a folder that verifies.
 *
 * @param folder An output_dir.
 * @returns Path of the checkpoint, or undefined when there is none.
 * @throws {CorruptFileError} When checkpoints exist and none verifies.
 * @example
 * ```ts
 * import { latestCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.equal(latestCheckpoint(mkdtempSync(`${tmpdir()}/albert-`)), undefined);
 * ```
 */
export function latestCheckpoint(folder: string): string | undefined {
  let damaged: unknown;
  for (const step of stepsIn(folder).reverse()) {
    const path = join(folder, stepName(step));
    try {
      verify(path);
      return path;
    } catch (error) {
      damaged ??= error;
    }
  }
  if (damaged !== undefined) throw damaged;
  return undefined;
}

function valuesOf(path: string): Record<string, Float32Array> {
  const { tensors } = readSafetensorsFile(path);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, data }]) => {
      if (!(data instanceof Float32Array)) {
        throw new CorruptFileError(`Cannot use ${path}: tensor ${name} is ${dtype}, expected F32`, { path });
      }
      return [name, data];
    }),
  );
}

function checkShapes(path: string, config: AlbertConfig, values: NamedValues): void {
  for (const { name, shape } of albertParameters(config)) {
    const wanted = shape.reduce((product, size) => product * size, 1);
    const found = values[name]?.length;
    if (found !== wanted) {
      throw new CorruptFileError(
        `Cannot use the checkpoint ${path}: ${name} has ${
          found ?? "no"
        } values, its config asks for ${wanted}`,
        { path },
      );
    }
  }
}

/**
 * Reads a checkpoint. Its manifest, every file and every shape are checked first.
 *
 * @param path A `step-…` folder, or an output_dir, whose newest good checkpoint is taken.
 * @returns Config, weights, moments and state.
 * @throws {CorruptFileError} When anything is damaged or missing; names the file.
 * @throws {Error} When the folder holds no checkpoint.
 * @example
 * ```ts
 * import { readCheckpoint } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * assert.throws(() => readCheckpoint(mkdtempSync(`${tmpdir()}/albert-`)), /there is no checkpoint/);
 * ```
 */
export function readCheckpoint(path: string): Checkpoint {
  const found = existsSync(join(path, "manifest.json")) ? path : latestCheckpoint(path);
  if (found === undefined) {
    throw new Error(`Cannot read a checkpoint: there is no checkpoint in ${path}; name a step-… folder`);
  }
  verify(found);
  const file = join(found, "albert_config.json");
  const config = parseAlbertConfig(JSON.parse(readFileSync(file, "utf8")), { path: file });
  const parameters = valuesOf(join(found, "model.safetensors"));
  checkShapes(found, config, parameters);
  const state = JSON.parse(readFileSync(join(found, "state.json"), "utf8")) as RunState;
  if (!existsSync(join(found, "optimizer.safetensors"))) return { path: found, config, parameters, state };
  const moments = valuesOf(join(found, "optimizer.safetensors"));
  const pick = (slot: string): Record<string, Float32Array> =>
    Object.fromEntries(
      Object.keys(parameters).map((name) => [name, moments[`${name}/${slot}`] as Float32Array]),
    );
  const [m, v] = [pick("adam_m"), pick("adam_v")];
  checkShapes(found, config, m);
  checkShapes(found, config, v);
  return { path: found, config, parameters, m, v, state };
}
