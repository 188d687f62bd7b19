/**
 * One side of a raw run on disk: a file, or shards of about the same size, written document after document. A shard is
 * whole or absent, and documents never cross shards, so later stages can start from the shards that are there.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type AtomicFile, isAlive, openAtomic } from "../formats/mod.ts";

/** Bytes that gather before they go to the device. */
const BLOCK = 1 << 18;

/**
 * Counts of one raw file, or of all shards of one.
 *
 * @example
 * ```ts
 * import type { RawPart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const part: RawPart = {
 *   path: "raw.txt",
 *   documents: 1,
 *   sentences: 2,
 *   words: 3,
 *   bytes: 14,
 *   longestBytes: 8,
 *   sha256: "00",
 * };
 * assert.equal(part.words / part.sentences, 1.5);
 * ```
 */
export type RawPart = {
  /** The file; of shards their pattern, as in `raw-*.txt`. */
  readonly path: string;
  readonly documents: number;
  readonly sentences: number;
  /** Space-separated. */
  readonly words: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Longest sentence in bytes, without its line end. */
  readonly longestBytes: number;
  /** Of the file, in hexadecimal; of shards, of their hashes, one a line. */
  readonly sha256: string;
  /** The shards in order, where there are shards. */
  readonly shards?: readonly RawPart[];
};

/** Writes one side. */
export type PartWriter = {
  readonly add: (sentences: readonly string[]) => void;
  /** What follows does not belong to what came: regrouping does not reach over it. */
  readonly endRun: () => void;
  /** Sentences so far, finished shards included. */
  readonly sentences: () => number;
  /** Whether the shard has its size. */
  readonly full: () => boolean;
  /** Finishes the shard, if it has a document. */
  readonly closeShard: () => void;
  /** The finished shards. */
  readonly shards: () => readonly RawPart[];
  readonly finish: () => RawPart;
  readonly discard: () => void;
};

/** `raw.txt` -> `raw-00003.txt`, or `raw-*.txt` without a number. */
export function shardName(path: string, index?: number): string {
  const [, stem = path, ending = ""] = /^(.*?[^/.])(\.[^/.]+)?$/.exec(path) ?? [];
  return `${stem}-${index === undefined ? "*" : String(index).padStart(5, "0")}${ending}`;
}

/** Shards that lie under a name already. */
export function existingShards(path: string): string[] {
  return shardFiles(path, "").map(({ file }) => file);
}

/** Removes what a killed run left of shards half written; those of a living process stay. */
export function removeStale(path: string): void {
  for (const { file, rest } of shardFiles(path, "\\.tmp-(\\d+)")) {
    if (!isAlive(Number(rest))) rmSync(file, { force: true });
  }
}

function shardFiles(path: string, ending: string): { readonly file: string; readonly rest: string }[] {
  const folder = dirname(path);
  if (!existsSync(folder)) return [];
  const [before = "", after = ""] = basename(shardName(path)).split("*").map((part) =>
    part.replace(/[.+^${}()|[\]\\*?]/g, "\\$&")
  );
  const rule = new RegExp(`^${before}\\d{5,}${after}${ending}$`);
  return readdirSync(folder).sort().flatMap((name) => {
    const found = rule.exec(name);
    return found === null ? [] : [{ file: join(folder, name), rest: found[1] ?? "" }];
  });
}

/** Counts of several parts together. */
function totalOf(path: string, shards: readonly RawPart[]): RawPart {
  const sum = (key: "documents" | "sentences" | "words" | "bytes"): number =>
    shards.reduce((total, shard) => total + shard[key], 0);
  return {
    path,
    documents: sum("documents"),
    sentences: sum("sentences"),
    words: sum("words"),
    bytes: sum("bytes"),
    longestBytes: shards.reduce((most, shard) => Math.max(most, shard.longestBytes), 0),
    sha256: createHash("sha256").update(shards.map(({ sha256 }) => `${sha256}\n`).join("")).digest("hex"),
    shards,
  };
}

