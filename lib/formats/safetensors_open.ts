/**
 * safetensors files on disk: opened by their header, then read tensor by tensor, so that a file may be larger than memory; a
 * model in several files is opened by its index. Facts: the index of transformers, `weight_map` from tensor to file.
 */
import { closeSync, existsSync, fstatSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { CorruptFileError } from "./errors.ts";
import { readJsonFile } from "./json.ts";
import { readRange } from "./read_range.ts";
import type { SafetensorsFile, SafetensorsTensor, SafetensorsType } from "./safetensors.ts";
import { type Entry, headerLength, parseHeader, refuser, tensorOf } from "./safetensors_header.ts";

/**
 * An opened file: its header in memory, its values on disk.
 *
 * @example
 * ```ts
 * import { openSafetensors, type OpenedSafetensors, writeFileAtomic, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.safetensors`;
 * writeFileAtomic(path, writeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * const opened: OpenedSafetensors = openSafetensors(path);
 * assert.deepEqual(opened.tensors["w"]?.shape, [2]);
 * ```
 */
export type OpenedSafetensors = {
  /** Type, shape and bytes of every tensor, by name. */
  readonly tensors: {
    readonly [name: string]: {
      readonly dtype: SafetensorsType;
      readonly shape: readonly number[];
      /** Bytes of its values. */
      readonly bytes: number;
      /** The file it lies in. */
      readonly file: string;
    };
  };
  readonly metadata: { readonly [key: string]: string };
  /** The values of one tensor. */
  readonly read: (name: string) => SafetensorsTensor;
};

type Place = { readonly entry: Entry; readonly file: string; readonly start: number };

function withFile<Result>(path: string, use: (handle: number) => Result): Result {
  let handle: number;
  try {
    handle = openSync(path, "r");
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    const reason = code === "ENOENT"
      ? "there is no such file"
      : code === "EACCES"
      ? "no permission to read it"
      : message;
    throw new Error(`Cannot read safetensors ${path}: ${reason}`, { cause: error });
  }
  try {
    return use(handle);
  } finally {
    closeSync(handle);
  }
}

function openOne(
  path: string,
): { readonly places: readonly Place[]; readonly metadata: Record<string, string> } {
  const refuse = refuser(path);
  return withFile(path, (handle) => {
    const { size } = fstatSync(handle);
    const length = headerLength(readRange(handle, 0, Math.min(8, size), refuse), size, refuse);
    const { entries, metadata } = parseHeader(
      readRange(handle, 8, length, refuse),
      size - 8 - length,
      refuse,
    );
    return { metadata, places: entries.map((entry) => ({ entry, file: path, start: 8 + length })) };
  });
}

/** The files that an index names, and the tensors it promises in each. */
function readIndex(path: string): ReadonlyMap<string, readonly string[]> {
  const bad = (reason: string): CorruptFileError =>
    new CorruptFileError(`Cannot read the index ${path}: ${reason}`, { path });
  const parsed = readJsonFile(path) as { readonly weight_map?: unknown } | null;
  const map = parsed?.weight_map;
  if (typeof map !== "object" || map === null) throw bad("it has no weight_map");
  const files = new Map<string, string[]>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || /[\\/]|^\.\.?$/.test(file)) {
      throw bad(`${name} is in ${JSON.stringify(file)}, which is no name of a file beside it`);
    }
    files.set(file, [...(files.get(file) ?? []), name]);
  }
  return files;
}

function openParts(
  path: string,
): { readonly places: readonly Place[]; readonly metadata: Record<string, string> } {
  const places: Place[] = [];
  const metadata: Record<string, string> = {};
  for (const [name, promised] of readIndex(path)) {
    const file = join(dirname(path), name);
    if (!existsSync(file)) {
      throw new CorruptFileError(
        `Cannot read the index ${path}: ${promised[0]} is in ${name}, which is missing`,
        {
          path,
        },
      );
    }
    const part = openOne(file);
    const there = new Set(part.places.map(({ entry }) => entry.name));
    const missing = promised.find((tensor) => !there.has(tensor));
    if (missing !== undefined) {
      throw new CorruptFileError(
        `Cannot read ${file}: ${path} says that ${missing} is in it, and it is not`,
        {
          path: file,
        },
      );
    }
    const wanted = new Set(promised);
    places.push(...part.places.filter(({ entry }) => wanted.has(entry.name)));
    Object.assign(metadata, part.metadata);
  }
  return { places, metadata };
}

/**
 * Opens a safetensors file without reading its values.
 *
 * @param path The file, or the index (`….index.json`) of a model in several files.
 * @returns What is inside, and a function that reads one tensor.
 * @throws {CorruptFileError} When a rule of the format is broken, or an index names what is not there.
 * @throws {RangeError} From `read`, when there is no such tensor.
 * @throws {Error} When a file cannot be opened.
 * @example
 * ```ts
 * import { openSafetensors, writeFileAtomic, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.safetensors`;
 * writeFileAtomic(path, writeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * assert.deepEqual(openSafetensors(path).read("w").data, Float32Array.of(1, 2));
 * ```
 */
export function openSafetensors(path: string): OpenedSafetensors {
  const { places, metadata } = path.endsWith(".json") ? openParts(path) : openOne(path);
  const byName = new Map(places.map((place) => [place.entry.name, place]));
  return {
    metadata,
    tensors: Object.fromEntries(places.map(({ entry: { name, dtype, shape, begin, end }, file }) => [
      name,
      { dtype, shape, bytes: end - begin, file },
    ])),
    read: (name) => {
      const place = byName.get(name);
      if (place === undefined) {
        throw new RangeError(`Cannot read ${name} from ${path}: there is no such tensor`);
      }
      const { entry, file, start } = place;
      const { begin, end } = entry;
      return withFile(
        file,
        (handle) => tensorOf(entry, readRange(handle, start + begin, end - begin, refuser(file))),
      );
    },
  };
}

/**
 * Reads a safetensors file, tensor by tensor, so that memory holds each value once.
 *
 * @param path The file, or the index of a model in several files.
 * @returns Tensors by name.
 * @throws {CorruptFileError} When a rule of the format is broken, or an index names what is not there.
 * @throws {Error} When the file cannot be opened.
 * @example
 * ```ts
 * import { readSafetensorsFile, writeFileAtomic, writeSafetensors } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/model.safetensors`;
 * writeFileAtomic(path, writeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * assert.deepEqual(readSafetensorsFile(path).tensors["w"]?.data, Float32Array.of(1, 2));
 * ```
 */
export function readSafetensorsFile(path: string): SafetensorsFile {
  const { tensors, metadata, read } = openSafetensors(path);
  return { metadata, tensors: Object.fromEntries(Object.keys(tensors).map((name) => [name, read(name)])) };
}
