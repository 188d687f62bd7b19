/**
 * What made a set of records, as far as it can change them: shards that differ in it are no parts of one set.
 */
import process from "node:process";

/** Version of albert-guide, as `deno.json` has it: the library reads no file of its own package to tell it. */
export const RELEASE = "0.1.0";

/**
 * Raised whenever the same text, tokenizer and flags give other records in `order: "stream"`: shards of two numbers do not
 * belong together, shards of two releases with one number do.
 */
export const STREAM_RECORDS = 1;

/**
 * What a manifest says of its maker.
 *
 * @example
 * ```ts
 * import type { RecordsMaker } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const maker: RecordsMaker = { release: "0.1.0", records: 1, unicode: "15.1" };
 * assert.equal(maker.records, 1);
 * ```
 */
export type RecordsMaker = {
  /** Release of albert-guide; says nothing of the records by itself. */
  readonly release: string;
  /** Number of the rules by which records are made. */
  readonly records: number;
  /** Version of Unicode in the runtime, whose tables clean the text. */
  readonly unicode: string;
};

/** This process. */
export function madeHere(): RecordsMaker {
  return { release: RELEASE, records: STREAM_RECORDS, unicode: process.versions["unicode"] ?? "unknown" };
}
