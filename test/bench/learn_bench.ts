// deno task bench learn: the learning presets from corpus to thresholds, through the library's own tokenizer, records and
// schedule of stages. Runs go on where they were stopped: --minutes=5 ends a go. Each run leaves its curve and chart in
// build/learn, and there is one picture of all runs. Thresholds are those of a study of the same presets on another
// runtime: its worst seed minus a margin.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Baselines,
  baselines,
  createRecords,
  evaluate,
  learningRecipe,
  lineChart,
  loadSentencePiece,
  type Metrics,
  openEngine,
  parsePretrainingConfig,
  preprocessText,
  type PretrainingConfig,
  pretrainStages,
  readCheckpoint,
  readRecords,
  type Recipe,
  type RecipeStage,
  type StepMetrics,
  type TrainingStage,
  trainUnigramFiles,
  writeFileAtomic,
} from "albert-guide";
import { rawFiles } from "./learn_corpus.ts";
import { writeCurves } from "./learn_curves.ts";

type Preset = Parameters<typeof learningRecipe>[0];

/** What a run must reach at its end; losses as distances below U and U[MASK], which are computed from the data. */
type Thresholds = {
  readonly belowU: number;
  readonly belowMask: number;
  readonly accuracy: number;
  readonly maskAccuracy: number;
  /** Above the share of the larger class, which depends on how many pairs are random: reported beside its error. */
  readonly aboveMajority: number;
  /** The step of stage 1 by which the loss on [MASK] is 0.1 below U[MASK]. */
  readonly signBy: number;
};

const thresholds: { readonly [preset: string]: Thresholds } = {
  P1: { belowU: 0.8, belowMask: 0.45, accuracy: 0.19, maskAccuracy: 0.12, aboveMajority: 0.03, signBy: 2000 },
  P2: { belowU: 1.3, belowMask: 1.0, accuracy: 0.25, maskAccuracy: 0.19, aboveMajority: 0.007, signBy: 900 },
  P3: { belowU: 2.1, belowMask: 1.85, accuracy: 0.34, maskAccuracy: 0.29, aboveMajority: 0.012, signBy: 900 },
};

const files = (folder: string, { name }: RecipeStage) => ({
  train: join(folder, `train_${name}.tfrecord`),
  heldOut: join(folder, `held_out_${name}.tfrecord`),
});

/** Tokenizer and records of a recipe, made once; the seed of the records is fixed, runs differ by theirs. */
async function prepare(recipe: Recipe, corpus: "kjv" | "gcide", root: string, folder: string): Promise<void> {
  const raw = await rawFiles(corpus, join(root, corpus));
  mkdirSync(folder, { recursive: true });
  const model = join(folder, "tokenizer.model");
  if (!existsSync(model)) {
    await trainUnigramFiles({
      ...recipe.tokenizer,
      input: raw.train,
      model_prefix: join(folder, "tokenizer"),
      transform: (line) => preprocessText(line),
      ...(corpus === "gcide" ? { input_sentence_size: 100_000, shuffle_input_sentence: true } : {}),
    });
  }
  const tokenizer = loadSentencePiece(readFileSync(model));
  for (const stage of recipe.stages) {
    const { max_seq_length, max_predictions_per_seq, dupe_factor } = stage;
    const { train, heldOut } = files(folder, stage);
    const flags = { ...recipe.masking, max_seq_length, max_predictions_per_seq, tokenizer };
    const make = async (input_file: string, output_file: string, dupe_factor: number): Promise<void> => {
      if (existsSync(output_file)) return;
      await createRecords({ ...flags, input_file, output_file, dupe_factor, random_seed: 1, numpy_seed: 1 });
    };
    await make(raw.train, train, dupe_factor);
    await make(raw.heldOut, heldOut, 1);
  }
}

const open = (path: string, { max_seq_length, max_predictions_per_seq }: RecipeStage) => () =>
  readRecords([path], { maxSeqLength: max_seq_length, maxPredictionsPerSeq: max_predictions_per_seq });

