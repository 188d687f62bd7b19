/**
 * The pieces of one training round: slices of the text with float32 scores; the index is the id in that round.
 */

/** Pieces as parallel arrays. */
export type PieceList = {
  /** Number of pieces. */
  readonly count: number;
  /** Where an occurrence starts in the text. */
  readonly starts: Int32Array;
  /** Length in symbols. */
  readonly lengths: Int32Array;
  /** Log probability. */
  readonly scores: Float32Array;
};

/** An empty list of a given size. */
export function pieceList(count: number): PieceList {
  return {
    count,
    starts: new Int32Array(count),
    lengths: new Int32Array(count),
    scores: new Float32Array(count),
  };
}

/** The pieces with these ids, in this order, with the scores given. */
export function selectPieces(
  pieces: PieceList,
  ids: ArrayLike<number>,
  scores: ArrayLike<number>,
): PieceList {
  const out = pieceList(ids.length);
  for (let k = 0; k < ids.length; k++) {
    const id = ids[k] as number;
    out.starts[k] = pieces.starts[id] as number;
    out.lengths[k] = pieces.lengths[id] as number;
    out.scores[k] = scores[k] as number;
  }
  return out;
}
