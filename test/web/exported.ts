/** An exported ONNX folder for the tests of what runs it outside the library, and where those programs lie. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { openEngine } from "../../lib/engines/mod.ts";
import { type ExportedModel, exportModel } from "../../lib/export/mod.ts";
import { preprocessText } from "../../lib/text/mod.ts";
import { loadSentencePiece, serializeModel } from "../../lib/tokenizer/mod.ts";
import { type FilledPiece, fillMask, initialParameters } from "../../lib/train/mod.ts";
import { kjvDocuments, kjvTokenizer } from "../train/kjv.ts";

export const web: string = new URL("../../web", import.meta.url).pathname;

/** A package of web/deno.json, or undefined where `deno install --config web/deno.json` was not run. */
export function installed(name: string): string | undefined {
  const path = join(web, "node_modules", name);
  return existsSync(path) ? path : undefined;
}

/** An exported model with a tokenizer of the Bible and weights far enough from zero that its candidates are apart; and held-out text. */
export async function exportSample(
  folder: string,
): Promise<{ readonly model: ExportedModel; readonly sentences: readonly string[] }> {
  const documents = await kjvDocuments(0.1);
  const { model: tokenizer } = await kjvTokenizer(documents, 1000);
  const config = albertPreset("tiny", {
    vocab_size: tokenizer.pieces.length,
    max_position_embeddings: 64,
    initializer_range: 0.1,
  });
  const weights = Object.entries(initialParameters(config, 3));
  const parameters = Object.fromEntries(
    weights.map(([name, values]) => [name, values.map((value, i) => value * 2 + Math.sin(i * 7) / 5)]),
  );
  const model = { config, parameters, tokenizer: serializeModel(tokenizer), step: 1 };
  exportModel(folder, model, { formats: ["onnx"] });
  return { model, sentences: documents.heldOut.flat() };
}

/** What our fill-mask answers. */
export async function ourAnswers(text: string, model: ExportedModel): Promise<FilledPiece[][]> {
  const { config, parameters } = model;
  const tokenizer = loadSentencePiece(model.tokenizer);
  const prepare = (part: string): string => preprocessText(part);
  return await fillMask(text, {
    engine: await openEngine("tfjs-cpu"),
    config,
    parameters,
    tokenizer,
    prepare,
  });
}
