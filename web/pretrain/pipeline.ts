/**
 * The road from text to a model, in one folder: text, tokenizer, records, baselines, training. Every stage is the library's;
 * one whose files stand is not made again, so that a page that was closed goes on where it was. Runs in the page's worker on
 * a file system in memory, and as well on a real one.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AlbertConfig,
  guideRecipe,
  parseAlbertConfig,
  parsePretrainingConfig,
} from "../../lib/config/mod.ts";
import { exportModel } from "../../lib/export/mod.ts";
import { writeFileAtomic } from "../../lib/formats/mod.ts";
import type { Progress } from "../../lib/progress.ts";
import { createRecords, readRecords } from "../../lib/records/mod.ts";
import type { Engine } from "../../lib/tensor/mod.ts";
import { preprocessText, writeEmbeddedRaw, writeRaw } from "../../lib/text/mod.ts";
import { loadSentencePiece, trainUnigramFiles } from "../../lib/tokenizer/mod.ts";
import {
  type Baselines,
  baselines,
  evaluate,
  type FilledPiece,
  fillMask,
  latestCheckpoint,
  type Metrics,
  pretrain,
  readCheckpoint,
  type TrainingExamples,
} from "../../lib/train/mod.ts";
import type { Choice, MaskView, Point, Stage } from "./stages.ts";

/** What happens, told to the page. */
export type PipelineEvent =
  | {
    readonly kind: "stage";
    readonly stage: Stage;
    readonly state: "begun" | "done";
    readonly words: string;
  }
  | { readonly kind: "progress"; readonly stage: Stage; readonly progress: Progress }
  | { readonly kind: "masks"; readonly views: readonly MaskView[] }
  | { readonly kind: "baselines"; readonly baselines: Baselines }
  | { readonly kind: "points"; readonly points: readonly Point[]; readonly msPerStep?: number }
  | { readonly kind: "note"; readonly words: string };

/** How a run ended. */
export type PipelineEnd = {
  readonly step: number;
  readonly evaluation: Metrics | undefined;
  readonly interrupted: boolean;
};

export type PipelineOptions = {
  readonly choice: Choice;
  readonly engine: Engine;
  /** Folder with the embedded corpora. */
  readonly dataDir: string;
  readonly onEvent: (event: PipelineEvent) => void;
  /** Called when files stand that should be kept. */
  readonly keep: () => Promise<void>;
  readonly signal: AbortSignal;
};

const recipe = guideRecipe({ quick: true });
const [short] = recipe.stages;
if (short === undefined) throw new Error("Cannot train: the recipe has no stage");
const { max_seq_length, max_predictions_per_seq, train_batch_size, dupe_factor } = short;
const LOG_EVERY = 25;
const SAVE_EVERY = 100; // steps: a few seconds

const places = (folder: string) => ({
  text: join(folder, "text.txt"),
  train: join(folder, "train.txt"),
  heldOut: join(folder, "held_out.txt"),
  model: join(folder, "tokenizer.model"),
  trainRecords: join(folder, "train.tfrecord"),
  heldOutRecords: join(folder, "held_out.tfrecord"),
  baselines: join(folder, "baselines.json"),
  run: join(folder, "model"),
  choice: join(folder, "choice.json"),
});

/** The choice that a folder was begun with, if one was. */
export function begunChoice(folder: string): Choice | undefined {
  const { choice } = places(folder);
  return existsSync(choice) ? JSON.parse(readFileSync(choice, "utf8")) as Choice : undefined;
}

const examplesOf = (path: string): TrainingExamples => () =>
  readRecords([path], { maxSeqLength: max_seq_length, maxPredictionsPerSeq: max_predictions_per_seq });

/** Tells what stands of a run, without doing anything: what a page shows that was opened again. */
export async function tellStanding(folder: string, onEvent: (event: PipelineEvent) => void): Promise<void> {
  const files = places(folder);
  const done = (stage: Stage, made: string, words: () => string): boolean => {
    if (!existsSync(made)) return false;
    onEvent({ kind: "stage", stage, state: "done", words: words() });
    return true;
  };
  done("text", files.heldOut, () => describeText(files));
  const tokenizer = existsSync(files.model) ? loadSentencePiece(readFileSync(files.model)) : undefined;
  if (tokenizer === undefined) return;
  done("tokenizer", files.model, () => `${tokenizer.size} pieces`);
  if (done("records", files.heldOutRecords, () => describeRecords(files))) {
    onEvent({ kind: "masks", views: await maskViews(files.trainRecords, tokenizer) });
  }
  if (done("baselines", files.baselines, () => NO_CONTEXT)) {
    onEvent({ kind: "baselines", baselines: JSON.parse(readFileSync(files.baselines, "utf8")) as Baselines });
  }
  const points = curveIn(files.run);
  onEvent({ kind: "points", points });
  const last = points.at(-1);
  if (last !== undefined) {
    onEvent({ kind: "stage", stage: "pretrain", state: "done", words: `to step ${last.step}` });
  }
}

