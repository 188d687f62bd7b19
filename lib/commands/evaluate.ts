/**
 * `albert evaluate`: the held-out metrics of a checkpoint as one JSON object, of several as a table, or of a training
 * folder as it grows; and a chart of all that were measured.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { PretrainingConfig } from "../config/mod.ts";
import { writeFileAtomic } from "../formats/mod.ts";
import { expandPatterns } from "../records/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import { loadSentencePiece } from "../tokenizer/mod.ts";
import { type Checkpoint, evaluateInDetail, readCheckpoint } from "../train/mod.ts";
import { type Command, command, type Context, type FlagValues, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { checkpointsChart, type Measured, tableHeader, tableNote, tableRow } from "./evaluate_table.ts";
import { openExamples } from "./pretrain.ts";
import { checkRecords } from "./records_manifest.ts";

const flags = {
  checkpoint: {
    kind: "string",
    required: true,
    help: "step folders, or output_dirs, whose newest step is taken; several by comma make a table",
  },
  all: { kind: "boolean", default: false, help: "every step of the given output_dirs, as a table" },
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

async function watch(values: Values, engine: Engine, { print, signal }: Context): Promise<void> {
  const folder = values.checkpoint;
  const width = join(folder, "step-000000").length;
  print(tableHeader(width));
  const seen = new Set<string>();
  const measured: Measured[] = [];
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
      const one = await measure(checkpoint, values, engine, signal);
      print(tableRow(one, width, measured[measured.length - 1]));
      measured.push(one);
      await draw(measured, values);
    }
    if (ended) return;
    await sleep(values.watch_seconds, signal);
  }
}

/** Every path behind --checkpoint. */
function pathsOf({ checkpoint, all }: Values): string[] {
  const given = checkpoint.split(",");
  if (!all) return given;
  return given.flatMap((folder) => {
    const steps = stepsIn(folder).map((name) => join(folder, name));
    return steps.length === 0 ? [folder] : steps;
  });
}

async function run(values: Values, _: readonly string[], context: Context): Promise<void> {
  const { print, signal } = context;
  const paths = pathsOf(values);
  if (values.watch && (paths.length > 1 || values.all || /^step-\d+$/.test(basename(values.checkpoint)))) {
    throw new UsageError(
      "Cannot run evaluate: --watch follows one output_dir; name that alone as --checkpoint",
    );
  }
  const engine = await openWished(values);
  if (values.watch) return await watch(values, engine, context);
  const width = Math.max(...paths.map((path) => path.length), "checkpoint".length) + 12;
  if (paths.length > 1) print(tableHeader(width));
  const measured: Measured[] = [];
  for (const given of paths) {
    const one = await measure(readCheckpoint(given), values, engine, signal);
    if (paths.length > 1) print(tableRow(one, width, measured[measured.length - 1]));
    measured.push(one);
  }
  if (paths.length > 1) print(tableNote);
  else {
    for (const { path, step, metrics: { records: _, ...metrics } } of measured) {
      print(JSON.stringify({ checkpoint: path, global_step: step, ...metrics }, undefined, 2));
    }
  }
  await draw(measured, values);
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
