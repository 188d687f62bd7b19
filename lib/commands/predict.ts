/**
 * `albert predict`: what a fine-tuned model says about texts, from the command line or a file.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readHuggingFaceTask } from "../export/mod.ts";
import { readFineTuned } from "../train/mod.ts";
import { type FineTunedModel, type LabelledText, predictLabels } from "../train/mod.ts";
import { type Command, command, UsageError } from "./command.ts";
import { engineFlags, openWished } from "./engine.ts";
import { readInput } from "./files.ts";

/** A line as the task reads it: `||` parts the texts of a pair, blanks part words. */
function textOf(line: string, { task }: FineTunedModel): LabelledText {
  if (task === "tokens") {
    const tokens = line.trim().split(/\s+/).filter((word) => word !== "");
    if (tokens.length === 0) throw new UsageError("Cannot run predict: a text has no word");
    return { tokens };
  }
  const [text = "", textB, ...more] = line.split("||").map((part) => part.trim());
  if (task === "classify") return { text: line.trim() };
  if (textB === undefined || more.length > 0) {
    throw new UsageError(
      `Cannot run predict: the model is for pairs, give two texts with || between, not "${line}"`,
    );
  }
  return { text, textB };
}

/** The command. */
export const predict: Command = command({
  name: "predict",
  aliases: ["classify"],
  summary: "Label texts, pairs or words with a fine-tuned model.",
  example: 'deno task albert predict --model=build/books "And Moses went up unto God"',
  positional: {
    name: "TEXT",
    help: "one or more texts; || parts the two of a pair; for tokens words with blanks between",
  },
  flags: {
    model: {
      kind: "string",
      required: true,
      help:
        "a checkpoint of albert finetune: a step folder, or an output_dir, whose newest one is taken; or a fine-tuned " +
        "Hugging Face folder",
    },
    input_file: { kind: "string", help: "a file with one text a line, beside those of the command line" },
    json: { kind: "boolean", default: false, help: "a line of JSON for each text, with every probability" },
    top_k: { kind: "int", default: 3, help: "labels shown for a text" },
    batch_size: { kind: "int", default: 64, help: "texts per batch" },
    ...engineFlags,
  },
  run: async ({ model: path, input_file, json, top_k, batch_size, engine, plugin }, given, context) => {
    const lines = input_file === undefined
      ? []
      : new TextDecoder().decode(readInput(input_file, "texts")).split(/\r?\n/).filter((line) =>
        line.trim() !== ""
      );
    const texts = [...given, ...lines];
    if (texts.length === 0) throw new UsageError("Cannot run predict: give a text, or --input_file");
    if (batch_size < 1 || top_k < 1) {
      throw new UsageError("Cannot run predict: --batch_size and --top_k must be at least 1");
    }
    const model = existsSync(join(path, "config.json")) ? readHuggingFaceTask(path) : readFineTuned(path);
    const examples = texts.map((text) => textOf(text, model));
    const { onProgress, signal, endProgress, print } = context;
    const opened = await openWished({ engine, plugin });
    const found = await predictLabels(examples, model, {
      engine: opened,
      batchSize: batch_size,
      onProgress,
      signal,
    });
    await endProgress();
    found.forEach(({ label, tags, probabilities }, i) => {
      if (json) {
        return print(JSON.stringify({ text: texts[i], label, tags, labels: model.labels, probabilities }));
      }
      print(texts[i]);
      if (tags !== undefined) {
        return print(`  ${tags.map((tag, word) => `${examples[i]?.tokens?.[word]}/${tag}`).join(" ")}`);
      }
      const ranked = model.labels.map((name, at) => ({ name, share: probabilities[at] ?? NaN }))
        .sort((a, b) => b.share - a.share).slice(0, top_k);
      print(`  ${ranked.map(({ name, share }) => `${name} ${share.toFixed(3)}`).join("  ")}`);
    });
  },
});
