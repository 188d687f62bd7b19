/**
 * A trained model as other programs load it: a Hugging Face folder (`hf`), ONNX models (`onnx`) and a TensorFlow checkpoint
 * with the original's names (`tf`). The folder appears whole or not at all.
 */
import { join } from "node:path";
import { type AlbertConfig, albertConfigToJson, type FinetuneTask } from "../config/mod.ts";
import {
  firstNotFinite,
  type SafetensorsTensor,
  writeFileAtomic,
  writeSafetensorsFiles,
  writeTfCheckpoint,
} from "../formats/mod.ts";
import { albertParameters, type ParameterSpec } from "../model/mod.ts";
import { parseModel, type SentencePieceModel } from "../tokenizer/mod.ts";
import { writeFolder } from "./folder.ts";
import { huggingFaceConfig } from "./hf_config.ts";
import { huggingFaceWeights } from "./names.ts";
import { type OnnxFiles, writeOnnxFiles } from "./onnx/files.ts";
import {
  idOf,
  type Preparation,
  specials,
  specialTokensMap,
  tokenizerConfig,
  tokenizerJson,
} from "./tokenizer_json.ts";

/**
 * What is exported.
 *
 * @example
 * ```ts
 * import type { ExportedModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const weights = ({ parameters }: ExportedModel): number => Object.keys(parameters).length;
 * assert.equal(typeof weights, "function");
 * ```
 */
export type ExportedModel = {
  readonly config: AlbertConfig;
  /** Weights by TensorFlow name, as in a checkpoint. */
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Content of the SentencePiece model; its pieces must be those of the config. */
  readonly tokenizer: Uint8Array;
  /** Updates done. */
  readonly step: number;
  /** First moments, for `optimizerSlots`. */
  readonly m?: { readonly [name: string]: Float32Array };
  /** Second moments, for `optimizerSlots`. */
  readonly v?: { readonly [name: string]: Float32Array };
  /** A fine-tuned model: its weights, where they are not those of pretraining, and its labels in the order of the scores. */
  readonly fineTuned?: {
    readonly weights: readonly ParameterSpec[];
    readonly labels: readonly string[];
    readonly classifierDropout: number;
    /** Kept as `finetuning_task`, which tells a pair from one text. */
    readonly task: FinetuneTask;
  };
};

/**
 * A format to export: Hugging Face, ONNX or TensorFlow.
 *
 * @example
 * ```ts
 * import type { ExportFormat } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const both: readonly ExportFormat[] = ["hf", "tf"];
 * assert.equal(both.length, 2);
 * ```
 */
export type ExportFormat = "hf" | "onnx" | "tf";

/**
 * How a model is exported.
 *
 * @example
 * ```ts
 * import type { ExportOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const german: ExportOptions = { formats: ["hf"], doLowerCase: false, keepAccents: true };
 * assert.equal(german.keepAccents, true);
 * ```
 */
export type ExportOptions = {
  /** Default `["hf"]`. With several, the TensorFlow files go to the folder `tf` inside; ONNX models always to `onnx`. */
  readonly formats?: readonly ExportFormat[];
  /** The training text was lower-cased; default true. */
  readonly doLowerCase?: boolean;
  /** The training text kept its accents; default false. */
  readonly keepAccents?: boolean;
  /**
   * Hugging Face: the class the weights are for. `AlbertForPreTraining` (default) holds everything; `AlbertForMaskedLM` is
   * without pooler and order head, so that class finds nothing left over. The last two are for fine-tuned models.
   */
  readonly architecture?:
    | "AlbertForPreTraining"
    | "AlbertForMaskedLM"
    | "AlbertForSequenceClassification"
    | "AlbertForTokenClassification";
  /** Hugging Face: bytes of weights that one file holds at most; more go to several with an index. Default 5e9. */
  readonly maxShardBytes?: number;
  /** ONNX: kinds of weights, outputs, version of the operators. */
  readonly onnx?: OnnxFiles;
  /** TensorFlow: write both moments too, so that the original trainer could go on; default false. */
  readonly optimizerSlots?: boolean;
  /** Further texts by file name: `README.md`, `eval.json`, `loss.svg`. */
  readonly texts?: { readonly [name: string]: string };
};

