/**
 * Pieces as numbers. The tasks look at texts only to find word starts and specials, so every piece gets a number once
 * and the loops run over integers. A piece outside the vocabulary keeps what the tasks need of its text (does it
 * start a word?) although its record id is that of the unknown piece. Source: the reference's token lists hold texts
 * until the records are written.
 */
import { isStartPiece, isStartPieceUnicode, isStartWordPiece, type TaskVocabulary } from "./pieces.ts";

/**
 * How pieces are numbered.
 *
 * @example
 * ```ts
 * import type { PieceTableOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: PieceTableOptions = { style: "wordpiece" };
 * assert.equal(options.style, "wordpiece");
 * ```
 */
export type PieceTableOptions = {
  /** Which pieces start a word: those of `isStartPiece`, or those without `##`; default `"sentencepiece"`. */
  readonly style?: "sentencepiece" | "wordpiece";
  /** Keep the text of every unknown piece (true), or only whether it starts a word (false); default true. */
  readonly keepUnknown?: boolean;
  /** The rule for SentencePiece: `isStartPiece` or `isStartPieceUnicode`; default `"reference"`. */
  readonly word_starts?: "reference" | "unicode";
};

/**
 * Numbers for pieces: ids below `size` are the vocabulary's, those above stand for texts it does not hold.
 *
 * @example
 * ```ts
 * import { pieceTable } from "albert-guide";
 * import type { PieceTable } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"];
 * const idOf = (piece: string): number => pieces.includes(piece) ? pieces.indexOf(piece) : 1;
 * const table: PieceTable = pieceTable({ size: 6, idOf, pieceOf: (id) => pieces[id] ?? "" });
 * const unknown = table.idOf("▁b");
 * assert.deepEqual([unknown >= 6, table.isStart(unknown), table.recordId(unknown)], [true, true, 1]);
 * ```
 */
export type PieceTable = {
  /** Number of pieces in the vocabulary. */
  readonly size: number;
  /** Number of `[CLS]`. */
  readonly cls: number;
  /** Number of `[SEP]`. */
  readonly sep: number;
  /** Number of `[MASK]`. */
  readonly mask: number;
  /** Number of a piece, known or not. */
  readonly idOf: (piece: string) => number;
  /** Text of a number. */
  readonly pieceOf: (id: number) => string;
  /** Whether the piece starts a word. */
  readonly isStart: (id: number) => boolean;
  /** Id that a record holds: the vocabulary's, or its unknown piece's. */
  readonly recordId: (id: number) => number;
  /** One more than the highest number given so far. */
  readonly limit: () => number;
  /** One more than the highest number that it may ever give; infinite when it keeps the texts of unknown pieces. */
  readonly most: number;
};

/**
 * Numbers the pieces of a vocabulary.
 *
 * @param vocabulary The tokenizer's pieces.
 * @param options How word starts are told and whether unknown texts are kept.
 * @returns The table.
 * @throws {RangeError} From `idOf`, when a WordPiece vocabulary lacks the token: the reference stops there too.
 * @example
 * ```ts
 * import { pieceTable } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "b"];
 * const table = pieceTable({ size: 7, idOf: (p) => pieces.indexOf(p), pieceOf: (id) => pieces[id] ?? "" });
 * assert.deepEqual([table.cls, table.idOf("b"), table.isStart(6)], [2, 6, false]);
 * ```
 */
export function pieceTable(
  vocabulary: TaskVocabulary,
  { style = "sentencepiece", keepUnknown = true, word_starts = "reference" }: PieceTableOptions = {},
): PieceTable {
  const sentencePiece = word_starts === "unicode" ? isStartPieceUnicode : isStartPiece;
  const starts = style === "wordpiece" ? isStartWordPiece : sentencePiece;
  const { size } = vocabulary;
  const numbers = new Map<string, number>();
  const texts: string[] = [];
  const isStart: boolean[] = [];
  const recordIds: number[] = [];
  const add = (piece: string, recordId: number): number => {
    if (!numbers.has(piece)) numbers.set(piece, texts.length);
    texts.push(piece);
    isStart.push(starts(piece));
    recordIds.push(recordId);
    return texts.length - 1;
  };
  for (let id = 0; id < size; id++) add(vocabulary.pieceOf(id), id);
  const addUnknown = (piece: string): number => {
    const id = vocabulary.idOf(piece);
    if (style === "wordpiece" || !(id >= 0 && id < size)) {
      throw new RangeError(
        `Cannot number the piece ${JSON.stringify(piece)}: it is not among the ${size} of the vocabulary, ` +
          "and there is no unknown piece for it; use the vocabulary that belongs to the tokenizer",
      );
    }
    return add(piece, id);
  };
  const special = (piece: string): number => numbers.get(piece) ?? addUnknown(piece);
  const cls = special("[CLS]");
  const sep = special("[SEP]");
  const mask = special("[MASK]");
  let anyStart = -1;
  let anyContinuation = -1;
  const unknown = (piece: string): number => {
    if (keepUnknown) return addUnknown(piece);
    if (starts(piece)) return anyStart < 0 ? anyStart = addUnknown(piece) : anyStart;
    return anyContinuation < 0 ? anyContinuation = addUnknown(piece) : anyContinuation;
  };
  return {
    size,
    cls,
    sep,
    mask,
    idOf: (piece) => numbers.get(piece) ?? unknown(piece),
    pieceOf: (id) => texts[id] ?? "",
    isStart: (id) => isStart[id] ?? true,
    recordId: (id) => recordIds[id] ?? 0,
    limit: () => texts.length,
    most: keepUnknown ? Infinity : size + 5, // three specials and two unknown pieces
  };
}
