/**
 * `albert export`: a checkpoint as a Hugging Face folder, ONNX models or a TensorFlow checkpoint, with a model card.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { PretrainingConfig } from "../config/mod.ts";
import { type ExportFormat, exportModel, modelCard } from "../export/mod.ts";
import { expandPatterns } from "../records/mod.ts";
import { type Checkpoint, evaluateInDetail, isFineTuned, readCheckpoint } from "../train/mod.ts";
import { type Command, command, type Context, type FlagValues, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { commandLine, defaultsOf } from "./command_note.ts";
import {
  dataFacts,
  loggedEvaluation,
  logOf,
  lossChart,
  tokenizerFacts,
  trainingCommands,
} from "./export_card.ts";
import { readInput } from "./files.ts";
import { exportFineTuned } from "./export_task.ts";
import { preparationHelp, readPreparation } from "./preparation.ts";
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
    help: "hf, onnx, tf, or several by comma (tf then goes to the folder tf inside, onnx always to onnx)",
  },
  spm_model_file: { kind: "string", help: "the tokenizer; default the one kept in the checkpoint" },
  do_lower_case: { kind: "boolean", help: `the training text was lower-cased; ${preparationHelp} true` },
  keep_accents: { kind: "boolean", help: `the training text kept its accents; ${preparationHelp} false` },
  architecture: {
    kind: "string",
    choices: ["AlbertForPreTraining", "AlbertForMaskedLM"],
    default: "AlbertForPreTraining",
    help: "hf: the class the weights are for; AlbertForMaskedLM is without pooler and order head; " +
      "a fine-tuned checkpoint has its own",
  },
  max_shard_size: {
    kind: "string",
    default: "5GB",
    help: "hf: weights in one file at most, such as 200MB; more go to several files with an index",
  },
  onnx_weights: {
    kind: "string",
    default: "fp32,fp16,int8",
    help: "onnx: model.onnx, model_fp16.onnx (half the bytes), model_quantized.onnx (a quarter), by comma",
  },
  onnx_outputs: {
    kind: "string",
    default: "logits,last_hidden_state",
    help:
      "onnx: logits for fill-mask, last_hidden_state for feature-extraction, by comma; a model computes all it has",
  },
  opset: { kind: "int", default: 17, help: "onnx: version of the operators, 17 to 21" },
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

/** The names in a flag, by comma; others than the known ones are refused. */
function namesIn<Name extends string>(flag: string, value: string, known: readonly Name[]): Name[] {
  const names = value.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name as Name));
  if (unknown !== undefined) {
    const list = known.join(", ");
    throw new UsageError(`Cannot run export: --${flag}=${unknown} is unknown, choose of ${list}, by comma`);
  }
  return [...new Set(names)] as Name[];
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

/** Bytes of `5GB`, `200MB`, `1000`: units of 1000, as transformers counts them. */
function bytesOf(size: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?) ?(KB|MB|GB)?$/i.exec(size.trim()) ?? [];
  const bytes = Number(number) * { "": 1, KB: 1e3, MB: 1e6, GB: 1e9 }[unit.toUpperCase() as "KB"];
  if (bytes > 0) return bytes;
  throw new UsageError(`Cannot run export: --max_shard_size=${size} is no size, write 200MB or 5GB`);
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
  const formats = namesIn<ExportFormat>("format", values.format, ["hf", "onnx", "tf"]);
  const onnx = {
    weights: namesIn("onnx_weights", values.onnx_weights, ["fp32", "fp16", "int8"]),
    outputs: namesIn("onnx_outputs", values.onnx_outputs, ["logits", "last_hidden_state"]),
    opset: values.opset,
  };
  const maxShardBytes = bytesOf(values.max_shard_size);
  const command = commandLine("export", values, defaultsOf(flags));
  if (isFineTuned(values.checkpoint)) {
    return await exportFineTuned({ ...values, formats, command, maxShardBytes }, context);
  }
  const checkpoint = readCheckpoint(values.checkpoint);
  const { path, config, parameters, m, v, state } = checkpoint;
  const tokenizer = openTokenizerOf(checkpoint, values.spm_model_file);
  const preparation = readPreparation(path, values);
  const facts = dataFacts(values.data_card);
  const log = logOf({ path, step: state.step });
  const evaluation = await measured(checkpoint, values, tokenizer, context) ?? loggedEvaluation(log);
  const chart = await lossChart(log);
  const given = Object.fromEntries(
    (["language", "licence", "example"] as const).flatMap((name) =>
      values[name] === undefined ? [] : [[name, values[name]]]
    ),
  );
  const card = modelCard({
    title: values.title,
    config,
    step: state.step,
    command,
    trainedBy: trainingCommands(checkpoint),
    run: state.run as { readonly [flag: string]: unknown },
    tokenizer: tokenizerFacts(tokenizer),
    ...preparation,
    architecture: values.architecture as "AlbertForPreTraining",
    formats,
    onnx,
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
    ...preparation,
    maxShardBytes,
    architecture: values.architecture as "AlbertForPreTraining",
    optimizerSlots: values.optimizer_slots,
    onnx,
    texts: formats.every((format) => format === "tf") ? {} : {
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
  summary: "Write a checkpoint as a Hugging Face folder, as ONNX models or a TensorFlow checkpoint.",
  example:
    "deno task albert export --checkpoint=build/guide/kjv-1/model_long --output_dir=build/bible-albert " +
    "--eval_input_file=build/guide/kjv-1/held_out_long.tfrecord --data_card=data/kjv/card.json",
  flags,
  run,
});