const float = (shape: readonly number[], data: Float32Array): SafetensorsTensor => ({
  dtype: "F32",
  shape,
  data,
});

/** Names and shapes of what is exported. */
const weightsOf = ({ config, fineTuned }: ExportedModel): readonly ParameterSpec[] =>
  fineTuned?.weights ?? albertParameters(config);

/** Refuses weights that no reader could use, and a tokenizer of another size. */
function check(model: ExportedModel, tokenizer: SentencePieceModel): void {
  const { config, parameters } = model;
  const { vocab_size } = config;
  if (tokenizer.pieces.length !== vocab_size) {
    throw new RangeError(
      `Cannot export: the tokenizer has ${tokenizer.pieces.length} pieces and the model ${vocab_size}; ` +
        "give the tokenizer that made the records",
    );
  }
  for (const { name, shape } of weightsOf(model)) {
    const values = parameters[name];
    const wanted = shape.reduce((product, size) => product * size, 1);
    if (values?.length !== wanted) {
      throw new RangeError(
        `Cannot export: ${name} has ${values?.length ?? "no"} values, the config asks for ${wanted}`,
      );
    }
    const bad = firstNotFinite(values);
    if (bad >= 0) throw new RangeError(`Cannot export: ${name} holds ${values[bad]} at place ${bad}`);
  }
}

/** Config, tokenizer and, for `hf`, weights: ONNX models want the same files beside them. */
function writeHuggingFace(
  folder: string,
  model: ExportedModel,
  tokenizer: SentencePieceModel,
  { preparation, architecture, maxShardBytes, withWeights }: {
    readonly preparation: Preparation;
    readonly architecture: NonNullable<ExportOptions["architecture"]>;
    readonly maxShardBytes: number;
    readonly withWeights: boolean;
  },
): void {
  const { config, parameters, tokenizer: bytes, fineTuned } = model;
  const { pad_token, cls_token, sep_token } = specials;
  const ids = {
    pad: idOf(tokenizer, pad_token),
    cls: idOf(tokenizer, cls_token),
    sep: idOf(tokenizer, sep_token),
  };
  const surplus = architecture === "AlbertForMaskedLM" ? /^(albert\.pooler|sop_classifier)\./ : /^$/;
  const shown = Object.entries(huggingFaceWeights(parameters, config, weightsOf(model))).filter(([name]) =>
    !surplus.test(name)
  )
    .map(([name, { shape, data }]) => [name, float(shape, data)] as const);
  const files: { readonly [name: string]: string | Uint8Array } = {
    "config.json": huggingFaceConfig(config, {
      ...{ ...ids, architecture },
      ...(fineTuned === undefined ? {} : fineTuned),
    }),
    "tokenizer.json": tokenizerJson(tokenizer, preparation),
    "tokenizer_config.json": tokenizerConfig(preparation),
    "special_tokens_map.json": specialTokensMap(),
    "spiece.model": bytes,
  };
  for (const [name, content] of Object.entries(files)) writeFileAtomic(join(folder, name), content);
  if (withWeights) writeSafetensorsFiles(folder, Object.fromEntries(shown), { maxShardBytes });
}

