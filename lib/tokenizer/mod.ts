/**
 * The tokenizer: SentencePiece unigram models, read, written, trained and used as the original programs do.
 *
 * @module
 */
export type {
  EncodedPiece,
  SampleOptions,
  Segmentation,
  SentencePiece,
  WordCertainty,
} from "./sentencepiece.ts";
export type { LoadOptions } from "./encoder.ts";
export { loadSentencePiece } from "./encoder.ts";
export type { Piece, PieceType, SentencePieceModel, SpecValue } from "./model_file.ts";
export { parseModel, serializeModel } from "./model_file.ts";
export type { SpmVersion, UnigramOptions } from "./options.ts";
export type { NormalizationRuleName } from "./charsmap_rules.ts";
export type { TrainedUnigram, TrainingReport, TrainingRound } from "./trainer.ts";
export { trainUnigram } from "./trainer.ts";
export { parseVocabulary, readVocabulary, type Vocabulary } from "./vocabulary.ts";
export { loadWordPiece, type WordPieceOptions, type WordPieceTokenizer } from "./wordpiece.ts";
export type { TrainedFiles, UnigramFileOptions } from "./train_files.ts";
export { trainUnigramFiles } from "./train_files.ts";
