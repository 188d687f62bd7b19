/**
 * One text column of a parquet file, row group after row group: the format of the Hugging Face text sets. The reader
 * is hyparquet, loaded only when a parquet file is met; gzip, brotli and zstd pages are unpacked by the runtime.
 */
import { open } from "node:fs/promises";
import * as zlib from "node:zlib";
import { CorruptFileError } from "../formats/mod.ts";
import { optionalPackage } from "../optional_package.ts";
import { fileSize, type OnBytes, readError } from "./lines.ts";

type Unpack = (input: Uint8Array) => Uint8Array;

/** `zstd` came with Node 22.15; the declarations in use are older. */
type ZstdModule = { readonly zstdDecompressSync?: Unpack };

/** Columns that name a row for people. */
const TITLE = "title";

/**
 * Yields rows with the wished column and, where the file has one, `title`. Without the wished column a row holds the
 * columns there are, as `undefined`, so that the caller can name them.
 */
export async function* readParquetColumn(
  path: string,
  column: string,
  onBytes: OnBytes | undefined,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  const byteLength = fileSize(path);
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await optionalPackage(
    "hyparquet",
    `read ${path}`,
    () => import("hyparquet"),
  );
  const handle = await open(path, "r").catch((error: unknown) => {
    throw readError(path, error);
  });
  const file = {
    byteLength,
    slice: async (start: number, end: number = byteLength): Promise<ArrayBuffer> => {
      const bytes = new ArrayBuffer(end - start);
      await handle.read(new Uint8Array(bytes), 0, end - start, start);
      return bytes;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
      throw corrupt(path, error);
    });
    const names = parquetSchema(metadata).children.map((child) => child.element.name);
    if (!names.includes(column)) {
      if (metadata.num_rows > 0n) yield Object.fromEntries(names.map((name) => [name, undefined]));
      return;
    }
    const columns = names.filter((name) => name === column || name === TITLE);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parquetReadObjects({
        file,
        metadata,
        columns,
        rowStart,
        rowEnd,
        compressors: unpackers(),
      })
        .catch((error: unknown) => {
          throw corrupt(path, error);
        });
      rowStart = rowEnd;
      onBytes?.(Math.round(byteLength * Number(group.num_rows) / Number(metadata.num_rows)));
      yield* rows as Record<string, unknown>[];
    }
  } finally {
    await handle.close();
  }
}

function unpackers(): { GZIP: Unpack; BROTLI: Unpack; ZSTD?: Unpack } {
  const { zstdDecompressSync } = zlib as unknown as ZstdModule;
  return {
    GZIP: (input) => zlib.gunzipSync(input),
    BROTLI: (input) => zlib.brotliDecompressSync(input),
    ...(zstdDecompressSync ? { ZSTD: (input: Uint8Array) => zstdDecompressSync(input) } : {}),
  };
}

function corrupt(path: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (/unsupported compression/i.test(reason)) {
    return new TypeError(
      `Cannot read ${path}: ${reason}; zstd needs Deno or Node >= 22.15, other codecs a file written with snappy or gzip`,
    );
  }
  return new CorruptFileError(`Cannot read ${path} as parquet: ${reason}`, { path });
}
