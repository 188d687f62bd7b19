/**
 * Cuts a corpus into blocks of whole documents without keeping it: one pass over the raw files finds blank lines, numbers
 * the documents and hashes the bytes. Blocks depend on the corpus alone, never on workers or shards, and each can be read
 * by itself. A document longer than four blocks is cut at a line, so that memory stays bounded.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { preprocessText, pythonStrip } from "../text/mod.ts";
import type { ReportedFile } from "./config.ts";
import { rawDecoder } from "./inputs.ts";

const CHUNK = 1 << 20; // bytes read at a time

/** A run of whole documents. */
export type Block = {
  /** Number of its first document in the corpus. */
  readonly firstDocument: number;
  /** Byte ranges of the raw files, in order; a document may go on in the next file. */
  readonly parts: readonly { readonly file: number; readonly from: number; readonly to: number }[];
};

/** What the first pass found. */
export type StreamPlan = {
  readonly blocks: readonly Block[];
  /** Raw files with their hashes. */
  readonly inputs: readonly ReportedFile[];
  /** Documents, the parts of cut ones counted singly. */
  readonly documents: number;
  /** Cuts inside documents that are too long for a block. */
  readonly cuts: number;
};

/** How a plan reads its raw files. */
export type PlanOptions = {
  /** Bytes of a block, at least. */
  readonly blockBytes: number;
  /** Whether blank lines are told by WordPiece's rule. */
  readonly wordpiece: boolean;
  /** As in the configuration. */
  readonly mode: "r" | "rb";
};

/**
 * Whether a line ends a document; looks at bytes first, because hardly a line is blank. A `last` line, without its end, of
 * which nothing is left is no line: the next file goes on in the document.
 */
function blankTest(
  path: string,
  { wordpiece, mode }: PlanOptions,
): (bytes: Uint8Array, offset: number, last: boolean) => boolean | undefined {
  const decode = rawDecoder(path, mode);
  return (bytes, offset, last) => {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte > 32 && byte < 127) return false;
    }
    if (bytes.length === 0) return true;
    const line = decode(bytes, offset);
    if (last && line === "") return undefined;
    return (wordpiece ? pythonStrip(line) : preprocessText(line)) === "";
  };
}

/** Lines of a file as byte ranges, in groups that were read together. */
function* lineRanges(
  path: string,
  hash: Hash,
): Generator<{ readonly bytes: Uint8Array; readonly base: number; readonly end: number }> {
  const handle = openSync(path, "r");
  try {
    let chunk = new Uint8Array(2 * CHUNK); // one for all: memory that is given up is not given back at once
    let rest = 0; // bytes at its start that belong to a line not yet whole
    let read = 0;
    for (;;) {
      if (rest + CHUNK > chunk.length) {
        const grown = new Uint8Array(2 * chunk.length);
        grown.set(chunk.subarray(0, rest));
        chunk = grown;
      }
      const count = readSync(handle, chunk, rest, CHUNK, null);
      if (count === 0) break;
      const filled = chunk.subarray(0, rest + count);
      hash.update(filled.subarray(rest));
      const end = filled.lastIndexOf(10) + 1;
      if (end > 0) yield { bytes: filled.subarray(0, end), base: read - rest, end };
      read += count;
      chunk.copyWithin(0, end, filled.length);
      rest = filled.length - end;
    }
    if (rest > 0) yield { bytes: chunk.subarray(0, rest), base: read - rest, end: rest };
  } finally {
    closeSync(handle);
  }
}

/** Collects blocks while lines go by. */
function blockCollector(blockBytes: number): {
  readonly line: (file: number, from: number, to: number, blank: boolean) => void;
  readonly endFile: (file: number, size: number) => void;
  readonly finish: () => Pick<StreamPlan, "blocks" | "documents" | "cuts">;
} {
  const blocks: Block[] = [];
  let parts: Block["parts"][number][] = [];
  let firstDocument = 0;
  let documents = 0;
  let cuts = 0;
  let inDocument = false;
  let size = 0; // of the block, bytes
  let start = 0; // of the block's part in the present file
  const close = (file: number, at: number): void => {
    if (at > start) parts.push({ file, from: start, to: at });
    if (documents > firstDocument) blocks.push({ firstDocument, parts });
    parts = [];
    start = at;
    size = 0;
    firstDocument = documents;
  };
  return {
    line: (file, from, to, blank) => {
      if (blank) {
        inDocument = false;
        size += to - from;
        if (size >= blockBytes) close(file, to);
        return;
      }
      if (inDocument && size >= 4 * blockBytes) {
        close(file, from);
        inDocument = false;
        cuts++;
      }
      if (!inDocument) documents++;
      inDocument = true;
      size += to - from;
    },
    endFile: (file, fileSize) => {
      if (fileSize > start) parts.push({ file, from: start, to: fileSize });
      start = 0;
    },
    finish: () => {
      close(0, 0);
      return { blocks, documents, cuts };
    },
  };
}

/** Reads the corpus once; yields the bytes done after each piece of a mebibyte. */
export function* planStream(inputs: readonly string[], options: PlanOptions): Generator<number, StreamPlan> {
  const collector = blockCollector(options.blockBytes);
  const files: ReportedFile[] = [];
  let done = 0;
  for (const [file, path] of inputs.entries()) {
    const hash = createHash("sha256");
    const isBlank = blankTest(path, options);
    let size = 0;
    for (const { bytes, base, end } of lineRanges(path, hash)) {
      for (let from = 0; from < end;) {
        const found = bytes.indexOf(10, from);
        const to = found < 0 ? end : found + 1;
        const blank = isBlank(bytes.subarray(from, found < 0 ? end : found), base + from, found < 0);
        if (blank !== undefined) collector.line(file, base + from, base + to, blank);
        from = to;
      }
      size = base + end;
      yield done + size;
    }
    collector.endFile(file, size);
    done += size;
    files.push({ path, bytes: size, sha256: hash.digest("hex") });
  }
  return { inputs: files, ...collector.finish() };
}

/** Lines of a block, file part by file part; carriage returns are dropped as everywhere in raw files. */
export function* blockLines(
  inputs: readonly string[],
  { parts }: Block,
  mode: "r" | "rb" = "r",
): Generator<string[]> {
  for (const { file, from, to } of parts) {
    const path = inputs[file] ?? "";
    const bytes = new Uint8Array(to - from);
    const handle = openSync(path, "r");
    try {
      for (let at = 0; at < bytes.length;) {
        const count = readSync(handle, bytes, at, bytes.length - at, from + at);
        if (count === 0) {
          throw new Error(`Cannot read ${path}: it became shorter than ${to} bytes while records were made`);
        }
        at += count;
      }
    } finally {
      closeSync(handle);
    }
    const lines = rawDecoder(path, mode)(bytes, from).split("\n");
    if (lines.at(-1) === "") lines.pop();
    yield lines;
  }
}
