/**
 * Lines of a text file or of standard input as a stream: plain, gzip or zstd, strict UTF-8, any line end. Memory is
 * bounded by one block (64 KiB, or the longest line). Every reader of this folder stands on it, so damage is named the
 * same way everywhere: file, line and byte.
 */
import { createReadStream, statSync } from "node:fs";
import process from "node:process";
import { Readable, type Transform } from "node:stream";
import * as zlib from "node:zlib";
import { CorruptFileError } from "../formats/mod.ts";

/** A single line may not be longer than this, in bytes: it has to fit into one JavaScript string. */
const MAX_LINE_BYTES = 1 << 28;

/** The name that stands for standard input. */
export const STDIN = "-";

/** What a file is called in messages. */
export function nameOf(path: string): string {
  return path === STDIN ? "standard input" : path;
}

/**
 * Is told the bytes read from the disk since the last call, before decompression.
 *
 * @example
 * ```ts
 * import type { OnBytes } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * let done = 0;
 * const onBytes: OnBytes = (bytes) => done += bytes;
 * onBytes(3);
 * assert.equal(done, 3);
 * ```
 */
export type OnBytes = (bytes: number) => void;

/** `zstd` came with Node 22.15; the declarations in use are older. */
type ZstdModule = { readonly createZstdDecompress?: () => Transform };

/**
 * The size of an existing file.
 *
 * @throws {Error} When there is none, or it is a folder.
 */
export function fileSize(path: string): number {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new TypeError(`Cannot read ${path}: it is a folder, a file is needed`);
    return stat.size;
  } catch (error) {
    throw readError(path, error);
  }
}

/**
 * Reads a text file line by line, in blocks: plain, gzip or zstd by its ending. A BOM at the start is dropped, `\r\n` and `\r`
 * count as `\n`.
 *
 * @param path The file; `-` is standard input.
 * @param onBytes Is told how far the reading is.
 * @returns Blocks of lines without their line ends.
 * @throws {CorruptFileError} When the text is not UTF-8 or the compression is damaged; the message names the place.
 * @example
 * ```ts
 * import { readLines } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.txt`;
 * writeFileSync(path, "one\ntwo\n");
 * for await (const lines of readLines(path)) assert.deepEqual(lines, ["one", "two"]);
 * ```
 */
export async function* readLines(path: string, onBytes?: OnBytes): AsyncGenerator<string[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  let offset = 0;
  let count = 0;
  const decode = (bytes: Uint8Array): string[] => {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      throw invalidUtf8(path, bytes, offset, count);
    }
    if (offset === 0 && text.startsWith("\ufeff")) text = text.slice(1);
    offset += bytes.length;
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    const lines = text.split("\n");
    count += lines.length - 1;
    return lines;
  };
  for await (const chunk of readBytes(path, onBytes)) {
    const end = chunk.lastIndexOf(10) + 1;
    if (end === 0) {
      rest.push(chunk);
      restBytes += chunk.length;
      if (restBytes > MAX_LINE_BYTES) throw lineTooLong(path, offset);
      continue;
    }
    const lines = decode(concat([...rest, chunk.subarray(0, end)]));
    lines.pop(); // the block ends with a line end, so the last part is empty
    rest = end < chunk.length ? [chunk.subarray(end)] : [];
    restBytes = chunk.length - end;
    yield lines;
  }
  if (restBytes > 0) {
    const lines = decode(concat(rest));
    if (lines.at(-1) === "") lines.pop();
    yield lines;
  }
}

async function* readBytes(path: string, onBytes: OnBytes | undefined): AsyncGenerator<Uint8Array> {
  if (path !== STDIN) fileSize(path);
  const file: Readable = path === STDIN ? process.stdin : createReadStream(path);
  const { unpack, stream } = path === STDIN
    ? await unpackStdin(file, onBytes)
    : unpackFile(path, file, onBytes);
  let position = 0;
  try {
    for await (const chunk of stream) {
      const bytes = chunk as Uint8Array;
      position += bytes.length;
      yield bytes;
    }
  } catch (error) {
    throw unpack && !isSystemError(error)
      ? new CorruptFileError(
        `Cannot unpack ${nameOf(path)}: ${
          message(error)
        } after ${position} bytes of text; fetch or make the file again`,
        { path, byte: position },
      )
      : readError(path, error);
  } finally {
    file.destroy();
    unpack?.destroy();
  }
}

type Unpacked = { readonly unpack: Transform | undefined; readonly stream: Readable };

function unpackFile(path: string, file: Readable, onBytes: OnBytes | undefined): Unpacked {
  const unpack = decompressor(path);
  if (onBytes) file.on("data", (chunk: Uint8Array) => onBytes(chunk.length));
  if (unpack) file.on("error", (error) => unpack.destroy(error));
  return { unpack, stream: unpack ? file.pipe(unpack) : file };
}

