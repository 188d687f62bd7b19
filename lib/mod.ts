/**
 * albert-guide: from raw text to an own ALBERT language model, in TypeScript.
 *
 * @module
 */
export * from "./formats/mod.ts";
export * from "./progress.ts";
