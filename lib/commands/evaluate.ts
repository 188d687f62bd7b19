/**
 * `albert evaluate`: the held-out metrics of one checkpoint or several as a table, or of a training folder as it grows; as
 * lines of JSON for programs; and a chart of all that were measured.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, normalize } from "node:path";
import type { PretrainingConfig } from "../config/mod.ts";
import { writeFileAtomic } from "../formats/mod.ts";
import { expandPatterns } from "../records/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import { loadSentencePiece } from "../tokenizer/mod.ts";
import { type Checkpoint, evaluateInDetail, readCheckpoint } from "../train/mod.ts";
import { type Command, command, type Context, type FlagValues, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import {
  bandTables,
  checkpointsChart,
  folderOf,
  foldersCompared,
  type Measured,
  tableHeader,
  tableNote,
  tableRows,
} from "./evaluate_table.ts";
import { openExamples } from "./pretrain.ts";
import { checkRecords } from "./records_manifest.ts";

const flags = {
  checkpoint: {
    kind: "string",
    required: true,
    help: "step folders, or output_dirs, whose newest step is taken; several by comma",
  },
  all: { kind: "boolean", default: false, help: "every step of the given output_dirs, oldest first" },
  watch: {
    kind: "boolean",
    default: false,
    help: "follow an output_dir: measure every new checkpoint until the training ends",
  },
  watch_seconds: { kind: "int", default: 10, help: "seconds between looks at the folder" },
  eval_input_file: { kind: "string", required: true, help: "held-out records: paths or globs by comma" },
  input_file: {
    kind: "string",
    help: "records whose pieces and words are counted for the frequency bands; default the held-out ones",
  },
  json: {
    kind: "boolean",
    default: false,
    help: "one line of JSON a checkpoint with every figure, instead of tables",
  },
  chart: {
    kind: "string",
    help: "an SVG file: loss and accuracies with intervals over the steps, one colour for each output_dir",
  },
  max_seq_length: { kind: "int", help: "pieces per record; default that of the checkpoint's run" },
  max_predictions_per_seq: {
    kind: "int",
    help: "masked pieces per record; default that of the checkpoint's run",
  },
  eval_batch_size: { kind: "int", default: 64, help: "records per batch", source: "reference" },
  max_eval_steps: { kind: "int", default: 0, help: "most batches, 0 for all" },
  ...engineFlags,
} as const;

type Values = FlagValues<typeof flags>;

async function measure(
  { path, config, parameters, state }: Checkpoint,
  values: Values,
  engine: Engine,
  signal: AbortSignal,
): Promise<Measured> {
  const run = state.run as Partial<PretrainingConfig>;
  const lengths = {
    max_seq_length: values.max_seq_length ?? run.max_seq_length ?? 512,
    max_predictions_per_seq: values.max_predictions_per_seq ?? run.max_predictions_per_seq ?? 20,
  };
  const kept = join(path, "tokenizer.model");
  const tokenizer = existsSync(kept) ? { path: kept, bytes: readFileSync(kept) } : undefined;
  checkRecords(expandPatterns(values.eval_input_file, { flag: "eval_input_file", files: "records" }), {
    ...lengths,
    vocabSize: config.vocab_size,
    tokenizer,
  });
  const metrics = await evaluateInDetail(parameters, config, openExamples(values.eval_input_file, lengths), {
    engine,
    batchSize: values.eval_batch_size,
    maskTokenId: run.mask_token_id ?? 4,
    signal,
    keepRecords: true,
    ...(tokenizer === undefined ? {} : { pieceOf: loadSentencePiece(tokenizer.bytes, tokenizer).pieceOf }),
    ...(values.max_eval_steps === 0 ? {} : { maxBatches: values.max_eval_steps }),
    ...(values.input_file === undefined ? {} : { countOn: openExamples(values.input_file, lengths) }),
  });
  return { path, step: state.step, metrics };
}

/** Names of the step folders in a folder, oldest first. */
function stepsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const number = (name: string): number => Number(name.slice("step-".length));
  return readdirSync(folder).filter((name) => /^step-\d+$/.test(name)).sort((a, b) => number(a) - number(b));
}

