/**
 * albert-guide: from raw text to an own ALBERT language model, in TypeScript.
 *
 * @module
 */
export * from "./config/mod.ts";
export * from "./formats/mod.ts";
export * from "./progress.ts";
export * from "./random.ts";
export * from "./show/mod.ts";
export * from "./text/mod.ts";
export * from "./engines/mod.ts";
export * from "./tensor/mod.ts";
export * from "./tokenizer/mod.ts";
export * from "./tasks/mod.ts";
export * from "./records/mod.ts";
export * from "./model/mod.ts";
export * from "./train/mod.ts";
export * from "./export/mod.ts";
