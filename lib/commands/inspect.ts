/**
 * `albert inspect`: what is inside a file of the road, and where it is damaged.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { findTfCheckpoint, openSafetensors, parseOnnx, readTfCheckpoint } from "../formats/mod.ts";
import { parseModel, readVocabulary } from "../tokenizer/mod.ts";
import { readCheckpoint } from "../train/mod.ts";
import { type Command, command, type Context, UsageError } from "./command.ts";
import { readInput } from "./files.ts";
import { chartFile, inspectRecords } from "./inspect_records.ts";
import { openTokenizer } from "./records.ts";

type Print = Context["print"];

function firstBytes(path: string): Uint8Array {
  const handle = openSync(path, "r");
  try {
    const bytes = new Uint8Array(16);
    return bytes.subarray(0, readSync(handle, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(handle);
  }
}

/** What a file is, by its name first and its bytes then. */
export function kindOf(
  path: string,
): "checkpoint" | "tensorflow" | "tfrecord" | "safetensors" | "onnx" | "model" | "vocabulary" {
  if (!existsSync(path)) {
    if (findTfCheckpoint(path) !== undefined) return "tensorflow"; // the prefix of its files
    throw new Error(`Cannot inspect ${path}: there is no such file or folder`);
  }
  if (statSync(path).isDirectory()) {
    return readdirSync(path).some((name) => name.endsWith(".index")) ? "tensorflow" : "checkpoint";
  }
  if (/\.index$|\.data-\d{5}-of-\d{5}$/.test(path)) return "tensorflow";
  if (/\.safetensors(\.index\.json)?$/.test(path)) return "safetensors";
  if (path.endsWith(".onnx")) return "onnx";
  if (path.endsWith(".model")) return "model";
  if (/\.vocab$|vocab[^/]*\.txt$/.test(path)) return "vocabulary";
  if (/\.tf_?records?(-\d+-of-\d+)?(\.gz)?$/.test(path)) return "tfrecord";
  const bytes = firstBytes(path);
  if (bytes[8] === 0x7b) return "safetensors";
  if (bytes[0] === 0x0a) return "model";
  return "tfrecord";
}

function inspectModel(path: string, limit: number, print: Print): void {
  const { pieces, trainer_spec, normalizer_spec } = parseModel(readInput(path, "tokenizer"), { path });
  const types = new Map<string, number>();
  for (const { type } of pieces) types.set(type, (types.get(type) ?? 0) + 1);
  print(
    `${path}: SentencePiece model, ${pieces.length} pieces (${
      [...types].map(([type, n]) => `${n} ${type}`).join(", ")
    })`,
  );
  for (
    const name of [
      "vocab_size",
      "character_coverage",
      "control_symbols",
      "user_defined_symbols",
      "unk_id",
      "pad_id",
    ]
  ) {
    const value = trainer_spec?.[name];
    if (value !== undefined) print(`  ${name} = ${String(value)}`);
  }
  print(`  normalization = ${String(normalizer_spec?.["name"] ?? "none")}`);
  pieces.slice(0, limit).forEach(({ piece, score, type }, id) =>
    print(`  ${id}\t${piece}\t${score}\t${type}`)
  );
}

function inspectVocabulary(path: string, limit: number, print: Print): void {
  const { kind, size, pieces, scores } = readVocabulary(path);
  const what = kind === "vocab.txt" ? "WordPiece vocabulary" : "SentencePiece vocabulary";
  print(`${path}: ${what}, ${size} pieces${scores === undefined ? "" : " with scores"}`);
  pieces.slice(0, limit).forEach((piece, id) =>
    print(`  ${id}\t${piece}${scores === undefined ? "" : `\t${scores[id]}`}`)
  );
}

function inspectTensors(path: string, print: Print): void {
  const { tensors, metadata } = openSafetensors(path); // the values themselves say nothing about damage
  const rows = Object.entries(tensors);
  for (const [name, { dtype, shape }] of rows) print(`  ${name}\t${dtype}\t[${shape.join(", ")}]`);
  for (const [key, value] of Object.entries(metadata ?? {})) print(`  metadata ${key} = ${value}`);
  print(`${path}: ${rows.length} tensors`);
}

