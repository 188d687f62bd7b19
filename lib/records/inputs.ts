/**
 * Raw files as the reference reads them: a comma list of patterns, lines that end in `\n`, every carriage return
 * dropped wherever it stands, strict UTF-8, a byte order mark kept. That differs from reading texts of a user (the text
 * room), where line ends and marks are repaired. Source: `create_training_instances` and TensorFlow's line reader.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { CorruptFileError } from "../formats/mod.ts";

const BLOCK = 1 << 20; // bytes read at a time

/** What lies beside outputs and is none: manifests, keys of shards, files that are not whole. No pattern means them. */
const BESIDE = /\.manifest\.json$|\.keys$|\.tmp-\d+$/;

/**
 * Files behind `input_file`: split at commas without trimming, order of the patterns kept, sorted by name inside a
 * pattern (the reference takes the order of the file system there). Manifests and what else lies beside outputs is left out.
 *
 * @param patterns Paths, or patterns with `*`, `?` and `[...]`, separated by commas.
 * @param options `flag`: name that a message gives them, default `input_file`; `files`: what they are, default raw files.
 * @returns The paths.
 * @throws {RangeError} When a pattern matches no file: it is named.
 * @example
 * ```ts
 * import { expandPatterns } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * for (const name of ["b.txt", "a.txt"]) writeFileSync(`${folder}/${name}`, "");
 * assert.deepEqual(expandPatterns(`${folder}/*.txt`), [`${folder}/a.txt`, `${folder}/b.txt`]);
 * ```
 */
export function expandPatterns(
  patterns: string,
  { flag = "input_file", files: kind = "raw files" }: { readonly flag?: string; readonly files?: string } =
    {},
): string[] {
  const files: string[] = [];
  for (const pattern of patterns.split(",")) {
    const found = isFile(pattern) ? [pattern] : matches(pattern);
    if (found.length === 0) {
      const hint = kindOfPath(pattern) === "folder"
        ? "it is a folder, name the files in it as with a star at its end"
        : pattern === ""
        ? "a comma too much?"
        : pattern !== pattern.trim()
        ? "a blank beside the comma?"
        : "";
      throw new RangeError(
        `Cannot read ${flag}: the pattern ${JSON.stringify(pattern)} matches no file; ` +
          (hint || `write the ${kind} first, or correct the name`),
      );
    }
    files.push(...found);
  }
  return files;
}

/** What stands under a path; undefined when nothing that can be looked at does. */
export function kindOfPath(path: string): "file" | "folder" | undefined {
  try {
    return statSync(path).isDirectory() ? "folder" : "file";
  } catch {
    return undefined;
  }
}

const isFile = (path: string): boolean => kindOfPath(path) === "file";

/** Files of a pattern with `*`, `?` and `[...]` in any part of the path, sorted. */
function matches(pattern: string): string[] {
  if (!/[*?[]/.test(pattern)) return [];
  let places = [pattern.startsWith("/") ? "/" : ""];
  for (const part of pattern.split("/").filter((name) => name !== "")) {
    const rule = partRule(part);
    places = places.flatMap((place) => {
      if (rule === undefined) return [place + part];
      return namesIn(place || ".").filter((name) => rule.test(name) && !BESIDE.test(name)).map((name) =>
        place + name
      );
    }).map((place) => `${place}/`);
  }
  return places.map((place) => place.slice(0, -1)).filter(isFile).sort((a, b) => a < b ? -1 : 1);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // no such folder: nothing matches
  }
}

function partRule(part: string): RegExp | undefined {
  if (!/[*?[]/.test(part)) return undefined;
  const body = part.replace(/\[!?[^\]]+\]|[\\^$.*+?()[\]{}|]/g, (found) => {
    if (found === "*") return ".*";
    if (found === "?") return ".";
    if (found.length === 1) return `\\${found}`;
    return found.startsWith("[!") ? `[^${found.slice(2)}` : found;
  });
  return new RegExp(`^${/^[*?]/.test(part) ? "(?!\\.)" : ""}${body}$`, "su");
}

/** Lines of a raw file that were read together; the bytes are overwritten when the next block is read. */
export type RawBlock = {
  /** Whole lines; only the last one of a file may lack its end. */
  readonly bytes: Uint8Array;
  /** Text of `bytes[from .. to - 1]` without carriage returns; throws for invalid UTF-8 and names the file and the byte. */
  readonly decode: (from: number, to: number) => string;
};

/**
 * Where the lines of a block stand, without their ends. A last line without its end that is empty once carriage returns and,
 * with `"rb"`, invalid bytes are dropped is the end of the file, no line.
 */
