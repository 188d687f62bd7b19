/**
 * `albert export` of a fine-tuned checkpoint: the Hugging Face class of its task, with labels and a card of its own.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ExportFormat, exportModel, taskCard } from "../export/mod.ts";
import { readJsonFile } from "../formats/mod.ts";
import { readFineTuned, type TaskMetrics, taskParameters } from "../train/mod.ts";
import { type Context, UsageError } from "./command.ts";
import { readCommand } from "./command_note.ts";
import { dataFacts, logOf, lossChart, tokenizerFacts } from "./export_card.ts";

/** The flags of the command that a fine-tuned checkpoint heeds. */
type Wished = {
  readonly checkpoint: string;
  readonly output_dir: string;
  readonly formats: readonly ExportFormat[];
  readonly title: string;
  readonly language: string | undefined;
  readonly licence: string | undefined;
  readonly eval_input_file: string | undefined;
  readonly data_card: string | undefined;
  readonly maxShardBytes: number;
  readonly command: string;
};

/** The held-out metrics that `albert finetune` left, if they are of this step. */
function keptMetrics(path: string, step: number): (TaskMetrics & { readonly step: number }) | undefined {
  const file = join(dirname(path), "eval.json");
  if (!existsSync(file)) return undefined;
  const metrics = readJsonFile(file) as (TaskMetrics & { readonly step: number }) | null;
  return metrics?.step === step ? metrics : undefined;
}

/** Writes the folder. */
export async function exportFineTuned(wished: Wished, { print }: Pick<Context, "print">): Promise<void> {
  const { checkpoint, output_dir, formats, title, language, licence, command, eval_input_file } = wished;
  if (eval_input_file !== undefined) {
    throw new UsageError(
      "Cannot run export: --eval_input_file is for pretrained checkpoints; the metrics of a fine-tuned one lie beside it",
    );
  }
  if (formats.includes("onnx")) {
    throw new UsageError("Cannot run export: --format=onnx is for pretrained checkpoints; choose hf or tf");
  }
  const model = readFineTuned(checkpoint);
  const { path, step, config, parameters, tokenizer, task, labels, classifierDropout, doLowerCase } = model;
  const { keepAccents = false } = model;
  const evaluation = keptMetrics(path, step);
  const chart = await lossChart(logOf({ path, step }));
  const kept = readCommand(path);
  const card = taskCard({
    ...{ title, task, labels, config, step, command, doLowerCase, keepAccents, hashes: model.hashes },
    ...dataFacts(wished.data_card),
    tokenizer: tokenizerFacts(tokenizer),
    ...(kept === undefined ? {} : { trainedBy: [kept] }),
    ...(chart === undefined ? {} : { chart: "loss.svg" }),
    ...(language === undefined ? {} : { language }),
    ...(licence === undefined ? {} : { licence }),
    ...(evaluation === undefined ? {} : { evaluation }),
  });
  const weights = taskParameters(config, { task, labels: labels.length });
  exportModel(output_dir, {
    ...{ config, parameters, tokenizer, step },
    fineTuned: { weights, labels, classifierDropout, task },
  }, {
    formats,
    doLowerCase,
    keepAccents,
    maxShardBytes: wished.maxShardBytes,
    architecture: task === "tokens" ? "AlbertForTokenClassification" : "AlbertForSequenceClassification",
    texts: !formats.includes("hf") ? {} : {
      "README.md": card,
      ...(evaluation === undefined ? {} : { "eval.json": `${JSON.stringify(evaluation, null, 2)}\n` }),
      ...(chart === undefined ? {} : { "loss.svg": chart }),
    },
  });
  print(
    `${output_dir}: ${formats.join(" and ")} of ${path}, ${task} with ${labels.length} labels, step ${step}`,
  );
}