/** Whether the training in a folder has ended, as far as it says so. */
function hasEnded(folder: string): boolean {
  try {
    const { status } = JSON.parse(readFileSync(join(folder, "trainer_state.json"), "utf8")) as {
      readonly status: string;
    };
    return status !== "running";
  } catch {
    return false; // not begun
  }
}

const sleep = (seconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, 1000 * seconds);
    signal.addEventListener("abort", wake);
  });

/** Prints what is measured, one after the other. */
function openReport({ json }: Values, print: Context["print"]) {
  const measured: Measured[] = [];
  return {
    measured,
    add: (one: Measured): void => {
      const { path, step, metrics: { records: _, ...metrics } } = one;
      if (json) print(JSON.stringify({ checkpoint: path, global_step: step, ...metrics }));
      else {
        if (measured.length === 0) print(tableHeader());
        tableRows(one, measured.at(-1)).forEach((line) => print(line));
      }
      measured.push(one);
    },
    end: (): void => {
      const [only, second] = measured;
      if (json || only === undefined) return;
      print(tableNote);
      foldersCompared(measured).forEach((line) => print(line));
      if (second === undefined) bandTables(only).forEach((line) => print(line));
    },
  };
}

/** Says once what a watch waits for, as long as there is no checkpoint. */
function tellWait({ json }: Values, print: Context["print"]): (folder: string) => void {
  let said: string | undefined;
  return (folder) => {
    const what = existsSync(folder) ? "it holds no checkpoint yet" : "there is no such folder yet";
    if (json || said === what) return;
    said = what;
    print(`waiting for the first checkpoint in ${folder}: ${what}; Ctrl-C ends`);
  };
}

async function watch(values: Values, engine: Engine, { print, signal }: Context): Promise<void> {
  const folder = values.checkpoint;
  const seen = new Set<string>();
  const report = openReport(values, print);
  const wait = tellWait(values, print);
  while (!signal.aborted) {
    const ended = hasEnded(folder); // before the look, so that the last checkpoint is not missed
    for (const name of stepsIn(folder).filter((step) => !seen.has(step))) {
      const path = join(folder, name);
      let checkpoint: Checkpoint;
      try {
        checkpoint = readCheckpoint(path);
      } catch (error) {
        if (!existsSync(path)) continue; // removed meanwhile: the training keeps only its newest
        throw error;
      }
      seen.add(name);
      report.add(await measure(checkpoint, values, engine, signal));
      await draw(report.measured, values);
    }
    if (ended) return;
    if (seen.size === 0) wait(folder);
    await sleep(values.watch_seconds, signal);
  }
}

/** Every path behind --checkpoint, those of one output_dir beside each other. */
function pathsOf({ checkpoint, all }: Values): string[] {
  const given = checkpoint.split(",").map(normalize).flatMap((folder) => {
    const steps = all ? stepsIn(folder).map((name) => join(folder, name)) : [];
    return steps.length === 0 ? [folder] : steps;
  });
  const folders = [...new Set(given.map(folderOf))];
  return folders.flatMap((folder) => given.filter((path) => folderOf(path) === folder));
}

async function run(values: Values, _: readonly string[], context: Context): Promise<void> {
  const { print, signal } = context;
  const paths = pathsOf(values);
  if (values.watch && (paths.length > 1 || values.all || /^step-\d+$/.test(basename(values.checkpoint)))) {
    throw new UsageError(
      "Cannot run evaluate: --watch follows one output_dir; name that alone as --checkpoint",
    );
  }
  expandPatterns(values.eval_input_file, { flag: "eval_input_file", files: "records" }); // told before a wait
  const engine = await openWished(values);
  if (values.watch) return await watch(values, engine, context);
  const report = openReport(values, print);
  for (const given of paths) report.add(await measure(readCheckpoint(given), values, engine, signal));
  report.end();
  await draw(report.measured, values);
}

/** Writes the chart of what was measured so far, when one is wanted. */
async function draw(measured: readonly Measured[], { chart }: Values): Promise<void> {
  if (chart !== undefined) writeFileAtomic(chart, `${await checkpointsChart(measured).toSvg()}\n`);
}

/** The command. */
export const evaluate: Command = command({
  name: "evaluate",
  summary: "Measure checkpoints on held-out records.",
  example: "deno task albert evaluate --checkpoint=build/model --eval_input_file=build/held_out.tfrecord",
  flags,
  run,
});