/** Standard input has no ending: its first bytes say whether it is gzip or zstd. */
async function unpackStdin(input: Readable, onBytes: OnBytes | undefined): Promise<Unpacked> {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes < 4;) {
    const { value, done } = await chunks.next();
    if (done === true) break;
    head.push(value);
    bytes += value.length;
  }
  const [a, b, c, d] = concat(head.map((chunk) => chunk.subarray(0, 4)));
  const gzip = a === 0x1f && b === 0x8b;
  const zstd = a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd;
  if (a === 0x50 && b === 0x41 && c === 0x52 && d === 0x31) {
    throw new TypeError(
      "Cannot read standard input: it is a parquet file, which is read from its end; name the file",
    );
  }
  const file = Readable.from(all(head, chunks, onBytes));
  const unpack = gzip || zstd ? decompressor(gzip ? "-.gz" : "-.zst") : undefined;
  if (unpack) file.on("error", (error) => unpack.destroy(error));
  return { unpack, stream: unpack ? file.pipe(unpack) : file };
}

async function* all(
  head: readonly Uint8Array[],
  chunks: AsyncIterator<Uint8Array>,
  onBytes: OnBytes | undefined,
): AsyncGenerator<Uint8Array> {
  for (const chunk of head) {
    onBytes?.(chunk.length);
    yield chunk;
  }
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    onBytes?.(next.value.length);
    yield next.value;
  }
}

function decompressor(path: string): Transform | undefined {
  if (/\.gz$/i.test(path)) return zlib.createGunzip();
  if (!/\.zst$/i.test(path)) return undefined;
  const { createZstdDecompress } = zlib as unknown as ZstdModule;
  if (!createZstdDecompress) {
    throw new TypeError(
      `Cannot read ${path}: this runtime has no zstd; use Deno or Node >= 22.15, or unpack it first (zstd -d)`,
    );
  }
  return createZstdDecompress();
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1 && parts[0]) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Length of the longest valid prefix; the table of well-formed sequences is Unicode 15, table 3-7. */
function validUtf8Prefix(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    const more = lead < 0x80
      ? 0
      : lead < 0xc2
      ? -1
      : lead < 0xe0
      ? 1
      : lead < 0xf0
      ? 2
      : lead < 0xf5
      ? 3
      : -1;
    if (more < 0 || at + more >= bytes.length) return at;
    if (lead === 0xe0 && second < 0xa0 || lead === 0xed && second > 0x9f) return at;
    if (lead === 0xf0 && second < 0x90 || lead === 0xf4 && second > 0x8f) return at;
    for (let i = 1; i <= more; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return at;
    at += more + 1;
  }
  return bytes.length;
}

function invalidUtf8(path: string, bytes: Uint8Array, offset: number, lines: number): CorruptFileError {
  const at = validUtf8Prefix(bytes);
  const byte = offset + at;
  const line = lines + new TextDecoder().decode(bytes.subarray(0, at)).split(/\r\n?|\n/).length;
  const found = `0x${(bytes[at] ?? 0).toString(16).padStart(2, "0")}`;
  const bom = offset === 0 &&
    (bytes[0] === 0xff && bytes[1] === 0xfe || bytes[0] === 0xfe && bytes[1] === 0xff);
  const packed = offset === 0 &&
    (bytes[0] === 0x1f && bytes[1] === 0x8b
      ? ".gz"
      : bytes[0] === 0x28 && bytes[1] === 0xb5
      ? ".zst"
      : undefined);
  const advice = packed
    ? `it looks packed: let its name end in ${packed}`
    : bom
    ? `it looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8`
    : `convert it, for example with iconv -f WINDOWS-1252 -t UTF-8`;
  const where = /\.(gz|zst)$/i.test(path) ? " of its unpacked text" : "";
  return new CorruptFileError(
    `Cannot read ${
      nameOf(path)
    } as UTF-8: byte ${byte}${where}, in line ${line}, is ${found}, which is not valid there; ${advice}`,
    { path, record: line, byte },
  );
}

function lineTooLong(path: string, byte: number): RangeError {
  return new RangeError(
    `Cannot read ${
      nameOf(path)
    }: the line at byte ${byte} is longer than ${MAX_LINE_BYTES} bytes; put line breaks between paragraphs`,
  );
}

/** An error of the file system in our words. */
export function readError(path: string, cause: unknown): Error {
  if (!isSystemError(cause)) return cause instanceof Error ? cause : new Error(String(cause));
  const reason = cause.code === "ENOENT"
    ? "there is no such file or folder: check the name"
    : cause.code === "EACCES" || cause.code === "EPERM"
    ? "no permission to read it"
    : cause.code === "ENOTDIR"
    ? "a part of its path is a file, not a folder"
    : cause.message;
  return new Error(`Cannot read ${nameOf(path)}: ${reason}`, { cause });
}

function isSystemError(error: unknown): error is Error & { code: string; syscall: string } {
  return error instanceof Error && typeof (error as { syscall?: unknown }).syscall === "string";
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
