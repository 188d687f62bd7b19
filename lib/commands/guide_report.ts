/**
 * What the guide says at its end: what was made and where, the held-out loss beside its yardsticks, filled masks, what to
 * open next.
 */
import { join } from "node:path";
import type { Recipe } from "../config/mod.ts";
import { lineChart } from "../show/mod.ts";
import { type EmbeddedCorpus, preprocessText } from "../text/mod.ts";
import type { SentencePiece } from "../tokenizer/mod.ts";
import { type Baselines, fillMask, type Metrics, readCheckpoint, type StepMetrics } from "../train/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import type { Context } from "./command.ts";

/** The corpora that the guide has a recipe for. */
export type GuideCorpus = Exclude<EmbeddedCorpus, "handbuch">;

const sentences: Readonly<Record<GuideCorpus, readonly string[]>> = {
  kjv: [
    "and the children [MASK] israel went up out of the land of egypt.",
    "and the king [MASK] unto him, || what is thy name?",
    "the lord is my [MASK]; || i shall not want.",
  ],
  sotu: [
    "the people [MASK] the united states are free.",
    "i ask the [MASK] to pass this bill this year.",
    "america is a [MASK] of laws.",
  ],
};

/** Where and with what one guide runs. */
export type Place = {
  readonly folder: string;
  readonly corpus: GuideCorpus;
  readonly seed: number;
  readonly recipe: Recipe;
  readonly engine: Engine;
  readonly dataDir: string;
  /** The command line, kept with the weights. */
  readonly command: string;
};

/** One line of the summary. */
export type Row = {
  readonly stage: string;
  readonly made: string;
  readonly where: string;
  readonly seconds: number;
  readonly reused: boolean;
};

/** What a stage of training left. */
export type Trained = {
  readonly log: readonly StepMetrics[];
  readonly evaluation: Metrics;
  readonly checkpoint: string;
};

/** The loss chart of a training stage, with its baselines as lines. */
export function lossChart(
  name: string,
  log: readonly StepMetrics[],
  base: Baselines,
): ReturnType<typeof lineChart> {
  const held = log.filter(({ evaluation }) => evaluation !== undefined);
  return lineChart({
    title: `Loss on [MASK] positions, ${name} sequences`,
    yLabel: "nats",
    series: [
      { name: "train", x: log.map(({ step }) => step), y: log.map((line) => line.masked_lm_mask_loss) },
      {
        name: "held-out",
        x: held.map(({ step }) => step),
        y: held.map((line) => line.evaluation?.masked_lm_mask_loss ?? NaN),
      },
    ],
    baselines: [
      { name: "U[MASK]: no context", value: base.unigram_mask_loss },
      { name: "bigram", value: base.bigram_mask_loss },
    ],
  });
}

/** What was made, stage by stage. */
export function summary(rows: readonly Row[], print: Context["print"]): void {
  const width = Math.max(...rows.map(({ stage }) => stage.length)) + 2;
  print();
  print("What was made");
  for (const { stage, made, where, seconds, reused } of rows) {
    print(`  ${stage.padEnd(width)}${reused ? "reused" : `${seconds.toFixed(0)} s`.padStart(6)}  ${made}`);
    print(`  ${" ".repeat(width + 8)}${where}`);
  }
}

/** The loss beside its yardsticks. */
export function judge({ evaluation }: Trained, base: Baselines, print: Context["print"]): void {
  const row = (name: string, value: number, note: string): void =>
    print(`  ${name.padEnd(26)}${value.toFixed(3)}  ${note}`);
  print();
  print("Held-out loss on [MASK] positions, nats (lower is better)");
  row("U[MASK], no context", base.unigram_mask_loss, "what the frequency of pieces alone gives: the plateau");
  row(
    "this model",
    evaluation.masked_lm_mask_loss,
    `${(base.unigram_mask_loss - evaluation.masked_lm_mask_loss).toFixed(2)} below the plateau, accuracy ${
      (evaluation.masked_lm_mask_accuracy * 100).toFixed(1)
    } % (plateau ${(base.unigram_mask_accuracy * 100).toFixed(1)} %)`,
  );
  row("bigram table", base.bigram_mask_loss, "counts of both neighbours: the next mark to pass");
  print("Held-out loss on all predictions, which copying alone improves");
  row("U, no context", base.unigram_loss, "");
  row("C, copying what is seen", base.copy_loss, "10 % of the places keep their piece");
  row(
    "this model",
    evaluation.masked_lm_loss,
    `accuracy ${(evaluation.masked_lm_accuracy * 100).toFixed(1)} %`,
  );
  row(
    "sentence order accuracy",
    evaluation.sentence_order_accuracy,
    `majority ${base.sentence_order_majority.toFixed(3)}, segment lengths alone ${
      base.sentence_order_length_cue.toFixed(3)
    }`,
  );
}

/** Three sentences with the likeliest pieces. */
export async function fill(
  place: Place,
  checkpoint: string,
  tokenizer: SentencePiece,
  print: Context["print"],
): Promise<void> {
  const { config, parameters } = readCheckpoint(checkpoint);
  print();
  print("Filled masks");
  for (const text of sentences[place.corpus]) {
    const [best = []] = await fillMask(text, {
      engine: place.engine,
      config,
      parameters,
      tokenizer,
      prepare: (part) => preprocessText(part),
    });
    print(`  ${text}`);
    print(`    ${best.map(({ piece, probability }) => `${piece} ${probability.toFixed(2)}`).join("  ")}`);
  }
}

/** Files and commands that go on from here. */
export function openNext({ folder, corpus }: Place, checkpoint: string, print: Context["print"]): void {
  print();
  print("Open next");
  print(`  ${join(folder, "loss.svg")}  the loss curve of the first stage, breaking through its plateau`);
  print("  notebooks/00_start_here.ipynb  the same road in cells, with pictures");
  print(`  deno task albert fill-mask --model=${checkpoint} "${sentences[corpus][0]}"`);
  print(`  deno task albert inspect ${join(folder, "train_short.tfrecord")} --limit=1`);
  print(
    `  deno task guide --corpus=${
      corpus === "kjv" ? "sotu" : "kjv"
    }  the other corpus; --seed=2 another model`,
  );
}
