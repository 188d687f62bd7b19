/**
 * Pieces as the tasks see them: what counts as the start of a word, and the rule ALBERT adds for a comma behind a
 * digit. Source: `tokenization.py` of the reference (`encode_pieces`) and `_is_start_piece_sp` of its data script.
 */

/**
 * What the tasks need of a vocabulary; a loaded tokenizer satisfies it.
 *
 * @example
 * ```ts
 * import type { TaskVocabulary } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"];
 * const vocabulary: TaskVocabulary = {
 *   size: pieces.length,
 *   idOf: (piece) => Math.max(1, pieces.indexOf(piece)), // 1 is <unk>; <pad> is never asked for
 *   pieceOf: (id) => pieces[id] ?? "<unk>",
 * };
 * assert.equal(vocabulary.idOf("▁a"), 5);
 * ```
 */
export type TaskVocabulary = {
  /** Number of pieces; ids run from 0 to size - 1. */
  readonly size: number;
  /** Id of a piece, or the id of the unknown piece. */
  readonly idOf: (piece: string) => number;
  /** Piece of an id. */
  readonly pieceOf: (id: number) => string;
};

/**
 * Splits a cleaned sentence into pieces.
 *
 * @example
 * ```ts
 * import type { SentencePieces } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const words: SentencePieces = (sentence) => sentence.split(" ").map((word) => `▁${word}`);
 * assert.deepEqual(words("a b"), ["▁a", "▁b"]);
 * ```
 */
export type SentencePieces = (sentence: string) => readonly string[];

/** Characters, besides a-z, of which a piece that continues a word may consist. No apostrophe, no digits, no `<=>`. */
const CONTINUING = new Set('!"#$%&()*+,-./:;?@[\\]^_`{|}~');

/** Digits of Python's `isdigit` that are not of category Nd. */
const OTHER_DIGITS =
  "\\u{b2}\\u{b3}\\u{b9}\\u{1369}-\\u{1371}\\u{19da}\\u{2070}\\u{2074}-\\u{2079}\\u{2080}-\\u{2089}" +
  "\\u{2460}-\\u{2468}\\u{2474}-\\u{247c}\\u{2488}-\\u{2490}\\u{24ea}\\u{24f5}-\\u{24fd}\\u{24ff}\\u{2776}-\\u{277e}" +
  "\\u{2780}-\\u{2788}\\u{278a}-\\u{2792}\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}";
const DIGIT = new RegExp(`^[\\p{Nd}${OTHER_DIGITS}]$`, "u");

/**
 * Whether a SentencePiece piece starts a word for whole-word masking. Beyond pieces with `▁` that is every piece with
 * a digit, an apostrophe or a letter outside a-z, so for most alphabets each piece is a word of its own.
 *
 * @param piece A piece as the tokenizer writes it.
 * @returns True when the piece opens a word, false when it continues the last one.
 * @example
 * ```ts
 * import { isStartPiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(["▁the", "the", "s,", "'", "ß", "."].map(isStartPiece), [true, false, false, true, true, true]);
 * ```
 */
export function isStartPiece(piece: string): boolean {
  if (piece.startsWith("▁") || CONTINUING.has(piece)) return true;
  for (const char of piece) {
    const lower = char.toLowerCase();
    if (!(lower.length === 1 && lower >= "a" && lower <= "z") && !CONTINUING.has(lower)) return true;
  }
  return false;
}

/** Letters and marks of scripts that put no blank between words: a piece of them is the best guess of a word. */
const UNSPACED = new RegExp(
  "[\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Bopo}\\p{sc=Thai}\\p{sc=Laoo}\\p{sc=Khmr}\\p{sc=Mymr}\\p{sc=Tibt}\\p{sc=Yiii}]",
  "u",
);
/** What a piece that continues a word may consist of: letters, marks, numbers, apostrophes, joiners, ASCII signs. */
const CONTINUES = /^[\p{L}\p{M}\p{N}'’\u200c\u200d!-/:-@[-`{-~]+$/u;

/**
 * Whether a SentencePiece piece starts a word, by a rule that knows every script: a piece continues the word before it
 * when it has letters, marks, digits or apostrophes in front of no `▁`. A single ASCII sign is a word of its own, and so is
 * each piece of a script without blanks between words (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan, Yi).
 *
 * @param piece A piece as the tokenizer writes it.
 * @returns True when the piece opens a word, false when it continues the last one.
 * @example
 * ```ts
 * import { isStartPieceUnicode } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(["▁gr", "öß", "er", "7", "'", "."].map(isStartPieceUnicode), [true, false, false, false, false, true]);
 * assert.equal(isStartPieceUnicode("語"), true);
 * ```
 */
export function isStartPieceUnicode(piece: string): boolean {
  if (piece.startsWith("▁") || CONTINUING.has(piece)) return true;
  return !CONTINUES.test(piece) || UNSPACED.test(piece);
}

/**
 * Whether a WordPiece token starts a word: it does unless it begins with `##`.
 *
 * @param piece A token of a WordPiece vocabulary.
 * @returns True when the token opens a word.
 * @example
 * ```ts
 * import { isStartWordPiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(["un", "##able"].map(isStartWordPiece), [true, false]);
 * ```
 */
export function isStartWordPiece(piece: string): boolean {
  return !piece.startsWith("##");
}

/**
 * Encodes a sentence as ALBERT does: SentencePiece, then every piece that ends in a digit and a comma is encoded
 * again without the comma, and the comma follows as its own piece. The new pieces keep the `▁` that the model puts
 * in front, also inside a word, as in the reference.
 *
 * @param encode The tokenizer's plain encoding.
 * @param text A cleaned sentence.
 * @returns Its pieces.
 * @example
 * ```ts
 * import { albertPieces } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const encode = (text: string): string[] => [`▁${text}`];
 * assert.deepEqual(albertPieces(encode, "1,"), ["▁1", ","]);
 * assert.deepEqual(albertPieces(encode, "a,"), ["▁a,"]);
 * ```
 */
export function albertPieces(encode: SentencePieces, text: string): readonly string[] {
  const pieces = encode(text);
  let split: string[] | undefined;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] ?? "";
    if (piece.endsWith(",") && endsInDigit(piece.slice(0, -1))) {
      split ??= pieces.slice(0, i);
      split.push(...encode(piece.slice(0, -1).replaceAll("▁", "")), ",");
    } else split?.push(piece);
  }
  return split ?? pieces;
}

/** The last character is taken out first: V8 fails a class of large code points directly before `$`. */
function endsInDigit(text: string): boolean {
  return DIGIT.test([...text.slice(-2)].at(-1) ?? "");
}