function stagesOf(recipe: Recipe, folder: string, shared: Partial<PretrainingConfig>): TrainingStage[] {
  return recipe.stages.map((stage) => {
    const { name: _name, dupe_factor: _dupe, moments = "fresh", ...flags } = stage;
    const { train, heldOut } = files(folder, stage);
    const steps = flags.stop_after_steps;
    const run = parsePretrainingConfig({
      ...flags,
      log_every: 50,
      eval_every: Math.max(100, Math.round(steps / 2500) * 100),
      eval_batch_size: 64,
      max_eval_steps: 8,
      save_checkpoints_steps: 500,
      keep_checkpoint_max: 2,
      ...shared,
    });
    return { moments, run, examples: open(train, stage), evalExamples: open(heldOut, stage) };
  });
}

const yardsticks = async (path: string, recipe: Recipe, stage: RecipeStage): Promise<Baselines> => {
  const { train, heldOut } = files(path, stage);
  const kept = join(path, `baselines_${stage.name}.json`);
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8")) as Baselines;
  const found = await baselines(open(train, stage), open(heldOut, stage), {
    vocabSize: recipe.config.vocab_size,
  });
  writeFileAtomic(kept, JSON.stringify(found));
  return found;
};

const curveOf = (folder: string): StepMetrics[] =>
  readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));

/** Seconds of training alone, from the speed of each line. */
function secondsOf(curve: readonly StepMetrics[], recipe: Recipe): number {
  return curve.reduce(({ sum, before }, { step, stage = 1, tokens_per_second }) => {
    const { train_batch_size = 0, max_seq_length = 0 } = recipe.stages[stage - 1] ?? {};
    return {
      sum: sum + (step - before) * train_batch_size * max_seq_length / tokens_per_second,
      before: step,
    };
  }, { sum: 0, before: 0 }).sum;
}

async function writeCharts(folder: string, title: string, base: Baselines): Promise<void> {
  const curve = curveOf(folder);
  const held = curve.filter(({ evaluation }) => evaluation !== undefined);
  const line = (
    name: string,
    points: readonly StepMetrics[],
    y: (line: StepMetrics) => number | undefined,
  ) => ({
    name,
    x: points.map(({ step }) => step),
    y: points.map((point) => y(point) ?? NaN),
  });
  const loss = lineChart({
    title: `${title}: loss on [MASK] positions`,
    yLabel: "nats",
    series: [
      line("train", curve, (point) => point.masked_lm_mask_loss),
      line("held-out", held, (point) => point.evaluation?.masked_lm_mask_loss),
    ],
    baselines: [
      { name: "U[MASK]", value: base.unigram_mask_loss },
      { name: "bigram", value: base.bigram_mask_loss },
    ],
  });
  const order = lineChart({
    title: `${title}: sentence order, held out`,
    yLabel: "accuracy",
    series: [line("accuracy", held, (point) => point.evaluation?.sentence_order_accuracy)],
    baselines: [
      { name: "majority", value: base.sentence_order_majority },
      { name: "lengths alone", value: base.sentence_order_length_cue },
    ],
  });
  writeFileAtomic(join(folder, "loss.svg"), await loss.toSvg());
  writeFileAtomic(join(folder, "order.svg"), await order.toSvg());
}

/** The step at which the held-out loss on [MASK] is first 0.1 below U[MASK] in stage 1. */
function signOf(curve: readonly StepMetrics[], base: Baselines): number {
  const limit = base.unigram_mask_loss - 0.1;
  return curve.find(({ stage, evaluation }) =>
    stage === 1 && (evaluation?.masked_lm_mask_loss ?? Infinity) < limit
  )
    ?.step ?? Infinity;
}

const shown = (value: number): string =>
  Number.isInteger(value) ? `${value}` : Number.isFinite(value) ? value.toFixed(3) : "never";