export function* linesIn({ bytes, decode }: RawBlock): Generator<readonly [from: number, to: number]> {
  for (let from = 0; from < bytes.length;) {
    const to = bytes.indexOf(10, from);
    if (to < 0 && decode(from, bytes.length) === "") return;
    yield [from, to < 0 ? bytes.length : to];
    from = to < 0 ? bytes.length : to + 1;
  }
}

/** Reads a file in blocks of whole lines, with the offset of each; the last one may lack its line end. */
export function* wholeLines(
  path: string,
  hash: Hash,
): Generator<{ readonly bytes: Uint8Array; readonly offset: number }> {
  const handle = openRaw(path);
  try {
    let chunk = new Uint8Array(2 * BLOCK); // one for all: memory that is given up is not given back at once
    let rest = 0; // bytes at its start that belong to a line not yet whole
    let read = 0;
    for (;;) {
      if (rest + BLOCK > chunk.length) {
        const grown = new Uint8Array(2 * chunk.length);
        grown.set(chunk.subarray(0, rest));
        chunk = grown;
      }
      const count = readSync(handle, chunk, rest, BLOCK, null);
      if (count === 0) break;
      const filled = chunk.subarray(0, rest + count);
      hash.update(filled.subarray(rest));
      const end = filled.lastIndexOf(10) + 1;
      if (end > 0) yield { bytes: filled.subarray(0, end), offset: read - rest };
      read += count;
      chunk.copyWithin(0, end, filled.length);
      rest = filled.length - end;
    }
    if (rest > 0) yield { bytes: chunk.subarray(0, rest), offset: read - rest };
  } finally {
    closeSync(handle);
  }
}

/** What was read of a raw file so far. */
export type RawFile = {
  /** Its lines block by block; after the last block `sha256` is known. */
  readonly blocks: () => Generator<RawBlock>;
  /** Bytes read so far. */
  readonly bytes: () => number;
  /** SHA-256 of the whole file in hex; empty before the end. */
  readonly sha256: () => string;
};

/** Opens a raw file for reading line by line; memory is two blocks, or the longest line. */
export function rawFile(path: string, mode: "r" | "rb" = "r"): RawFile {
  let read = 0;
  let digest = "";
  const decode = rawDecoder(path, mode);
  function* blocks(): Generator<RawBlock> {
    const hash = createHash("sha256");
    for (const { bytes, offset } of wholeLines(path, hash)) {
      read = offset + bytes.length;
      yield { bytes, decode: (from, to) => decode(bytes.subarray(from, to), offset + from) };
    }
    digest = hash.digest("hex");
  }
  return { blocks, bytes: () => read, sha256: () => digest };
}

function openRaw(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    const denied = (cause as { code?: string }).code === "EACCES";
    throw new Error(`Cannot read ${path}: ${denied ? "no permission to read it" : String(cause)}`, { cause });
  }
}

/**
 * UTF-8 without carriage returns, strict or without its invalid bytes; `offset` is where the bytes stand in the file.
 */
export function rawDecoder(
  path: string,
  mode: "r" | "rb" = "r",
): (bytes: Uint8Array, offset: number) => string {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return (bytes, offset) => {
    let text: string;
    try {
      text = strict.decode(bytes);
    } catch {
      if (mode === "r") throw invalidUtf8(path, offset + firstInvalid(bytes));
      text = strict.decode(validUtf8(bytes));
    }
    return text.includes("\r") ? text.replaceAll("\r", "") : text;
  };
}

const invalidUtf8 = (path: string, byte: number): CorruptFileError =>
  new CorruptFileError(
    `Cannot read ${path}: invalid UTF-8 at byte ${byte}; convert the file (iconv -t UTF-8) and try again`,
    { path, byte },
  );

/** The bytes without those that belong to no valid sequence: Python's `errors="ignore"`. */
function validUtf8(bytes: Uint8Array): Uint8Array {
  const kept = new Uint8Array(bytes.length);
  let used = 0;
  for (let at = 0; at < bytes.length;) {
    const size = sequenceLength(bytes, at);
    for (let i = 0; i < size; i++) kept[used++] = bytes[at + i] ?? 0;
    at += Math.max(1, size);
  }
  return kept.subarray(0, used);
}

/** Length of the valid UTF-8 sequence at a place, 0 when there is none (Unicode, table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  const second = bytes[at + 1] ?? 0;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (size > 1 && (second < low || second > high)) return 0;
  for (let i = 2; i < size; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return size;
}

/** Offset of the first byte that is no UTF-8. */
function firstInvalid(bytes: Uint8Array): number {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const encoder = new TextEncoder();
  let at = 0;
  for (let from = 0;;) {
    const found = text.indexOf("\ufffd", from);
    if (found < 0) return at;
    at += encoder.encode(text.slice(from, found)).length;
    const genuine = bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd;
    if (!genuine) return at;
    at += 3;
    from = found + 1;
  }
}
