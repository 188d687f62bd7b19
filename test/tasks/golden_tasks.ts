/** The golden data of the tasks, shared by the tests of tasks and records. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { SentencePieceProcessor } from "sentencepiece-js";
import type { TasksConfig, TaskVocabulary } from "../../lib/tasks/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";

export type GoldenRecord = {
  input_ids: number[];
  sep: number;
  boundary: string;
  positions: number[];
  ids: number[];
  label: 0 | 1;
};
export type GoldenRun = {
  flags: Omit<TasksConfig, "random_seed"> & { random_seed: string; do_lower_case: boolean };
  numpy_seed: number;
  n: number;
  positives: number;
  after: { python_random: number; numpy_random: number };
  records: GoldenRecord[];
  files: string[];
  documents: string;
  bert?: boolean;
};
export type GoldenPipeline = {
  vocab_spm: string[];
  vocab_wordpiece: string[];
  input_files: Record<string, string>;
  input_files_base64: Record<string, string>;
  configs: Record<string, GoldenRun>;
} & Record<`documents_${string}`, string[][][]>;

export const goldenPipeline = (): GoldenPipeline => goldenAlbert<GoldenPipeline>("record-pipeline");

/** A vocabulary over a list; `unknown` is what a missing piece gets. */
export function listVocabulary(pieces: readonly string[], unknown = 1): TaskVocabulary {
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  return { size: pieces.length, idOf: (p) => ids.get(p) ?? unknown, pieceOf: (id) => pieces[id] ?? "" };
}

/** Google's own encoder over a model file given as base64. */
export async function goldenEncoder(model: string): Promise<(text: string) => string[]> {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/spm.model`, model, "base64");
  const processor = new SentencePieceProcessor();
  await processor.load(`${folder}/spm.model`);
  rmSync(folder, { recursive: true });
  return (text) => processor.encodePieces(text);
}
