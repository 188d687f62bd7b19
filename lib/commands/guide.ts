/**
 * `deno task guide`: the whole road on an embedded corpus, from text to a model that fills masks. Each stage calls the
 * library as the commands do; what is still valid from an earlier run is reused, and said so.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { guideRecipe, parsePretrainingConfig, type Recipe, type RecipeStage } from "../config/mod.ts";
import { ensurePlugin, findPlugin } from "../engines/mod.ts";
import { writeFileAtomic } from "../formats/mod.ts";
import { createRecords, type RecordsReport } from "../records/mod.ts";
import { embeddedDataDir, preprocessText, type RawReport, writeEmbeddedRaw } from "../text/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import { loadSentencePiece, type TrainedFiles, trainUnigramFiles } from "../tokenizer/mod.ts";
import {
  type Baselines,
  baselines,
  evaluate,
  latestCheckpoint,
  pretrain,
  readCheckpoint,
  type StepMetrics,
} from "../train/mod.ts";
import { type Command, command, type Context } from "./command.ts";
import { commandFile, commandLine, defaultsOf } from "./command_note.ts";
import { engineFlags, openWished } from "./engine.ts";
import { runtimeName } from "./environment.ts";
import {
  fill,
  type GuideCorpus,
  judge,
  lossChart,
  openNext,
  type Place,
  type Row,
  summary,
  type Trained,
} from "./guide_report.ts";
import { describeRun, describeStep, openExamples } from "./pretrain.ts";
import { describeRaw } from "./raws.ts";
import { describeRecords } from "./records.ts";
import { openStages, sourceHash, type StageResult, type Stages } from "./stages.ts";
import { describeTokenizer } from "./tokenizer.ts";

const rawFiles = ({ folder }: Place) => ({
  train: join(folder, "train.txt"),
  heldOut: join(folder, "held_out.txt"),
});
const recordFiles = ({ folder }: Place, { name }: RecipeStage) => ({
  train: join(folder, `train_${name}.tfrecord`),
  heldOut: join(folder, `held_out_${name}.tfrecord`),
});

function makeRaws(stages: Stages, place: Place, { onProgress }: Context): Promise<StageResult<RawReport>> {
  const { train, heldOut } = rawFiles(place);
  const data = join(place.dataDir, place.corpus, `${place.corpus}.txt.gz`);
  return stages("raws", {
    options: { corpus: place.corpus },
    inputs: [data],
    outputs: [train, heldOut],
    run: () =>
      writeEmbeddedRaw({
        corpus: place.corpus,
        dataDir: place.dataDir,
        outputTrain: train,
        outputHeldOut: heldOut,
      }, { onProgress }),
  });
}

function makeTokenizer(
  stages: Stages,
  place: Place,
  { onProgress, signal }: Context,
): Promise<StageResult<TrainedFiles>> {
  const prefix = join(place.folder, "tokenizer");
  const { train } = rawFiles(place);
  return stages("tokenizer", {
    options: place.recipe.tokenizer,
    inputs: [train],
    outputs: [`${prefix}.model`, `${prefix}.vocab`],
    // Trained on the text as the records will see it: cleaned and lower-cased.
    run: () =>
      trainUnigramFiles({
        ...place.recipe.tokenizer,
        input: train,
        model_prefix: prefix,
        transform: (line) => preprocessText(line),
        onProgress,
        signal,
      }),
  });
}

async function makeRecords(
  stages: Stages,
  place: Place,
  stage: RecipeStage,
  { onProgress, signal }: Context,
): Promise<StageResult<{ readonly train: RecordsReport; readonly heldOut: RecordsReport }>> {
  const { max_seq_length, max_predictions_per_seq, dupe_factor, name } = stage;
  const model = join(place.folder, "tokenizer.model");
  const raw = rawFiles(place);
  const files = recordFiles(place, stage);
  const flags = {
    ...place.recipe.masking,
    max_seq_length,
    max_predictions_per_seq,
    random_seed: place.seed,
    numpy_seed: place.seed,
  };
  return await stages(`records_${name}`, {
    options: { ...flags, dupe_factor },
    inputs: [model, raw.train, raw.heldOut],
    outputs: [files.train, files.heldOut],
    run: async () => {
      const tokenizer = loadSentencePiece(readFileSync(model), { path: model });
      const make = (input_file: string, output_file: string, passes: number): Promise<RecordsReport> =>
        createRecords({ ...flags, tokenizer, input_file, output_file, dupe_factor: passes }, {
          onProgress,
          signal,
        });
      return {
        train: await make(raw.train, files.train, dupe_factor),
        heldOut: await make(raw.heldOut, files.heldOut, 1),
      };
    },
  });
}

function measureBaselines(stages: Stages, place: Place, stage: RecipeStage): Promise<StageResult<Baselines>> {
  const files = recordFiles(place, stage);
  return stages(`baselines_${stage.name}`, {
    options: { vocab: place.recipe.config.vocab_size },
    inputs: [files.train, files.heldOut],
    outputs: [],
    run: () =>
      baselines(openExamples(files.train, stage), openExamples(files.heldOut, stage), {
        vocabSize: place.recipe.config.vocab_size,
      }),
  });
}

async function trainStage(
  stages: Stages,
  place: Place,
  stage: RecipeStage,
  start: string,
  { print, onProgress, signal }: Context,
): Promise<StageResult<Trained>> {
  const { name, dupe_factor: _dupe, ...flags } = stage;
  const files = recordFiles(place, stage);
  const model = join(place.folder, "tokenizer.model");
  const output_dir = join(place.folder, `model_${name}`);
  const run = parsePretrainingConfig({
    ...flags,
    output_dir,
    init_checkpoint: start,
    seed: place.seed,
    log_every: 100,
    eval_every: 200,
    max_eval_steps: 512 / stage.train_batch_size,
    eval_batch_size: stage.train_batch_size,
    save_checkpoints_steps: 500,
    keep_checkpoint_max: 2,
  });
  const weights = (path: string): string => join(path, "model.safetensors");
  const last = join(output_dir, `step-${String(run.stop_after_steps).padStart(6, "0")}`);
  return await stages(`pretrain_${name}`, {
    options: { run: { ...run, output_dir: "" }, config: place.recipe.config, engine: place.engine.name },
    inputs: [files.train, files.heldOut, model, ...(start === "" ? [] : [weights(start)])],
    outputs: [weights(last)],
    run: async ({ goesOn }) => {
      // Checkpoints of other data, flags or code are not continued.
      if (!goesOn) rmSync(output_dir, { recursive: true, force: true });
      for (const line of describeRun(place.recipe.config, run, place.engine)) print(`  ${line}`);
      const { checkpoint, interrupted } = await pretrain({
        config: place.recipe.config,
        run,
        examples: openExamples(files.train, stage),
        evalExamples: openExamples(files.heldOut, stage),
        attachments: { "tokenizer.model": readFileSync(model), ...commandFile(place.command) },
      }, {
        engine: place.engine,
        onProgress,
        signal,
        onStep: (metrics) => {
          if (metrics.evaluation !== undefined) print(`  ${describeStep(metrics)}`);
        },
      });
      if (interrupted || checkpoint === undefined) {
        throw new Error("Cannot finish the training: it was interrupted");
      }
      // The curve of the whole run, also of what an interrupted one had done before.
      const curve = readFileSync(join(output_dir, "metrics.jsonl"), "utf8").trim().split("\n");
      const log = curve.map((line) => JSON.parse(line) as StepMetrics);
      const { config, parameters } = readCheckpoint(checkpoint);
      const evaluation = await evaluate(parameters, config, openExamples(files.heldOut, stage), {
        engine: place.engine,
        signal,
      });
      return { log, evaluation, checkpoint };
    },
  });
}

/** The recipe with each training cut after so many steps; 0 leaves it as it is. */
function shortened(recipe: Recipe, steps: number): Recipe {
  if (steps === 0) return recipe;
  const cut = (stage: RecipeStage): RecipeStage => ({
    ...stage,
    stop_after_steps: Math.min(steps, stage.stop_after_steps),
  });
  return { ...recipe, stages: recipe.stages.map(cut) };
}

