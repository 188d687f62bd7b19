/**
 * WordPiece, the tokenizer of BERT, for vocabularies that come from there: clean and split text into words and
 * punctuation, then cut each word greedily into the longest pieces of the vocabulary, continuations marked `##`.
 * Source: `tokenization.py` of the reference (`BasicTokenizer`, `WordpieceTokenizer`).
 */
import type { WordCertainty } from "./sentencepiece.ts";

/**
 * How a WordPiece vocabulary is used.
 *
 * @example
 * ```ts
 * import { loadWordPiece } from "albert-guide";
 * import type { WordPieceOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: WordPieceOptions = { lower: false };
 * assert.deepEqual(loadWordPiece("[UNK]\nA\n", options).encode("A a"), ["A", "[UNK]"]);
 * ```
 */
export type WordPieceOptions = {
  /** Lower-case and remove accents (`do_lower_case`); default true. */
  readonly lower?: boolean;
};

/**
 * A WordPiece vocabulary and its encoder.
 *
 * @example
 * ```ts
 * import { loadWordPiece } from "albert-guide";
 * import type { WordPieceTokenizer } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const tokenizer: WordPieceTokenizer = loadWordPiece("[PAD]\n[UNK]\nthe\n##re\n");
 * assert.equal(tokenizer.pieceOf(3), "##re");
 * ```
 */
export type WordPieceTokenizer = {
  /** Tells WordPiece from SentencePiece where both are accepted. */
  readonly style: "wordpiece";
  /** Number of pieces. */
  readonly size: number;
  /** Id of a piece; the id of `[UNK]` when there is none of that text, -1 without `[UNK]`. */
  readonly idOf: (piece: string) => number;
  /** Piece of an id; throws a RangeError outside the vocabulary. */
  readonly pieceOf: (id: number) => string;
  /** Text to pieces. */
  readonly encode: (text: string) => string[];
  /** As that of SentencePiece; the pieces of a word never depend on others. Unknown ones have the id of `idOf`. */
  readonly certainty: (word: string) => WordCertainty;
  /** Text to words and punctuation, before they are cut into pieces. */
  readonly words: (text: string) => string[];
};

/** A longer word is unknown, in code points: the reference's limit. */
const MAX_WORD = 200;
/** Words whose pieces are kept, a few megabytes. */
const KNOWN_WORDS = 50_000;

/**
 * Loads a WordPiece vocabulary: one piece a line, the line number is the id.
 *
 * @param vocabulary Content of a `vocab.txt`. Of each line the first field counts, a blank line is one space, and a
 * repeated piece keeps its first id without taking a second.
 * @param options Whether to lower-case.
 * @returns The tokenizer.
 * @throws {SyntaxError} When the vocabulary is empty.
 * @example
 * ```ts
 * import { loadWordPiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { encode, idOf } = loadWordPiece("[PAD]\n[UNK]\nun\n##aff\n##able\n,\n");
 * assert.deepEqual(encode("Unaffable, no"), ["un", "##aff", "##able", ",", "[UNK]"]);
 * assert.equal(idOf("##aff"), 3);
 * ```
 */
export function loadWordPiece(
  vocabulary: string,
  { lower = true }: WordPieceOptions = {},
): WordPieceTokenizer {
  const pieces = wordPieceLines(vocabulary);
  if (pieces.length === 0) throw new SyntaxError("Cannot load a WordPiece vocabulary: it has no line");
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  const unknown = ids.get("[UNK]") ?? -1;
  const words = (text: string): string[] => basicTokens(text, lower);
  const idOf = (piece: string): number => ids.get(piece) ?? unknown;
  const cut = new Map<string, readonly string[]>(); // words come again and again
  const piecesOf = (word: string): readonly string[] => {
    const known = cut.get(word);
    if (known !== undefined) return known;
    if (cut.size >= KNOWN_WORDS) cut.clear();
    const pieces = cutWord(word, ids);
    cut.set(word, pieces);
    return pieces;
  };
  return {
    style: "wordpiece",
    size: pieces.length,
    idOf,
    pieceOf: (id) => {
      const piece = pieces[id];
      if (piece === undefined) {
        throw new RangeError(`Cannot name piece ${id}: the vocabulary has ids 0 to ${pieces.length - 1}`);
      }
      return piece;
    },
    encode: (text) => words(text).flatMap(piecesOf),
    certainty: (word) => ({
      limit: Infinity,
      cost: 0,
      ids: Int32Array.from(words(word).flatMap(piecesOf), idOf),
    }),
    words,
  };
}

/** Distinct pieces of a `vocab.txt`: the first field of each line, one space for a blank line. */
export function wordPieceLines(vocabulary: string): string[] {
  const lines = vocabulary.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return [...new Set(lines.map((line) => pythonFields(line)[0] ?? " "))];
}

/** Longest match first; one place without a match makes the whole word unknown. */
function cutWord(word: string, ids: ReadonlyMap<string, number>): string[] {
  const chars = [...word];
  if (chars.length > MAX_WORD) return ["[UNK]"];
  const pieces: string[] = [];
  for (let start = 0; start < chars.length;) {
    let end = chars.length;
    let found = "";
    for (; end > start; end--) {
      const piece = (start > 0 ? "##" : "") + chars.slice(start, end).join("");
      if (!ids.has(piece)) continue;
      found = piece;
      break;
    }
    if (found === "") return ["[UNK]"];
    pieces.push(found);
    start = end;
  }
  return pieces;
}

const REMOVED = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}]/gu;
const SPACES = /[\t\n\r\p{Zs}]/gu;
const CHINESE = new RegExp(
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}" +
    "\\u{2b820}-\\u{2ceaf}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]",
  "gu",
);
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/u;

// All of ASCII but the control characters that are dropped.
const PLAIN = /^[\t\n\r -~]*$/;
const PLAIN_TOKENS = /[A-Za-z0-9]+|[!-/:-@[-`{-~]/g;

function basicTokens(text: string, lower: boolean): string[] {
  if (PLAIN.test(text)) return (lower ? text.toLowerCase() : text).match(PLAIN_TOKENS) ?? [];
  const cleaned = text.replace(REMOVED, "").replace(SPACES, " ").replace(CHINESE, " $& ");
  const tokens: string[] = [];
  for (const field of pythonFields(cleaned)) {
    const word = lower ? field.toLowerCase().normalize("NFD").replace(/\p{Mn}/gu, "") : field;
    splitPunctuation(word, tokens);
  }
  return tokens.flatMap(pythonFields);
}

function splitPunctuation(word: string, tokens: string[]): void {
  let run = "";
  for (const char of word) {
    if (!PUNCTUATION.test(char)) {
      run += char;
      continue;
    }
    if (run !== "") tokens.push(run);
    tokens.push(char);
    run = "";
  }
  if (run !== "") tokens.push(run);
}

/** Python's `str.split()`: fields between runs of white space. */
function pythonFields(text: string): string[] {
  // deno-lint-ignore no-control-regex -- U+001C to U+001F are white space in Python
  return text.match(/[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g) ?? [];
}
