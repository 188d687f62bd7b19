/**
 * `albert finetune`, the reference's run_classifier: a pretrained model and labelled texts to a model of labels or tags.
 */
import { join } from "node:path";
import { parseFinetuneConfig } from "../config/mod.ts";
import { writeFileAtomic } from "../formats/mod.ts";
import { finetune as train, readLabelled } from "../train/mod.ts";
import { type Command, command, type Context, type FlagValues, UsageError } from "./command.ts";
import { commandFile, commandLine, defaultsOf } from "./command_note.ts";
import { engineFlags, openWished } from "./engine.ts";
import { describeResult, describeTaskStep } from "./finetune_report.ts";
import { modelHelp, openModel } from "./model.ts";

const flags = {
  task: {
    kind: "string",
    required: true,
    help: "classify: a label for a text; pair: for two texts; tokens: a tag for each word",
  },
  model: { kind: "string", required: true, help: `the pretrained model: ${modelHelp}` },
  train_file: {
    kind: "string",
    required: true,
    help: ".jsonl, .csv or .tsv with text (text_b) label, or tokens and tags; for tokens also .conll",
  },
  eval_file: { kind: "string", help: "held-out examples; default a share of train_file" },
  output_dir: {
    kind: "string",
    required: true,
    help: "checkpoints and metrics.jsonl go there; a run found there is continued",
  },
  spm_model_file: { kind: "string", help: "the tokenizer; default the one kept with the model" },
  do_lower_case: {
    kind: "boolean",
    help: "lower-case the text, as the records were; default what the model keeps, else true",
    source: "reference",
  },
  max_seq_length: {
    kind: "int",
    default: 128,
    help: "pieces per example; longer ones are cut",
    source: "reference",
  },
  train_batch_size: { kind: "int", default: 32, help: "examples per step", source: "reference" },
  eval_batch_size: { kind: "int", default: 64, help: "examples per evaluation batch" },
  learning_rate: {
    kind: "float",
    default: 0.00005,
    help: "peak rate; the small models of the guide want about 0.001",
    source: "reference",
  },
  num_train_epochs: {
    kind: "float",
    default: 3,
    help: "passes over the training examples",
    source: "reference",
  },
  warmup_proportion: {
    kind: "float",
    default: 0.1,
    help: "share of the steps in which the rate rises; then it falls linearly to 0",
    source: "reference",
  },
  weight_decay_rate: {
    kind: "float",
    default: 0.01,
    help: "weight decay of kernels and tables",
    source: "reference",
  },
  max_grad_norm: {
    kind: "float",
    default: 1,
    help: "largest common 2-norm of the gradients, 0 for no limit",
  },
  classifier_dropout_prob: {
    kind: "float",
    default: 0.1,
    help: "dropout before the head",
    source: "reference",
  },
  hidden_dropout_prob: { kind: "float", help: "dropout inside the encoder; default that of the model" },
  attention_probs_dropout_prob: { kind: "float", help: "dropout of attention; default that of the model" },
  from_scratch: {
    kind: "boolean",
    default: false,
    help: "begin with random weights, to see what pretraining was good for",
  },
  seed: { kind: "int", default: 12345, help: "seed of head, dropout, order and split" },
  eval_share: { kind: "float", default: 0.1, help: "share held out when there is no eval_file" },
  log_every: { kind: "int", default: 50, help: "steps between log lines" },
  eval_every: { kind: "int", default: 0, help: "steps between held-out evaluations, 0 for the end only" },
  save_checkpoints_steps: {
    kind: "int",
    default: 1000,
    help: "steps between checkpoints",
    source: "reference",
  },
  keep_checkpoint_max: { kind: "int", default: 2, help: "checkpoints kept, 0 for all" },
  allow_changed_flags: {
    kind: "boolean",
    default: false,
    help: "go on though flags that change the result differ from those of the checkpoint",
  },
  ...engineFlags,
} as const;

/** The run that the flags describe; its mistakes are wrong usage, in one line. */
function runOf(given: Readonly<Record<string, unknown>>): ReturnType<typeof parseFinetuneConfig> {
  try {
    return parseFinetuneConfig(given);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const [first = "", ...listed] = error.message.split("\n- ");
    const reason = listed.length > 0 ? listed.join("; ") : first.replace(/^Cannot use [^:]*: /, "");
    throw new UsageError(`Cannot run finetune: ${reason}`);
  }
}

async function run(values: FlagValues<typeof flags>, _: readonly string[], context: Context): Promise<void> {
  const { print, onProgress, endProgress, signal } = context;
  const { model, train_file, eval_file, spm_model_file, do_lower_case, engine, plugin, ...rest } = values;
  const options = runOf(rest);
  const examples = readLabelled(train_file, options.task);
  const evalExamples = eval_file === undefined ? undefined : readLabelled(eval_file, options.task);
  const { bytes, config, parameters, path, doLowerCase, keepAccents } = openModel(model, spm_model_file, {
    verb: "fine-tune",
    spare: /^(cls|bert\/pooler)\//,
  });
  const opened = await openWished({ engine, plugin }, print);
  const result = await train({
    model: { config, parameters, tokenizer: bytes, path },
    run: options,
    examples,
    ...(evalExamples === undefined ? {} : { evalExamples }),
    doLowerCase: do_lower_case ?? doLowerCase,
    keepAccents,
    attachments: commandFile(commandLine("finetune", values, defaultsOf(flags))),
  }, {
    engine: opened,
    onProgress,
    signal,
    onNote: (note) => print(note),
    onStart: ({ step, checkpoint }) => {
      if (step > 0) print(`going on from step ${step}: ${checkpoint}`);
    },
    onStep: (line) => print(describeTaskStep(line)),
  });
  await endProgress();
  const { evaluation, interrupted, step, checkpoint } = result;
  if (evaluation !== undefined && !interrupted) {
    describeResult(evaluation).forEach((line) => print(line));
    const text = `${JSON.stringify({ step, ...evaluation }, null, 2)}\n`;
    writeFileAtomic(join(options.output_dir, "eval.json"), text);
  }
  print(`${interrupted ? "interrupted" : "finished"} at step ${step}: ${checkpoint ?? options.output_dir}`);
}

/** The command. */
export const finetune: Command = command({
  name: "finetune",
  aliases: ["run_classifier"],
  summary: "Fine-tune a pretrained model for labels of texts or pairs, or for tags of words.",
  example: "deno task albert finetune --task=classify --model=build/guide/kjv-1/model_long " +
    "--train_file=build/verses.jsonl --output_dir=build/books --max_seq_length=64 --learning_rate=0.001",
  flags,
  run,
});