/** What goes in and out of an ONNX model, its operators by number, and its weights. */
function inspectOnnx(path: string, print: Print): void {
  const model = parseOnnx(readInput(path, "ONNX model"), { path });
  const shaped = (shape: readonly (number | string)[]): string => `[${shape.join(", ")}]`;
  for (const kind of ["inputs", "outputs"] as const) {
    for (const { name, type, shape } of model[kind]) {
      print(`  ${kind.slice(0, -1)} ${name}\t${type}\t${shaped(shape)}`);
    }
  }
  const operators = new Map<string, number>();
  for (const { op } of model.nodes) operators.set(op, (operators.get(op) ?? 0) + 1);
  for (const [op, count] of [...operators].sort(([, a], [, b]) => b - a)) print(`  ${count} × ${op}`);
  for (const { name, type, shape, data } of model.tensors) {
    print(`  ${name}\t${type}\t${shaped(shape)}${data === undefined ? "\tkept elsewhere" : ""}`);
  }
  for (const [key, value] of Object.entries(model.metadata)) print(`  metadata ${key} = ${value}`);
  const { nodes, tensors, opset, irVersion, producer } = model;
  const by = producer === "" ? "" : `, by ${producer}`;
  print(
    `${path}: ONNX, opset ${opset}, IR ${irVersion}${by}: ${nodes.length} nodes, ${tensors.length} weights`,
  );
}

/** Every variable of a TensorFlow checkpoint; its values are read too, so that damage is told. */
function inspectTensorFlow(path: string, print: Print): void {
  const { prefix, variables, read } = readTfCheckpoint(path);
  for (const { name, dtype, shape, partitioned } of variables) {
    const readable = dtype !== undefined && !partitioned;
    if (readable) read(name);
    const note = partitioned ? "\tin parts" : "";
    print(`  ${name}\t${dtype ?? "no number"}\t[${shape.join(", ")}]${note}`);
  }
  print(`${prefix}: TensorFlow checkpoint, ${variables.length} variables, every number checked`);
}

function inspectCheckpoint(path: string, print: Print): void {
  const { config, parameters, m, state, path: found } = readCheckpoint(path);
  print(
    `${found}: checkpoint at step ${state.step}, ${
      m === undefined ? "without" : "with"
    } moments, every checksum right`,
  );
  print(`  ${JSON.stringify(config)}`);
  for (const [name, values] of Object.entries(parameters)) print(`  ${name}\t${values.length}`);
  if (existsSync(join(found, "tokenizer.model"))) print("  tokenizer.model");
}

/** The command. */
export const inspect: Command = command({
  name: "inspect",
  summary:
    "Show what is inside a record file, tokenizer, safetensors or ONNX file, or checkpoint (TensorFlow's too), and where it is damaged.",
  example: "deno task albert inspect build/train.tfrecord --limit=1",
  positional: {
    name: "FILE",
    help:
      "a TFRecord file, a .model, a .vocab or vocab.txt, a .safetensors or .onnx file, a checkpoint folder, the prefix of a TensorFlow checkpoint",
  },
  flags: {
    limit: { kind: "int", default: 3, help: "records or pieces shown in full" },
    json: { kind: "boolean", default: false, help: "records: one line of JSON a file instead of text" },
    chart: {
      kind: "string",
      help: "records: SVG file for the figures, or a folder for those of several files",
    },
    skip_damaged: { kind: "boolean", default: false, help: "records: skip damaged ones and count them" },
    spm_model_file: { kind: "string", help: "records: SentencePiece model, to show tokens" },
    vocab_file: { kind: "string", help: "records: vocab.txt or .vocab, to show tokens" },
  },
  run: async ({ limit, json, chart, skip_damaged, spm_model_file, vocab_file }, paths, context) => {
    const { print } = context;
    if (paths.length === 0) throw new UsageError("Cannot run inspect: name a file");
    const tokenizer = spm_model_file === undefined && vocab_file === undefined
      ? undefined
      : spm_model_file === undefined && vocab_file !== undefined
      ? readVocabulary(vocab_file)
      : openTokenizer({ spm_model_file, do_lower_case: true }).tokenizer;
    for (const path of paths) {
      const kind = kindOf(path);
      const picture = chart === undefined ? undefined : chartFile(chart, path, paths.length);
      if (kind === "tfrecord") {
        const options = { limit, json, skipDamaged: skip_damaged, tokenizer, chart: picture };
        await inspectRecords(path, options, context);
      } else if (picture !== undefined) {
        throw new UsageError(`Cannot draw ${path}: it is a ${kind} file, --chart is for records`);
      } else if (kind === "model") inspectModel(path, limit, print);
      else if (kind === "vocabulary") inspectVocabulary(path, limit, print);
      else if (kind === "safetensors") inspectTensors(path, print);
      else if (kind === "onnx") inspectOnnx(path, print);
      else if (kind === "tensorflow") inspectTensorFlow(path, print);
      else inspectCheckpoint(path, print);
    }
  },
});
