/**
 * Text: documents and sentences, cleaning, raw files.
 *
 * @module
 */
export { CLEANING_STEPS, type CleaningStep } from "./cleaning.ts";
export { type DocumentOptions, readDocuments, type TextDocument } from "./documents.ts";
export {
  type EmbeddedCorpus,
  embeddedDataDir,
  type EmbeddedDocument,
  type EmbeddedRawOptions,
  readEmbedded,
  writeEmbeddedRaw,
} from "./embedded.ts";
export { type OnBytes, readLines } from "./lines.ts";
export * from "./preprocess.ts";
export { readPunkt, writePunkt } from "./punkt_tab.ts";
export { type PunktModel, trainPunkt } from "./punkt_train.ts";
export { type RawOptions, type RawReport, type RawRules, readRaw, taskName, writeRaw } from "./raw.ts";
export type { RawPart } from "./raw_parts.ts";
export { type RawStatistics, rawStatistics } from "./statistics.ts";
export { sentenceSplitter, type SplitterName, type SplitterOptions } from "./sentences.ts";