function* judge(preset: string, held: Metrics, base: Baselines, sign: number): Generator<string> {
  const wanted = thresholds[preset];
  const row = (name: string, value: number, needed: number | undefined, pass: boolean, note = ""): string =>
    `  ${name.padEnd(38)}${shown(value).padStart(8)}` +
    (needed === undefined ? "" : `  needs ${String(needed).padEnd(6)} ${pass ? "pass" : "FAIL"}`) +
    (note === "" ? "" : `  ${note}`);
  const above = (name: string, value: number, needed: number | undefined, note = ""): string =>
    row(name, value, needed, value >= (needed ?? -Infinity), note);
  const loss = base.unigram_loss - held.masked_lm_loss;
  yield above("nats below U", loss, wanted?.belowU, `loss ${held.masked_lm_loss.toFixed(3)}`);
  yield above(
    "nats below U[MASK]",
    base.unigram_mask_loss - held.masked_lm_mask_loss,
    wanted?.belowMask,
    `loss ${held.masked_lm_mask_loss.toFixed(3)}, bigram table ${base.bigram_mask_loss.toFixed(3)}`,
  );
  yield above("accuracy", held.masked_lm_accuracy, wanted?.accuracy);
  yield above(
    "accuracy on [MASK]",
    held.masked_lm_mask_accuracy,
    wanted?.maskAccuracy,
    `plateau ${base.unigram_mask_accuracy.toFixed(3)}`,
  );
  const order = held.sentence_order_accuracy;
  const error = Math.sqrt(order * (1 - order) / held.examples);
  // Reported, not relied on: what is wanted is smaller than the error of a few thousand examples.
  const over = order - base.sentence_order_majority;
  const short = (wanted?.aboveMajority ?? -Infinity) - over;
  const verdict = short <= 0 ? "pass" : short < error ? "open, within the error" : "below it";
  yield `  ${"sentence order above the majority".padEnd(38)}${shown(over).padStart(8)}` +
    (wanted === undefined ? "" : `  study ${String(wanted.aboveMajority).padEnd(6)} ${verdict}`) +
    `  accuracy ${order.toFixed(3)} ± ${error.toFixed(3)}, majority ${
      base.sentence_order_majority.toFixed(3)
    }`;
  yield row(
    "sentence order above lengths alone",
    order - base.sentence_order_length_cue,
    undefined,
    true,
    `lengths alone ${base.sentence_order_length_cue.toFixed(3)}, ${held.examples} examples`,
  );
  yield row("first step 0.1 below U[MASK]", sign, wanted?.signBy, sign <= (wanted?.signBy ?? Infinity));
}

/** Flags of the bench: --preset=P1,P2 --engine=xla --seed=1,2 --minutes=5 --rate=4 (the falsifier). */
export async function* learnBench(
  flags: { readonly [name: string]: string } = {},
): AsyncGenerator<string> {
  const list = (name: string, value: string): string[] => (flags[name] ?? value).split(",");
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), Number(flags["minutes"] ?? 1e4) * 60_000);
  const root = flags["output_dir"] ?? "build/learn";
  const times = Number(flags["rate"] ?? 1);
  try {
    for (const engineName of list("engine", "auto")) {
      const engine = await openEngine(engineName);
      for (const preset of list("preset", "P1")) {
        const whole = learningRecipe(preset as Preset);
        const recipe = { ...whole, stages: whole.stages.map((stage) => faster(stage, times)) };
        const data = join(root, preset);
        await prepare(recipe, preset === "larger" ? "gcide" : "kjv", root, data);
        const last = recipe.stages.at(-1) as RecipeStage; // every recipe has a stage
        const base = await yardsticks(data, recipe, last);
        const firstBase = await yardsticks(data, recipe, recipe.stages[0] ?? last);
        for (const seed of list("seed", "1,2").map(Number)) {
          if (stop.signal.aborted) return;
          const name = `${preset} ${engine.name} seed ${seed}${times === 1 ? "" : ` rate ×${times}`}`;
          const output_dir = join(root, name.replaceAll(" ", "-").replace("×", ""));
          const stages = stagesOf(recipe, data, { output_dir, seed });
          const { step, interrupted } = await pretrainStages({ config: recipe.config, stages }, {
            engine,
            signal: stop.signal,
          });
          const curve = curveOf(output_dir);
          const seconds = secondsOf(curve, recipe);
          await writeCharts(output_dir, name, base);
          await writeCurves(root);
          const { evaluation } = curve.findLast((point) => point.evaluation !== undefined) ?? {};
          yield `${name}: step ${step}${interrupted ? ", to be continued" : ""}, ${
            seconds.toFixed(0)
          } s of ` +
            `training, ${(1000 * seconds / step).toFixed(1)} ms a step, held-out [MASK] ` +
            `${evaluation?.masked_lm_mask_loss.toFixed(3)} (U[MASK] ${base.unigram_mask_loss.toFixed(3)})`;
          if (interrupted) return;
          const { config, parameters } = readCheckpoint(output_dir);
          const held = await evaluate(parameters, config, open(files(data, last).heldOut, last), { engine });
          yield* judge(preset, held, base, signOf(curve, firstBase));
        }
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

const faster = (stage: RecipeStage, times: number): RecipeStage => ({
  ...stage,
  learning_rate: stage.learning_rate * times,
});