function writeTensorFlow(
  folder: string,
  model: ExportedModel,
  optimizerSlots: boolean,
): void {
  const { config, parameters, m, v, step, tokenizer } = model;
  const tensors: Record<string, SafetensorsTensor> = {
    global_step: { dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(step)) },
  };
  for (const { name, shape } of weightsOf(model)) {
    tensors[name] = float(shape, parameters[name] as Float32Array); // checked before
    if (!optimizerSlots) continue;
    const [first, second] = [m?.[name], v?.[name]];
    if (first === undefined || second === undefined) {
      throw new RangeError(`Cannot export the optimizer's slots: the checkpoint has no moments of ${name}`);
    }
    for (const [slot, values] of [["adam_m", first], ["adam_v", second]] as const) {
      const bad = firstNotFinite(values);
      if (bad < 0) continue;
      throw new RangeError(
        `Cannot export the optimizer's slots: ${name}/${slot} holds ${values[bad]} at place ${bad}`,
      );
    }
    tensors[`${name}/adam_m`] = float(shape, first);
    tensors[`${name}/adam_v`] = float(shape, second);
  }
  writeTfCheckpoint(join(folder, `model.ckpt-${step}`), tensors);
  writeFileAtomic(join(folder, "albert_config.json"), albertConfigToJson(config));
  writeFileAtomic(join(folder, "spiece.model"), tokenizer);
}

/**
 * Writes a model for other programs.
 *
 * `hf` is a folder that transformers loads with nothing converted (`config.json`, `model.safetensors` with both heads,
 * tokenizer files); `onnx` the same with `onnx/model.onnx` and its smaller forms in place of the weights, as
 * transformers.js loads it; `tf` a checkpoint with the original's variable names, `global_step`, `albert_config.json` and the
 * `checkpoint` file.
 *
 * @param folder Where to; a folder of an earlier export is replaced, another one refused.
 * @param model Config, weights, tokenizer, step.
 * @param options Formats, how the text was prepared, further texts such as the model card.
 * @throws {RangeError} When tokenizer and config disagree, a weight is missing or no number, or the architecture has no
 * equal there.
 * @throws {TypeError} When the tokenizer is no unigram model.
 * @throws {Error} When the folder holds other files or cannot be written.
 * @example
 * ```ts
 * import { albertPreset, exportModel, initialParameters, readTfCheckpoint, serializeModel } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const control = (piece: string) => ({ piece, score: 0, type: "control" }) as const;
 * const pieces = [control("<pad>"), { piece: "<unk>", score: 0, type: "unknown" } as const];
 * for (const piece of ["[CLS]", "[SEP]", "[MASK]"]) pieces.push(control(piece));
 * const config = albertPreset("tiny", { vocab_size: pieces.length });
 * const folder = `${mkdtempSync(`${tmpdir()}/albert-`)}/export`;
 * const parameters = initialParameters(config, 1);
 * exportModel(folder, { config, parameters, tokenizer: serializeModel({ pieces }), step: 7 }, { formats: ["hf", "tf"] });
 * assert.deepEqual(readTfCheckpoint(`${folder}/tf`).read("global_step").data, BigInt64Array.of(7n));
 * ```
 */
export function exportModel(folder: string, model: ExportedModel, options: ExportOptions = {}): void {
  const { formats = ["hf"], doLowerCase = true, keepAccents = false, optimizerSlots = false, texts = {} } =
    options;
  const { architecture = "AlbertForPreTraining", maxShardBytes = 5e9 } = options;
  const tokenizer = parseModel(model.tokenizer);
  check(model, tokenizer);
  const preparation = { doLowerCase, keepAccents, maxLength: model.config.max_position_embeddings };
  writeFolder(folder, (temporary) => {
    if (formats.includes("hf") || formats.includes("onnx")) {
      const withWeights = formats.includes("hf");
      writeHuggingFace(temporary, model, tokenizer, {
        preparation,
        architecture,
        maxShardBytes,
        withWeights,
      });
    }
    if (formats.includes("onnx")) writeOnnxFiles(join(temporary, "onnx"), model, options.onnx);
    if (formats.includes("tf")) {
      writeTensorFlow(formats.length > 1 ? join(temporary, "tf") : temporary, model, optimizerSlots);
    }
    for (const [name, text] of Object.entries(texts)) writeFileAtomic(join(temporary, name), text);
  });
}
