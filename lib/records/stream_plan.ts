/**
 * Cuts a corpus into blocks of whole documents without keeping it: one pass over the raw files finds blank lines, numbers
 * the documents and hashes the bytes. Blocks depend on the corpus alone, never on workers or shards, and each can be read
 * by itself. A document longer than four blocks is cut at a line, so that memory stays bounded.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { preprocessText, pythonStrip } from "../text/mod.ts";
import type { ReportedFile } from "./config.ts";
import { type RawBlock, rawDecoder, wholeLines } from "./inputs.ts";

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
    for (const { bytes, offset: base } of wholeLines(path, hash)) {
      const end = bytes.length;
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

/** Memory that is used again: what is given up is not given back at once, in each thread. */
export type Scratch = { bytes: Uint8Array };

/** At least `size` bytes of it; what stood in it may be gone. */
export function scratchOf(scratch: Scratch, size: number): Uint8Array {
  if (size > scratch.bytes.length) scratch.bytes = new Uint8Array(Math.ceil(size * 1.25));
  return scratch.bytes.subarray(0, size);
}

/** The lines of a block, file part by file part, read into `scratch`. */
export function* blockLines(
  inputs: readonly string[],
  { parts }: Block,
  mode: "r" | "rb" = "r",
  scratch: Scratch = { bytes: new Uint8Array(0) },
): Generator<RawBlock> {
  for (const { file, from, to } of parts) {
    const path = inputs[file] ?? "";
    const bytes = scratchOf(scratch, to - from);
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
    const decode = rawDecoder(path, mode);
    yield { bytes, decode: (start, end) => decode(bytes.subarray(start, end), from + start) };
  }
}