const NO_CONTEXT = "what a model without context would reach";
const describeRecords = ({ trainRecords }: ReturnType<typeof places>): string =>
  `${(statSync(trainRecords).size / 1e6).toFixed(1)} MB to train on`;

/** Runs what is missing of the road; an interrupted training goes on at its last checkpoint. */
export async function runPipeline(folder: string, options: PipelineOptions): Promise<PipelineEnd> {
  const { choice, onEvent, signal, keep } = options;
  mkdirSync(folder, { recursive: true });
  const files = places(folder);
  writeFileAtomic(files.choice, JSON.stringify(choice));
  const stage = async (
    name: Stage,
    made: string,
    work: () => Promise<void>,
    words: () => string,
  ): Promise<void> => {
    signal.throwIfAborted();
    onEvent({ kind: "stage", stage: name, state: "begun", words: "" });
    if (!existsSync(made)) {
      await work();
      await keep();
    }
    onEvent({ kind: "stage", stage: name, state: "done", words: words() });
  };
  const tell = (name: Stage) => (progress: Progress): void =>
    onEvent({ kind: "progress", stage: name, progress });
  await stage("text", files.heldOut, () => makeText(files, options), () => describeText(files));
  await stage("tokenizer", files.model, async () => {
    await trainUnigramFiles({
      ...recipe.tokenizer,
      vocab_size: choice.vocab_size,
      hard_vocab_limit: false,
      input: files.train,
      model_prefix: join(folder, "tokenizer"),
      transform: (line) => preprocessText(line),
      onProgress: tell("tokenizer"),
      signal,
    });
  }, () => `${loadSentencePiece(readFileSync(files.model)).size} pieces`);
  const tokenizer = loadSentencePiece(readFileSync(files.model));
  await stage("records", files.heldOutRecords, async () => {
    const flags = {
      ...recipe.masking,
      max_seq_length,
      max_predictions_per_seq,
      tokenizer,
      random_seed: choice.seed,
    };
    const make = (input_file: string, output_file: string, passes: number) =>
      createRecords({ ...flags, input_file, output_file, dupe_factor: passes }, {
        onProgress: tell("records"),
        signal,
      });
    await make(files.train, files.trainRecords, dupe_factor);
    await make(files.heldOut, files.heldOutRecords, 1);
  }, () => describeRecords(files));
  onEvent({ kind: "masks", views: await maskViews(files.trainRecords, tokenizer) });
  await stage("baselines", files.baselines, async () => {
    const measured = await baselines(examplesOf(files.trainRecords), examplesOf(files.heldOutRecords), {
      vocabSize: tokenizer.size,
    });
    writeFileAtomic(files.baselines, JSON.stringify(measured));
  }, () => NO_CONTEXT);
  const base = JSON.parse(readFileSync(files.baselines, "utf8")) as Baselines;
  onEvent({ kind: "baselines", baselines: base });
  return await trainModel(folder, tokenizer.size, options);
}

async function makeText(
  files: ReturnType<typeof places>,
  { choice, dataDir, onEvent }: PipelineOptions,
): Promise<void> {
  const onProgress = (progress: Progress): void => onEvent({ kind: "progress", stage: "text", progress });
  if (choice.corpus !== "") {
    await writeEmbeddedRaw({
      corpus: choice.corpus,
      dataDir,
      outputTrain: files.train,
      outputHeldOut: files.heldOut,
    }, { onProgress });
    return;
  }
  await writeRaw({
    input: files.text,
    output: files.train,
    heldOutOutput: files.heldOut,
    heldOutEvery: 8,
    splitter: "punkt",
    documentSentences: 12,
    overwrite: true,
  }, { onProgress });
}

function describeText({ train, heldOut }: ReturnType<typeof places>): string {
  const lines = (path: string): number =>
    readFileSync(path, "utf8").split("\n").filter((line) => line !== "").length;
  return `${lines(train)} sentences to train on, ${lines(heldOut)} held out`;
}

/** The first records as a person sees them. */
async function maskViews(
  path: string,
  tokenizer: { readonly pieceOf: (id: number) => string },
): Promise<MaskView[]> {
  const views: MaskView[] = [];
  for await (
    const record of readRecords([path], {
      maxSeqLength: max_seq_length,
      maxPredictionsPerSeq: max_predictions_per_seq,
    })
  ) {
    const length = record.input_mask.reduce((sum, mask) => sum + mask, 0);
    const asked: { [position: number]: string } = {};
    record.masked_lm_positions.forEach((position, i) => {
      if (record.masked_lm_weights[i] === 1) {
        asked[position] = tokenizer.pieceOf(record.masked_lm_ids[i] ?? 0);
      }
    });
    views.push({
      pieces: [...record.input_ids.subarray(0, length)].map((id) => tokenizer.pieceOf(id)),
      asked,
      second: record.segment_ids.indexOf(1),
      swapped: record.next_sentence_labels[0] === 1,
    });
    if (views.length === 4) break;
  }
  return views;
}

