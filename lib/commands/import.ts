/**
 * `albert import`: a Hugging Face folder or a TensorFlow checkpoint becomes a checkpoint of this library.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readAlbertConfig } from "../config/mod.ts";
import { type HuggingFaceModel, readHuggingFace } from "../export/mod.ts";
import { findTfCheckpoint } from "../formats/mod.ts";
import { initialParameters, readInitialWeights, saveWeights } from "../train/mod.ts";
import { type Command, command, UsageError } from "./command.ts";
import { readInput } from "./files.ts";
import { preparationFile, type TextPreparation } from "./preparation.ts";

type Found =
  & Omit<HuggingFaceModel, "tokenizer" | keyof TextPreparation>
  & Partial<TextPreparation>
  & { readonly tokenizer: Uint8Array | undefined };

/** A TensorFlow checkpoint with the files that Google's archives hold beside it. */
function fromTensorFlow(prefix: string, configFile: string | undefined): Found {
  const folder = dirname(prefix);
  const path = configFile ?? join(folder, "albert_config.json");
  if (!existsSync(path)) {
    throw new UsageError(`Cannot run import: there is no ${path}; name the config by --albert_config_file`);
  }
  const config = readAlbertConfig(path);
  const models = readdirSync(folder).filter((name) => name.endsWith(".model"));
  const only = models.length === 1 ? models[0] : undefined;
  const tokenizer = only === undefined ? undefined : readInput(join(folder, only), "tokenizer");
  return { config, tokenizer, notes: [], ...readInitialWeights(prefix, config) };
}

/** The command. */
export const importCommand: Command = command({
  name: "import",
  summary: "Make a checkpoint of a Hugging Face folder or a TensorFlow checkpoint.",
  example: "deno task albert import --model=build/bible-albert --output_dir=build/imported",
  flags: {
    model: {
      kind: "string",
      required: true,
      help: "a Hugging Face folder, or a TensorFlow checkpoint: its prefix or folder",
    },
    output_dir: { kind: "string", required: true, help: "the folder of checkpoints to make" },
    albert_config_file: { kind: "string", help: "TensorFlow: the config; default albert_config.json beside" },
    spm_model_file: { kind: "string", help: "the tokenizer; default the one beside the weights" },
    seed: { kind: "int", default: 1, help: "seed of weights that the source lacks, such as a head" },
  },
  run: ({ model, output_dir, albert_config_file, spm_model_file, seed }, _, { print }) => {
    const isFolder = statSync(model, { throwIfNoEntry: false })?.isDirectory() === true;
    const prefix = isFolder && existsSync(join(model, "config.json")) ? undefined : findTfCheckpoint(model);
    if (prefix === undefined && !isFolder) {
      throw new Error(
        `Cannot import ${model}: it is neither a folder nor the prefix of a TensorFlow checkpoint`,
      );
    }
    const found: Found = prefix === undefined
      ? readHuggingFace(model)
      : fromTensorFlow(prefix, albert_config_file);
    const { config, parameters, missing, unexpected, notes, tokenizer } = found;
    const { doLowerCase = true, keepAccents = false } = found;
    const pieces = spm_model_file === undefined ? tokenizer : readInput(spm_model_file, "tokenizer");
    for (const note of notes) print(note);
    if (missing.length > 0) print(`fresh, as the source lacks them: ${missing.join(", ")}`);
    if (unexpected.length > 0) print(`left aside: ${unexpected.join(", ")}`);
    if (pieces === undefined) print("without a tokenizer: --spm_model_file names it");
    const fresh = missing.length === 0 ? {} : initialParameters(config, seed);
    const path = saveWeights(output_dir, {
      config,
      parameters: { ...fresh, ...parameters },
      attachments: {
        ...(pieces === undefined ? {} : { "tokenizer.model": pieces }),
        ...(doLowerCase && !keepAccents ? {} : preparationFile({ doLowerCase, keepAccents })),
      },
    });
    print(`${path}: ${Object.keys(parameters).length} weights of ${prefix ?? model}`);
    return Promise.resolve();
  },
});
