/**
 * safetensors written to disk: tensor after tensor, so that memory holds no second copy, and in several files with an index
 * where one would be too large. Facts: transformers' names of the parts and its index, `weight_map` from tensor to file.
 */
import { join } from "node:path";
import { openAtomic, writeFileAtomic } from "./atomic.ts";
import { compareNames } from "./elements.ts";
import { safetensorsPieces, type SafetensorsTensor } from "./safetensors.ts";

type Tensors = { readonly [name: string]: SafetensorsTensor };

/**
 * How `writeSafetensorsFiles` writes.
 *
 * @example
 * ```ts
 * import type { SafetensorsFilesOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: SafetensorsFilesOptions = { maxShardBytes: 5e9 };
 * assert.equal(options.name, undefined);
 * ```
 */
export type SafetensorsFilesOptions = {
  /** Name of the file without its ending; default `model`. */
  readonly name?: string;
  /** Bytes of values that a file holds at most, but one tensor at least; default all. */
  readonly maxShardBytes?: number;
  /** Text by key, in every file; default `{ format: "pt" }`. */
  readonly metadata?: { readonly [key: string]: string };
};

function writePieces(path: string, pieces: readonly Uint8Array[]): void {
  const file = openAtomic(path);
  for (const piece of pieces) file.write(piece);
  file.commit();
}

/** Tensors in the order of names, cut into files of at most so many bytes. */
function shardsOf(tensors: Tensors, most: number): Tensors[] {
  const shards: (readonly [string, SafetensorsTensor])[][] = [[]];
  let bytes = 0;
  for (const entry of Object.entries(tensors).sort(([a], [b]) => compareNames(a, b))) {
    const { byteLength } = entry[1].data;
    if (bytes > 0 && bytes + byteLength > most) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)?.push(entry);
    bytes += byteLength;
  }
  return shards.map((entries) => Object.fromEntries(entries));
}

/**
 * Writes tensors as `model.safetensors`, or as `model-00001-of-0000N.safetensors` with `model.safetensors.index.json` where
 * one file would be larger than wished. The index is written last.
 *
 * @param folder Where to; missing folders are made.
 * @param tensors Tensors by name.
 * @param options Name, largest file, metadata.
 * @returns The paths written; the last is what a reader opens.
 * @throws {RangeError} When the size is no positive number, a shape does not fit its values or a name is reserved.
 * @throws {TypeError} When an array does not fit its dtype.
 * @throws {Error} When a file cannot be written.
 * @example
 * ```ts
 * import { openSafetensors, writeSafetensorsFiles } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const tensor = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * const paths = writeSafetensorsFiles(folder, { a: tensor, b: tensor }, { maxShardBytes: 8 });
 * assert.equal(paths.length, 3);
 * assert.deepEqual(openSafetensors(paths.at(-1) ?? "").read("b").data, tensor.data);
 * ```
 */
export function writeSafetensorsFiles(
  folder: string,
  tensors: Tensors,
  { name = "model", maxShardBytes = Infinity, metadata = { format: "pt" } }: SafetensorsFilesOptions = {},
): string[] {
  if (!(maxShardBytes > 0)) {
    throw new RangeError(`Cannot write safetensors: files of at most ${maxShardBytes} bytes hold nothing`);
  }
  const shards = shardsOf(tensors, maxShardBytes);
  const number = (value: number): string => String(value).padStart(5, "0");
  const nameOf = (k: number): string =>
    shards.length === 1
      ? `${name}.safetensors`
      : `${name}-${number(k + 1)}-of-${number(shards.length)}.safetensors`;
  const paths = shards.map((shard, k) => {
    const path = join(folder, nameOf(k));
    writePieces(path, safetensorsPieces(shard, { metadata }));
    return path;
  });
  if (shards.length === 1) return paths;
  const total_size = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
  const weight_map = Object.fromEntries(
    shards.flatMap((shard, k) => Object.keys(shard).map((key) => [key, nameOf(k)])),
  );
  const index = join(folder, `${name}.safetensors.index.json`);
  writeFileAtomic(index, `${JSON.stringify({ metadata: { total_size }, weight_map }, null, 2)}\n`);
  return [...paths, index];
}
