// One run of `createRecords` in a process of its own, for records_bench.ts: prints seconds, seconds by stage, records, peak memory.
import { readFileSync } from "node:fs";
import process from "node:process";
import { createRecords, type RecordsConfig } from "../../lib/records/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { linesIn, rawFile } from "../../lib/records/inputs.ts";

/** What a run prints, as JSON. */
export type RecordsRun = {
  readonly seconds: number;
  readonly stages: Readonly<Record<string, number>>;
  readonly records: number;
  /** Peak of the process with its threads, and what it had before the work began, in MB. */
  readonly peak: number;
  readonly base: number;
};

async function run(
  options: Partial<RecordsConfig> & { model: string; workers: number },
): Promise<RecordsRun> {
  const { model, workers, input_file = "", output_file = "", ...flags } = options;
  const tokenizer = loadSentencePiece(readFileSync(model), { spm_version: "0.2.2" });
  const stages: Record<string, number> = {};
  let begun = performance.now();
  const lap = (stage: string): void => {
    const now = performance.now();
    stages[stage] = (stages[stage] ?? 0) + (now - begun) / 1000;
    begun = now;
  };
  let lines = 0;
  for (const block of rawFile(input_file).blocks()) for (const _ of linesIn(block)) lines++;
  lap("reading");
  if (lines === 0) throw new Error(`Cannot measure: ${input_file} has no line`);
  const base = process.resourceUsage().maxRSS / 1024;
  const start = performance.now();
  let stage = "";
  const report = await createRecords({
    ...flags,
    input_file,
    output_file,
    tokenizer,
    tokenizer_file: model,
    workers,
    overwrite: true,
  }, {
    onProgress: (progress) => {
      if (stage !== "" && progress.stage !== stage) lap(stage);
      stage = progress.stage.replace("records: ", "");
    },
  });
  lap(stage);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, stages, records: report.instances, peak: process.resourceUsage().maxRSS / 1024, base };
}

if (import.meta.main) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(process.argv[2] ?? "{}")))}\n`);
}
