/**
 * A record file held against the manifest of its run: size, hash, number of records, lengths, and, where the run had one
 * output, its other counts; with a tokenizer, whether the records were made with it.
 */
import { basename, dirname, join } from "node:path";
import { existsSync } from "node:fs";
import { checkManifest, piecesHash, type RecordsSummary } from "../records/mod.ts";
import type { TaskVocabulary } from "../tasks/mod.ts";
import { manifestOf } from "./records_manifest.ts";

/** What the comparison found. */
export type ManifestCheck = {
  readonly manifest: string;
  /** Why the file is not to be trusted; empty when it is what the run wrote. */
  readonly differs: readonly string[];
  /** What a reader should know, but does not speak against the file. */
  readonly notes: readonly string[];
  /** Pieces of the tokenizer that the records were made with. */
  readonly vocabularySize: number;
};

/** Counts of the run and the figures of its only file must be equal. */
function compareCounts(counts: Readonly<Record<string, unknown>>, summary: RecordsSummary): string[] {
  const pairs = (counts["pairs"] ?? {}) as Readonly<Record<string, number>>;
  const found = {
    "labels 0": [summary.labels[0], pairs["next"]],
    "labels 1": [summary.labels[1], (pairs["swapped"] ?? NaN) + (pairs["random"] ?? NaN)],
    predictions: [Math.round(summary.predictions.mean * summary.records), counts["predictions"]],
  };
  return Object.entries(found).flatMap(([what, [here, said]]) =>
    here === said ? [] : [`it has ${here} ${what}, its manifest says ${said}`]
  );
}

/**
 * Holds a file against the manifest that names it.
 *
 * @param path The record file.
 * @param counted Records that were read, and their figures where they are ALBERT's.
 * @param tokenizer The tokenizer that the reader gave.
 * @returns What was found; undefined when no manifest in its folder names the file.
 */
export function compareWithManifest(
  path: string,
  { records, summary }: { readonly records: number; readonly summary: RecordsSummary | undefined },
  tokenizer: TaskVocabulary | undefined,
): ManifestCheck | undefined {
  const found = manifestOf(path);
  if (found === undefined) return undefined;
  const { file, manifest: { outputs, counts, flags, tokenizer: made } } = found;
  const said = outputs.find((output) => basename(output.path) === basename(path))?.records;
  const differs = checkManifest(file, { file: path }).map((line) => line.replace(`${path}: `, ""));
  if (said !== undefined && said !== records) {
    differs.push(`it has ${records} records, its manifest says ${said}`);
  }
  if (summary !== undefined && summary.records > 0) {
    if (summary.maxSeqLength !== flags.max_seq_length) {
      differs.push(
        `its records have ${summary.maxSeqLength} tokens, its manifest says ${flags.max_seq_length}`,
      );
    }
    if (outputs.length === 1) differs.push(...compareCounts(counts, summary));
  }
  const missing = outputs.map((output) => join(dirname(path), basename(output.path))).filter((one) =>
    !existsSync(one)
  );
  const foreign = tokenizer !== undefined && piecesHash(tokenizer) !== made.pieces_sha256;
  const notes = [
    ...(missing.length === 0 ? [] : [`of the same run, not beside it: ${missing.join(", ")}`]),
    ...(foreign ? ["the records were made with another tokenizer than the one given"] : []),
  ];
  return { manifest: file, differs, notes, vocabularySize: made.size };
}
