/**
 * A pretrained model that a command works with: a checkpoint or a Hugging Face folder, with its tokenizer.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AlbertConfig } from "../config/mod.ts";
import { readHuggingFace } from "../export/mod.ts";
import { readCheckpoint } from "../train/mod.ts";
import { readInput } from "./files.ts";
import { readPreparation, type TextPreparation } from "./preparation.ts";

/** The model, and where its parts came from, for messages. */
export type OpenedModel = {
  readonly config: AlbertConfig;
  readonly parameters: { readonly [name: string]: Float32Array };
  /** Content of the tokenizer. */
  readonly bytes: Uint8Array;
  readonly file: string;
  /** The checkpoint or folder. */
  readonly path: string;
} & TextPreparation;

/** Help of the flag that names one. */
export const modelHelp =
  "a step folder, an output_dir, whose newest checkpoint is taken, or a Hugging Face folder";

/**
 * Opens a checkpoint or a Hugging Face folder, with its tokenizer or the one given.
 *
 * @param options `verb`: what is tried, for messages; `spare`: names of weights that a Hugging Face folder may lack.
 */
export function openModel(
  model: string,
  given: string | undefined,
  { verb, spare }: { readonly verb: string; readonly spare: RegExp },
): OpenedModel {
  if (existsSync(join(model, "config.json"))) {
    const { config, parameters, tokenizer, missing, doLowerCase, keepAccents } = readHuggingFace(model);
    const needed = missing.find((name) => !spare.test(name));
    if (needed !== undefined) throw new Error(`Cannot ${verb} with ${model}: it has no weight ${needed}`);
    const bytes = given === undefined ? tokenizer : readInput(given, "tokenizer");
    return { config, parameters, bytes, file: given ?? model, path: model, doLowerCase, keepAccents };
  }
  const { path, config, parameters } = readCheckpoint(model);
  const file = given ?? join(path, "tokenizer.model");
  if (given === undefined && !existsSync(file)) {
    throw new Error(
      `Cannot ${verb} with ${path}: it keeps no tokenizer; name the one of its records by --spm_model_file`,
    );
  }
  return { config, parameters, bytes: readInput(file, "tokenizer"), file, path, ...readPreparation(path) };
}
