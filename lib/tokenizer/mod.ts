/**
 * The tokenizer: SentencePiece unigram models, read, written, trained and used as the original programs do.
 *
 * @module
 */
export type { EncodedPiece, LoadOptions, SentencePiece } from "./encoder.ts";
export { loadSentencePiece } from "./encoder.ts";
export type { Piece, PieceType, SentencePieceModel, SpecValue } from "./model_file.ts";
export { parseModel, serializeModel } from "./model_file.ts";