/** One file that grows. */
function openFile(path: string): {
  readonly write: (sentences: readonly string[]) => void;
  readonly bytes: () => number;
  readonly sentences: () => number;
  readonly close: () => RawPart;
  readonly discard: () => void;
} {
  const file: AtomicFile = openAtomic(path);
  const hash = createHash("sha256");
  let [documents, sentences, words, bytes, longestBytes] = [0, 0, 0, 0, 0];
  let block = "";
  const flush = (): void => {
    const ready = Buffer.from(block);
    block = "";
    file.write(ready);
    hash.update(ready);
  };
  return {
    write: (document) => {
      const text = `${documents > 0 ? "\n" : ""}${document.join("\n")}\n`;
      documents++;
      bytes += Buffer.byteLength(text);
      sentences += document.length;
      for (const sentence of document) {
        words += wordsIn(sentence);
        if (sentence.length * 3 > longestBytes) {
          longestBytes = Math.max(longestBytes, Buffer.byteLength(sentence));
        }
      }
      block += text;
      if (block.length >= BLOCK) flush();
    },
    bytes: () => bytes,
    sentences: () => sentences,
    close: () => {
      flush();
      file.commit();
      return { path, documents, sentences, words, bytes, longestBytes, sha256: hash.digest("hex") };
    },
    discard: file.discard,
  };
}

/** Words that are separated by single spaces. */
export function wordsIn(sentence: string): number {
  let words = 1;
  for (let at = sentence.indexOf(" "); at >= 0; at = sentence.indexOf(" ", at + 1)) words++;
  return words;
}

/**
 * Opens one side.
 *
 * @param path The file, or what the names of shards are made of.
 * @param options Sentences a document when regrouped (0: as they come), bytes a shard (0: one file), shards that a run
 * before has finished.
 */
export function openPart(
  path: string,
  { group, shardBytes, finished = [] }: {
    readonly group: number;
    readonly shardBytes: number;
    readonly finished?: readonly RawPart[];
  },
): PartWriter {
  const shards: RawPart[] = [...finished];
  const open = () => openFile(shardBytes > 0 ? shardName(path, shards.length) : path);
  let file: ReturnType<typeof openFile> | undefined = open();
  let pending: string[] = [];
  const write = (document: readonly string[]): void => (file ??= open()).write(document);
  const endRun = (): void => {
    if (pending.length === 0) return;
    // A rest of up to two groups is halved rather than cut into a full document and a scrap.
    const middle = pending.length > group ? Math.ceil(pending.length / 2) : pending.length;
    write(pending.slice(0, middle));
    if (middle < pending.length) write(pending.slice(middle));
    pending = [];
  };
  const closeShard = (): void => {
    endRun();
    if (file === undefined || file.sentences() === 0) return;
    shards.push(file.close());
    file = undefined;
  };
  return {
    add: (more) => {
      if (group === 0) return write(more);
      for (const sentence of more) pending.push(sentence);
      let at = 0;
      for (; pending.length - at >= 2 * group; at += group) write(pending.slice(at, at + group));
      pending = pending.slice(at);
    },
    endRun,
    sentences: () =>
      shards.reduce((sum, shard) => sum + shard.sentences, 0) + (file?.sentences() ?? 0) + pending.length,
    full: () => shardBytes > 0 && (file?.bytes() ?? 0) >= shardBytes,
    closeShard,
    shards: () => shards,
    finish: () => {
      closeShard();
      // What one of several tasks found nothing for is an empty file, so that all of them can be counted.
      if (file !== undefined && shardBytes === 0 && shards.length === 0) shards.push(file.close());
      else file?.discard(); // a last shard without a document
      const [first] = shards;
      return shardBytes === 0 && first ? first : totalOf(shardName(path), shards);
    },
    discard: () => file?.discard(),
  };
}
