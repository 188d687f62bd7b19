/**
 * Lists of pieces from the three kinds of file that hold one: SentencePiece's `.vocab` (piece, tab, score) and `.model`, and
 * WordPiece's `vocab.txt` (one piece a line). For looking pieces up; what cuts text is `loadSentencePiece` and
 * `loadWordPiece`, because a `.vocab` lacks the kinds of its pieces and the normalization.
 */
import { readFileSync } from "node:fs";
import { CorruptFileError } from "../formats/mod.ts";
import { parseModel } from "./model_file.ts";
import { decodeUtf8, firstBadByte } from "./utf8.ts";
import { wordPieceLines } from "./wordpiece.ts";

/**
 * A list of pieces; the index of a piece is its id.
 *
 * @example
 * ```ts
 * import { parseVocabulary, type Vocabulary } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = new TextEncoder().encode("<unk>\t0\n▁the\t-3.25\n");
 * const vocabulary: Vocabulary = parseVocabulary(bytes, { path: "tokenizer.vocab" });
 * assert.equal(vocabulary.pieceOf(1), "▁the");
 * assert.equal(vocabulary.scores?.[1], -3.25);
 * ```
 */
export type Vocabulary = {
  /** What wrote the file. */
  readonly kind: ".model" | ".vocab" | "vocab.txt";
  /** Number of pieces. */
  readonly size: number;
  /** The pieces in id order. */
  readonly pieces: readonly string[];
  /** Log probability of each piece; absent in a `vocab.txt` and a `.vocab` without scores. */
  readonly scores?: Float32Array;
  /** Id of a piece; that of the unknown piece (`<unk>` or `[UNK]`, in a `.model` the one marked so) when there is none; else -1. */
  readonly idOf: (piece: string) => number;
  /** Piece of an id; throws a RangeError outside the vocabulary. */
  readonly pieceOf: (id: number) => string;
};

/**
 * Reads a list of pieces from a file; see `parseVocabulary`.
 *
 * @param path A `.model`, `.vocab` or `vocab.txt` file.
 * @returns The pieces.
 * @throws {CorruptFileError} When the content is none of the three; the message names file, line and byte.
 * @throws {Error} When the file cannot be read.
 * @example
 * ```ts
 * import { readVocabulary } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/vocab.txt`;
 * writeFileSync(path, "[PAD]\n[UNK]\nthe\n");
 * assert.equal(readVocabulary(path).idOf("the"), 2);
 * ```
 */
export function readVocabulary(path: string): Vocabulary {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const reason = code === "ENOENT" ? "there is no such file" : message;
    throw new Error(`Cannot read the vocabulary ${path}: ${reason}`, { cause: error });
  }
  return parseVocabulary(bytes, { path });
}

/**
 * Takes a list of pieces from the content of a file. Which of the three it is shows in the name's ending (`.model`, `.vocab`),
 * and under another name in the content.
 *
 * @param bytes Content of the file.
 * @param options `path` is named in errors.
 * @returns The pieces.
 * @throws {CorruptFileError} When the content breaks the format; the message names line and byte.
 * @example
 * ```ts
 * import { parseVocabulary } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = new TextEncoder().encode("<unk>\t0\nthe\n");
 * assert.throws(() => parseVocabulary(bytes, { path: "a.vocab" }), /a\.vocab: line 2 \("the"\) has no score/);
 * ```
 */
export function parseVocabulary(bytes: Uint8Array, options: { readonly path?: string } = {}): Vocabulary {
  const { path = "the vocabulary" } = options;
  const kind = kindOf(bytes, path);
  if (kind === ".model") {
    const { pieces } = parseModel(bytes, { path });
    const unknown = pieces.findIndex(({ type }) => type === "unknown");
    const scores = Float32Array.from(pieces, ({ score }) => score);
    return listOf(kind, pieces.map(({ piece }) => piece), unknown, scores);
  }
  const text = textOf(bytes, path);
  if (kind === "vocab.txt") {
    const pieces = wordPieceLines(text);
    if (pieces.length === 0) throw refusal(path, "it is empty", 1, 0);
    return listOf(kind, pieces, pieces.indexOf("[UNK]"));
  }
  const { pieces, scores } = scoredLines(text, path);
  return listOf(kind, pieces, pieces.indexOf("<unk>"), scores);
}

const SCORED = /^([^]*)\t(-?(?:\d+(?:\.\d+)?(?:e[+-]\d+)?|inf)|nan)\r?$/;

function kindOf(bytes: Uint8Array, path: string): Vocabulary["kind"] {
  if (path.endsWith(".model")) return ".model";
  if (path.endsWith(".vocab")) return ".vocab";
  // A model begins with a piece, whose text is its first field.
  if (bytes[0] === 0x0a && bytes[2] === 0x0a && !path.endsWith(".txt")) return ".model";
  const end = bytes.indexOf(0x0a);
  const first = new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
  return SCORED.test(first) ? ".vocab" : "vocab.txt";
}

function textOf(bytes: Uint8Array, path: string): string {
  const bad = firstBadByte(bytes);
  if (bad < 0) return decodeUtf8(bytes, "");
  const line = bytes.subarray(0, bad).reduce((count, byte) => byte === 0x0a ? count + 1 : count, 1);
  throw refusal(path, `line ${line} is not UTF-8 at byte ${bad}`, line, bad);
}

/** Lines of a `.vocab`: all with a score, or none. */
function scoredLines(
  text: string,
  path: string,
): { readonly pieces: readonly string[]; readonly scores?: Float32Array } {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) throw refusal(path, "it is empty", 1, 0);
  const known = new Map<string, number>();
  const scores: number[] = [];
  const scored = lines.some((line) => SCORED.test(line));
  lines.forEach((line, at) => {
    const where = `line ${at + 1} (${JSON.stringify(line.slice(0, 40))})`;
    const [, piece = line, score] = SCORED.exec(line) ?? [];
    if (scored && score === undefined) {
      throw refusal(path, `${where} has no score behind a tab, others have`, at + 1);
    }
    if (piece === "") throw refusal(path, `${where} has no piece`, at + 1);
    const before = known.get(piece);
    if (before !== undefined) throw refusal(path, `${where} repeats the piece of line ${before + 1}`, at + 1);
    known.set(piece, at);
    scores.push(score === "nan" ? NaN : Number(score?.replace("inf", "Infinity")));
  });
  const pieces = [...known.keys()];
  return scored ? { pieces, scores: Float32Array.from(scores) } : { pieces };
}

function refusal(path: string, reason: string, line: number, byte?: number): CorruptFileError {
  const place = { path, record: line, ...(byte === undefined ? {} : { byte }) };
  return new CorruptFileError(
    `Cannot read the vocabulary ${path}: ${reason}; give a .model or .vocab that spm_train wrote, or a vocab.txt`,
    place,
  );
}

function listOf(
  kind: Vocabulary["kind"],
  pieces: readonly string[],
  unknown: number,
  scores?: Float32Array,
): Vocabulary {
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  return {
    kind,
    size: pieces.length,
    pieces,
    ...(scores === undefined ? {} : { scores }),
    idOf: (piece) => ids.get(piece) ?? unknown,
    pieceOf: (id) => {
      const piece = pieces[id];
      if (piece !== undefined) return piece;
      throw new RangeError(`Cannot name piece ${id}: the vocabulary has ids 0 to ${pieces.length - 1}`);
    },
  };
}