const configOf = (vocab_size: number): AlbertConfig => parseAlbertConfig({ ...recipe.config, vocab_size });

async function trainModel(folder: string, vocab: number, options: PipelineOptions): Promise<PipelineEnd> {
  const { choice, engine, onEvent, keep, signal } = options;
  const files = places(folder);
  const config = configOf(vocab);
  const run = parsePretrainingConfig({
    max_seq_length,
    max_predictions_per_seq,
    train_batch_size,
    num_train_steps: 2 * choice.steps, // the rate does not end at 0: see the recipe
    stop_after_steps: choice.steps,
    num_warmup_steps: Math.min(100, choice.steps >> 2),
    learning_rate: short?.learning_rate,
    output_dir: files.run,
    seed: choice.seed,
    log_every: LOG_EVERY,
    eval_every: 4 * LOG_EVERY,
    max_eval_steps: 16,
    eval_batch_size: train_batch_size,
    save_checkpoints_steps: SAVE_EVERY,
    keep_checkpoint_max: 1,
  });
  onEvent({ kind: "stage", stage: "pretrain", state: "begun", words: "" });
  onEvent({ kind: "points", points: curveIn(files.run) });
  let began: { readonly at: number; readonly step: number } | undefined; // the first log line: compiling is done
  const { step, evaluation, interrupted } = await pretrain({
    config,
    run,
    examples: examplesOf(files.trainRecords),
    evalExamples: examplesOf(files.heldOutRecords),
    attachments: { "tokenizer.model": readFileSync(files.model) },
  }, {
    engine,
    signal,
    onNote: (words) => onEvent({ kind: "note", words }),
    onProgress: (progress) => onEvent({ kind: "progress", stage: "pretrain", progress }),
    onStep: async (line) => {
      const now = performance.now();
      const ms = began === undefined ? undefined : (now - began.at) / (line.step - began.step);
      began ??= { at: now, step: line.step };
      onEvent({ kind: "points", points: [pointOf(line)], ...(ms === undefined ? {} : { msPerStep: ms }) });
      if (line.step % SAVE_EVERY === 0) await keep();
    },
  });
  await keep();
  const words = interrupted ? `stopped after step ${step}` : `${step} steps`;
  onEvent({ kind: "stage", stage: "pretrain", state: "done", words });
  return { step, evaluation, interrupted };
}

type LogLine = { readonly step: number; readonly masked_lm_mask_loss: number; readonly evaluation?: Metrics };
const pointOf = ({ step, masked_lm_mask_loss: train, evaluation }: LogLine): Point => ({
  step,
  train,
  ...(evaluation === undefined ? {} : { heldOut: evaluation.masked_lm_mask_loss }),
});

/** The curve that a run has written so far. */
function curveIn(run: string): Point[] {
  const path = join(run, "metrics.jsonl");
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").trim().split("\n").filter((line) => line !== "").map((line) =>
    pointOf(JSON.parse(line) as LogLine)
  );
}

/** The last checkpoint of a folder. */
function trained(folder: string) {
  const path = latestCheckpoint(places(folder).run);
  if (path === undefined) {
    throw new Error("Cannot use the model: it has no checkpoint yet; train it for some steps first");
  }
  return readCheckpoint(path);
}

/** Predicts what stands behind each [MASK], with the last checkpoint. */
export async function fill(folder: string, text: string, engine: Engine): Promise<FilledPiece[][]> {
  const { config, parameters } = trained(folder);
  const tokenizer = loadSentencePiece(readFileSync(places(folder).model));
  // Records saw the text cleaned and lower-cased.
  return await fillMask(text, {
    engine,
    config,
    parameters,
    tokenizer,
    topK: 5,
    prepare: (part) => preprocessText(part),
  });
}

/** Writes the last checkpoint as a Hugging Face folder. */
export function exportTo(folder: string, output: string): void {
  const { config, parameters, state } = trained(folder);
  rmSync(output, { recursive: true, force: true });
  exportModel(
    output,
    { config, parameters, tokenizer: readFileSync(places(folder).model), step: state.step },
    {
      architecture: "AlbertForMaskedLM",
    },
  );
}

/** Measures the last checkpoint on the held-out records. */
export async function measure(folder: string, engine: Engine): Promise<Metrics> {
  const { config, parameters } = trained(folder);
  return await evaluate(parameters, config, examplesOf(places(folder).heldOutRecords), { engine });
}

/** Puts a pasted text into a folder. */
export function putText(folder: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(places(folder).text, text);
}
