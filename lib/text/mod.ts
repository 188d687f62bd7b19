/**
 * Text: documents and sentences, cleaning, raw files.
 *
 * @module
 */
export * from "./preprocess.ts";
