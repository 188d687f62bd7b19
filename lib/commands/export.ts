/**
 * `albert export`: a checkpoint as a Hugging Face folder or a TensorFlow checkpoint, with a model card.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PretrainingConfig } from "../config/mod.ts";
import { type ExportFormat, exportModel, modelCard, type ModelCardFacts } from "../export/mod.ts";
import { expandPatterns } from "../records/mod.ts";
import { lineChart } from "../show/mod.ts";
import { type Checkpoint, evaluateInDetail, readCheckpoint } from "../train/mod.ts";
import { type Command, command, type Context, type FlagValues, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { readInput } from "./files.ts";
import { openExamples } from "./pretrain.ts";
import { checkRecords } from "./records_manifest.ts";

const flags = {
  checkpoint: {
    kind: "string",
    required: true,
    help: "a step folder, or an output_dir, whose newest one is taken",
  },
  output_dir: {
    kind: "string",
    required: true,
    help: "the folder to make; one of an earlier export is replaced",
  },
  format: {
    kind: "string",
    default: "hf",
    help: "hf, tf, or both by comma (tf then goes to the folder tf inside)",
  },
  spm_model_file: { kind: "string", help: "the tokenizer; default the one kept in the checkpoint" },
  do_lower_case: {
    kind: "boolean",
    default: true,
    help: "the training text was lower-cased",
    source: "reference",
  },
  keep_accents: { kind: "boolean", default: false, help: "the training text kept its accents" },
  architecture: {
    kind: "string",
    choices: ["AlbertForPreTraining", "AlbertForMaskedLM"],
    default: "AlbertForPreTraining",
    help: "hf: the class the weights are for; AlbertForMaskedLM is without pooler and order head",
  },
  optimizer_slots: { kind: "boolean", default: false, help: "tf: both moments too, as adam_m and adam_v" },
  eval_input_file: {
    kind: "string",
    help: "held-out records for eval.json and the card: paths or globs by comma",
  },
  eval_batch_size: { kind: "int", default: 64, help: "records per batch", source: "reference" },
  max_eval_steps: { kind: "int", default: 0, help: "most batches, 0 for all" },
  title: { kind: "string", default: "ALBERT", help: "card: name of the model" },
  language: { kind: "string", help: "card: language code, such as en; default that of data_card" },
  licence: { kind: "string", help: "card: licence of the weights, such as cc0-1.0" },
  data_card: {
    kind: "string",
    help: "card: JSON about the text with title, source, licence, plain.sha256, such as data/kjv/card.json",
  },
  example: { kind: "string", help: "card: a text with one [MASK] to try" },
  ...engineFlags,
} as const;

type Values = FlagValues<typeof flags>;

function formatsOf({ format }: Values): ExportFormat[] {
  const formats = format.split(",").map((name) => name.trim());
  const unknown = formats.find((name) => name !== "hf" && name !== "tf");
  if (unknown !== undefined) {
    throw new UsageError(`Cannot run export: --format=${unknown} is unknown, choose hf, tf or hf,tf`);
  }
  return [...new Set(formats)] as ExportFormat[];
}

/** The command line as it was given, defaults left out. */
function commandLine(values: Values): string {
  const defaults = flags as { readonly [name: string]: { readonly default?: unknown } };
  const given = Object.entries(values).filter(([name, value]) =>
    value !== undefined && value !== defaults[name]?.default
  );
  const quoted = (text: string): string =>
    /^[\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  return ["albert export", ...given.map(([name, value]) => quoted(`--${name}=${String(value)}`))].join(" ");
}

type Curve = { readonly step: number; readonly [name: string]: unknown };

/** The loss over the steps up to the exported one, where the run left its log. */
async function lossChart({ path, state }: Checkpoint): Promise<string | undefined> {
  const log = join(dirname(path), "metrics.jsonl");
  if (!existsSync(log)) return undefined;
  const lines = readFileSync(log, "utf8").trim().split("\n").flatMap((line) => {
    const parsed = JSON.parse(line) as Curve;
    return parsed.step <= state.step ? [parsed] : [];
  });
  const series = (name: string, key: string, of: (line: Curve) => unknown, dash: boolean) => {
    const points = lines.flatMap((line) => {
      const y = (of(line) as Record<string, unknown> | undefined)?.[key];
      return typeof y === "number" ? [{ x: line.step, y }] : [];
    });
    return points.length < 2
      ? []
      : [{ name, x: points.map(({ x }) => x), y: points.map(({ y }) => y), dash }];
  };
  const all = [
    ...series("[MASK] loss, training", "masked_lm_mask_loss", (line) => line, false),
    ...series("[MASK] loss, held out", "masked_lm_mask_loss", (line) => line["evaluation"], true),
    ...series("order loss, training", "sentence_order_loss", (line) => line, false),
  ];
  if (all.length === 0) return undefined;
  return await lineChart({ series: all, xLabel: "step", yLabel: "loss, nats" }).toSvg();
}

async function measured(
  { path, config, parameters, state }: Checkpoint,
  values: Values,
  tokenizer: Uint8Array,
  { signal }: Context,
): Promise<Record<string, unknown> | undefined> {
  const { eval_input_file: files } = values;
  if (files === undefined) return undefined;
  const run = state.run as Partial<PretrainingConfig>;
  const lengths = {
    max_seq_length: run.max_seq_length ?? config.max_position_embeddings,
    max_predictions_per_seq: run.max_predictions_per_seq ?? 20,
  };
  checkRecords(expandPatterns(files), {
    ...lengths,
    vocabSize: config.vocab_size,
    tokenizer: { path, bytes: tokenizer },
  });
  const metrics = await evaluateInDetail(parameters, config, openExamples(files, lengths), {
    engine: await openWished(values),
    batchSize: values.eval_batch_size,
    maskTokenId: run.mask_token_id ?? 4,
    signal,
    ...(values.max_eval_steps === 0 ? {} : { maxBatches: values.max_eval_steps }),
  });
  return { step: state.step, records: files, ...metrics };
}

/** What a data card says. */
function dataFacts(path: string | undefined): Pick<ModelCardFacts, "data" | "language"> {
  if (path === undefined) return {};
  let card: Record<string, unknown>;
  try {
    card = JSON.parse(new TextDecoder().decode(readInput(path, "data card"))) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SyntaxError(`Cannot read the data card ${path}: it is no JSON (${error.message})`);
  }
  const text = (key: string, value: unknown = card[key]): { readonly [key: string]: string } =>
    typeof value === "string" ? { [key]: value } : {};
  const plain = card["plain"] as { readonly sha256?: unknown } | undefined;
  const name = String(card["title"] ?? card["name"] ?? path);
  return {
    data: { name, ...text("source"), ...text("licence"), ...text("sha256", plain?.sha256 ?? card["sha256"]) },
    ...text("language"),
  };
}

function openTokenizerOf({ path }: Checkpoint, given: string | undefined): Uint8Array {
  const kept = join(path, "tokenizer.model");
  if (given !== undefined) return readInput(given, "tokenizer");
  if (existsSync(kept)) return readInput(kept, "tokenizer");
  throw new Error(
    `Cannot export ${path}: it keeps no tokenizer; name the one of its records by --spm_model_file`,
  );
}

async function run(values: Values, _: readonly string[], context: Context): Promise<void> {
  const formats = formatsOf(values);
  const checkpoint = readCheckpoint(values.checkpoint);
  const { path, config, parameters, m, v, state } = checkpoint;
  const tokenizer = openTokenizerOf(checkpoint, values.spm_model_file);
  const facts = dataFacts(values.data_card);
  const evaluation = await measured(checkpoint, values, tokenizer, context);
  const chart = await lossChart(checkpoint);
  const given = Object.fromEntries(
    (["language", "licence", "example"] as const).flatMap((name) =>
      values[name] === undefined ? [] : [[name, values[name]]]
    ),
  );
  const card = modelCard({
    title: values.title,
    config,
    step: state.step,
    command: commandLine(values),
    run: state.run as { readonly [flag: string]: unknown },
    doLowerCase: values.do_lower_case,
    ...(state.hashes === undefined ? {} : { hashes: state.hashes }),
    ...facts,
    ...given,
    ...(evaluation === undefined ? {} : { evaluation }),
    ...(chart === undefined ? {} : { chart: "loss.svg" }),
  });
  exportModel(values.output_dir, {
    config,
    parameters,
    tokenizer,
    step: state.step,
    ...(m === undefined ? {} : { m }),
    ...(v === undefined ? {} : { v }),
  }, {
    formats,
    doLowerCase: values.do_lower_case,
    keepAccents: values.keep_accents,
    architecture: values.architecture as "AlbertForPreTraining",
    optimizerSlots: values.optimizer_slots,
    texts: !formats.includes("hf") ? {} : {
      "README.md": card,
      ...(evaluation === undefined ? {} : { "eval.json": `${JSON.stringify(evaluation, null, 2)}\n` }),
      ...(chart === undefined ? {} : { "loss.svg": chart }),
    },
  });
  context.print(`${values.output_dir}: ${formats.join(" and ")} of ${path}, step ${state.step}`);
}

/** The command. */
export const exportCommand: Command = command({
  name: "export",
  summary: "Write a checkpoint as a Hugging Face folder or a TensorFlow checkpoint.",
  example:
    "deno task albert export --checkpoint=build/guide/kjv-1/model_long --output_dir=build/bible-albert " +
    "--eval_input_file=build/guide/kjv-1/held_out_long.tfrecord --data_card=data/kjv/card.json",
  flags,
  run,
});
