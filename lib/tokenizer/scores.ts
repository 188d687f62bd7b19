/**
 * Scores as SentencePiece's encoders add them up. A user-defined symbol has one that no other way to cut the text reaches:
 * up to 0.2.1 just below zero, from 0.2.2 on higher the longer the symbol is. The fast search counts its length in bytes,
 * the lattice in characters (unigram_model.cc; 0.2.2 by experiment).
 */
import type { Piece } from "./model_file.ts";

/** Scores by id, and that of one unknown character. */
export type EncodingScores = { readonly scores: Float64Array; readonly unknown: number };

const FLT_MIN = 1.1754943508222875e-38; // where SentencePiece starts its maximum
const FLT_MAX = 3.4028234663852886e38;

/** The scores; `lengthOf` measures a user-defined symbol, `byLength` is the way of 0.2.2. */
export function encodingScores(
  pieces: readonly Piece[],
  { lengthOf, byLength }: { readonly lengthOf: (piece: string) => number; readonly byLength: boolean },
): EncodingScores {
  let lowest = FLT_MAX;
  let highest = FLT_MIN;
  for (const { score, type } of pieces) {
    if (type !== "normal") continue;
    lowest = Math.min(lowest, score);
    highest = Math.max(highest, score);
  }
  const perUnit = byLength ? 0.1 : highest;
  const scores = Float64Array.from(
    pieces,
    ({ piece, score, type }) =>
      type === "user_defined" ? Math.fround(lengthOf(piece) * perUnit) - 0.1 : score,
  );
  return { scores, unknown: Math.fround(lowest - 10) };
}