/** The engine: XLA's plugin is fetched first where it can be; without it the guide runs on tfjs, and says so. */
async function openFor(
  flags: { readonly engine: string; readonly plugin: string | undefined },
  { print, onProgress, endProgress, signal }: Context,
): Promise<Engine> {
  if (flags.engine === "auto" && flags.plugin === undefined) {
    const before = findPlugin();
    const { path, note } = await ensurePlugin({ onProgress, signal });
    await endProgress();
    if (path !== before || path === undefined) {
      print(path === undefined ? `${note}; the guide runs on tfjs` : note);
    }
  }
  return await openWished(flags, print);
}

async function run(
  flags: {
    readonly corpus: string;
    readonly output_dir: string;
    readonly seed: number;
    readonly engine: string;
    readonly plugin: string | undefined;
    readonly data_dir: string | undefined;
    readonly max_steps: number;
    readonly quick: boolean;
    readonly fresh: boolean;
  },
  _: readonly string[],
  context: Context,
): Promise<void> {
  const { print, endProgress } = context;
  const corpus = flags.corpus as GuideCorpus;
  const engine = await openFor(flags, context);
  const folder = join(flags.output_dir, `${corpus}-${flags.seed}`);
  const place: Place = {
    folder,
    corpus,
    seed: flags.seed,
    engine,
    recipe: shortened(guideRecipe({ quick: flags.quick, corpus }), flags.max_steps),
    dataDir: flags.data_dir ?? embeddedDataDir(),
    command: commandLine("guide", flags, defaultsOf(guide.flags)),
  };
  print(
    `albert guide: corpus ${corpus}, seed ${flags.seed}, ${runtimeName()}, engine ${engine.name}; everything goes to ${folder}`,
  );
  const stages = openStages(folder, { sources: sourceHash(), fresh: flags.fresh });
  const rows: Row[] = [];
  const add = async <Made>(
    stage: string,
    where: string,
    result: StageResult<Made>,
    made: (made: Made) => string,
  ): Promise<Made> => {
    await endProgress();
    rows.push({ stage, where, seconds: result.seconds, reused: result.reused, made: made(result.made) });
    print(`${result.reused ? "reused" : "made"} ${stage}: ${made(result.made)}`);
    return result.made;
  };
  await add(
    "raws",
    rawFiles(place).train,
    await makeRaws(stages, place, context),
    ({ train }) => describeRaw(train),
  );
  await add(
    "tokenizer",
    join(folder, "tokenizer.model"),
    await makeTokenizer(stages, place, context),
    describeTokenizer,
  );
  let start = "";
  let last: { readonly trained: Trained; readonly base: Baselines } | undefined;
  for (const stage of place.recipe.stages) {
    const { name, max_seq_length } = stage;
    await add(
      `records, ${max_seq_length} pieces`,
      recordFiles(place, stage).train,
      await makeRecords(stages, place, stage, context),
      ({ train }) => describeRecords(train),
    );
    const { made: base } = await measureBaselines(stages, place, stage);
    const trained = await add(
      `pretrain, ${name}`,
      join(folder, `model_${name}`),
      await trainStage(stages, place, stage, start, context),
      ({ evaluation, log }) =>
        `${log.at(-1)?.step ?? 0} steps, held-out [MASK] loss ${
          evaluation.masked_lm_mask_loss.toFixed(3)
        } (plateau ${base.unigram_mask_loss.toFixed(3)})`,
    );
    if (start === "") {
      writeFileAtomic(join(folder, "loss.svg"), await lossChart(name, trained.log, base).toSvg());
    }
    start = latestCheckpoint(join(folder, `model_${name}`)) ?? trained.checkpoint;
    last = { trained, base };
  }
  summary(rows, print);
  if (last !== undefined) judge(last.trained, last.base, print);
  await fill(place, start, loadSentencePiece(readFileSync(join(folder, "tokenizer.model"))), print);
  openNext(place, start, print);
}

/** The command. */
export const guide: Command = command({
  name: "guide",
  summary: "Walk the whole road on an embedded corpus: text, tokenizer, records, model, filled masks.",
  example: "deno task albert guide --corpus=kjv --seed=1",
  flags: {
    corpus: { kind: "string", choices: ["kjv", "sotu"], default: "kjv", help: "the embedded corpus" },
    seed: { kind: "int", default: 1, help: "seed of records, weights and order" },
    output_dir: { kind: "string", default: "build/guide", help: "folder of everything that is made" },
    ...engineFlags,
    data_dir: {
      kind: "string",
      help: "folder of the embedded corpora; default the ones that come with albert-guide",
    },
    max_steps: {
      kind: "int",
      default: 0,
      help: "stop each training after so many steps, 0 for the recipe's",
    },
    quick: { kind: "boolean", default: false, help: "the first stage of training only" },
    fresh: { kind: "boolean", default: false, help: "make everything again" },
  },
  run,
});
