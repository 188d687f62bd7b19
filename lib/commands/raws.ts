/**
 * `albert raws`: text in its many containers to a raw file, one sentence a line, a blank line between documents, with a
 * report of what was found, cleaned and left out.
 */
import process from "node:process";
import { writeFileAtomic } from "../formats/mod.ts";
import { shardOf } from "../records/mod.ts";
import { lineChart } from "../show/mod.ts";
import {
  CLEANING_STEPS,
  type CleaningStep,
  type EmbeddedCorpus,
  type RawPart,
  type RawReport,
  type RawRules,
  readPunkt,
  type SplitterName,
  writeEmbeddedRaw,
  writeRaw,
} from "../text/mod.ts";
import { type Command, command, type Context, UsageError } from "./command.ts";
import { checkWritable } from "./files.ts";

/** One line about a raw file. */
export function describeRaw({ path, documents, sentences, words, bytes, shards }: RawPart): string {
  const mean = (words / Math.max(1, sentences)).toFixed(1);
  const files = shards === undefined ? "" : ` in ${shards.length} shards`;
  return `${path}: ${documents} documents, ${sentences} sentences of ${mean} words, ${
    (bytes / 1e6).toFixed(2)
  } MB${files}`;
}

/** Lines about what a run found in the text; only what happened is named. */
export function describeRun(
  { documents, dropped, cleaning, cutSentences, sentenceWords, resumed }: RawReport,
): string[] {
  const named = (parts: readonly (readonly [number, string])[]): string =>
    parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`).join(", ");
  const left = named([
    [dropped.empty, "without a sentence"],
    [dropped.short, "with too few sentences"],
    [dropped.duplicate, "with the text of an earlier one"],
  ]);
  const cleaned = named([
    [cleaning.control, "control characters"],
    [cleaning.invisible, "invisible characters"],
    [cleaning.blank, "runs of white space"],
  ]);
  return [
    ...(resumed === 0 ? [] : [`went on after document ${resumed}, where the run before had its last shard`]),
    ...(left === "" ? [] : [`left out of ${documents} documents: ${left}`]),
    ...(cleaned === "" ? [] : [`cleaned: ${cleaned}`]),
    ...(cutSentences === 0 ? [] : [`${cutSentences} sentences were too long and were cut at a space`]),
    `words a sentence: ${lengthShares(sentenceWords)}`,
  ];
}

/** `1-4: 3 %, 5-9: 12 %, …` */
function lengthShares(sentenceWords: readonly number[]): string {
  const all = sentenceWords.reduce((sum, count) => sum + count, 0);
  const bands = [[1, 4], [5, 9], [10, 19], [20, 39], [40, 99], [100, 100]] as const;
  return bands.map(([from, to]) => {
    const count = sentenceWords.slice(from, to + 1).reduce((sum, one) => sum + one, 0);
    return `${from === 100 ? "100+" : `${from}-${to}`}: ${Math.round(count / Math.max(1, all) * 100)} %`;
  }).join(", ");
}

function cleaningSteps(list: string): CleaningStep[] {
  if (list === "none") return [];
  return list.split(",").map((name) => {
    const step = CLEANING_STEPS.find((known) => known === name.trim());
    if (step !== undefined) return step;
    throw new UsageError(
      `Cannot read --clean=${list}: ${JSON.stringify(name)} is no step; choose of ${
        CLEANING_STEPS.join(", ")
      }, or none`,
    );
  });
}

async function writeReports(
  report: RawReport,
  { json, chart }: { readonly json: string | undefined; readonly chart: string | undefined },
): Promise<void> {
  if (json !== undefined) writeFileAtomic(json, `${JSON.stringify(report, null, 2)}\n`);
  if (chart === undefined) return;
  const y = report.sentenceWords.slice(1);
  const series = [{ name: "sentences", x: y.map((_, i) => i + 1), y }];
  const axes = { xLabel: "words (100: or more)", yLabel: "sentences" };
  writeFileAtomic(chart, await lineChart({ series, title: "Length of sentences", ...axes }).toSvg());
}

/** What a run of the command was asked for, once its flags are read. */
type Wishes = {
  readonly rules: RawRules;
  readonly flags: {
    readonly input: string | undefined;
    readonly corpus: string | undefined;
    readonly output: string;
    readonly held_out_output: string | undefined;
    readonly held_out_every: number;
    readonly input_format: string;
    readonly text_field: string;
    readonly document_per_file: boolean;
    readonly shard_bytes: number;
    readonly overwrite: boolean;
    readonly shard_index: number | undefined;
    readonly shard_count: number | undefined;
    readonly data_dir: string | undefined;
  };
};

function makeRaw(
  { rules, flags }: Wishes,
  watch: Pick<Context, "onProgress" | "signal">,
): Promise<RawReport> {
  const { corpus, output, held_out_output: heldOutOutput } = flags;
  if (corpus !== undefined) {
    if (heldOutOutput === undefined) {
      throw new UsageError(
        "Cannot run raws: an embedded corpus has held-out documents, give --held_out_output",
      );
    }
    if (flags.shard_bytes > 0) {
      throw new UsageError("Cannot run raws: an embedded corpus is small, --shard_bytes is for --input");
    }
    return writeEmbeddedRaw({
      ...rules,
      corpus: corpus as EmbeddedCorpus,
      ...(flags.data_dir === undefined ? {} : { dataDir: flags.data_dir }),
      outputTrain: output,
      outputHeldOut: heldOutOutput,
    }, watch);
  }
  const { shard_index, shard_count } = shardOf(process.env, flags);
  return writeRaw({
    ...rules,
    taskIndex: shard_index,
    taskCount: shard_count,
    input: flags.input ?? "",
    output,
    heldOutEvery: flags.held_out_every,
    format: flags.input_format as "auto",
    textField: flags.text_field,
    documentPerFile: flags.document_per_file,
    shardBytes: flags.shard_bytes,
    overwrite: flags.overwrite,
    ...(heldOutOutput === undefined ? {} : { heldOutOutput }),
  }, watch);
}

/** The command. */
export const raws: Command = command({
  name: "raws",
  summary: "Make a raw file (one sentence a line) from text.",
  example: "deno task albert raws --corpus=sotu --output=build/raw.txt --held_out_output=build/held_out.txt",
  flags: {
    input: {
      kind: "string",
      help: "files, folders, globs by comma, - for standard input: text, .gz, .zst, .jsonl, parquet",
    },
    corpus: {
      kind: "string",
      choices: ["kjv", "sotu", "handbuch"],
      help: "an embedded corpus instead of --input",
    },
    output: { kind: "string", required: true, help: "the raw file" },
    held_out_output: { kind: "string", help: "a second raw file with documents kept for evaluation" },
    held_out_every: { kind: "int", default: 15, help: "every how many-th document is held out (--input)" },
    shard_bytes: {
      kind: "int",
      default: 0,
      help: "shards of about this many bytes, raw-00000.txt …, in place of one file; a stopped run goes on",
    },
    overwrite: { kind: "boolean", default: false, help: "replace the shards of another run" },
    shard_index: {
      kind: "int",
      help:
        "which of --shard_count tasks this is, from 0: each writes its share of the documents, raw-00002-of-00008.txt; " +
        "Slurm, Kubernetes or MPI tell it",
    },
    shard_count: { kind: "int", help: "number of tasks that share the text; Slurm or MPI tell it" },
    language: { kind: "string", default: "en", help: "language of the text, BCP 47" },
    splitter: {
      kind: "string",
      choices: ["punkt", "intl", "clause", "line"],
      help: "how sentences are found: punkt, or the corpus' own",
    },
    punkt_model: {
      kind: "string",
      help: "a punkt_tab folder (NLTK's format) instead of training on the input",
    },
    punkt_output: { kind: "string", help: "folder for what punkt learned, in NLTK's format" },
    train_punkt_mb: {
      kind: "float",
      default: 16,
      help: "how much of the input trains punkt, millions of characters; 0: its lists alone, -1: all of it",
    },
    clean: {
      kind: "string",
      help: `steps by comma of ${CLEANING_STEPS.join(", ")}, or none (default all; embedded: no duplicates)`,
    },
    document_sentences: { kind: "int", help: "regroup running sentences into documents of this many" },
    max_sentence_bytes: {
      kind: "int",
      default: 4192,
      help: "longer sentences are cut at a space, bytes",
      source: "spm_train",
    },
    min_sentences: { kind: "int", default: 1, help: "documents with fewer sentences are left out" },
    input_format: {
      kind: "string",
      choices: ["auto", "text", "jsonl", "parquet"],
      default: "auto",
      help: "auto: by the ending of each file; standard input is text",
    },
    text_field: { kind: "string", default: "text", help: "field of JSON lines, column of parquet" },
    document_per_file: { kind: "boolean", default: false, help: "a text file is one document" },
    report: { kind: "string", help: "JSON file for all counts, shards and the lengths of sentences" },
    chart: { kind: "string", help: "SVG file for the lengths of sentences" },
    data_dir: {
      kind: "string",
      help: "folder of the embedded corpora; default the ones that come with albert-guide",
    },
  },
  run: async (flags, _, { print, onProgress, endProgress, signal }) => {
    if ((flags.input === undefined) === (flags.corpus === undefined)) {
      throw new UsageError("Cannot run raws: give either --input or --corpus");
    }
    if (flags.punkt_output !== undefined && flags.splitter !== undefined && flags.splitter !== "punkt") {
      throw new UsageError(`Cannot run raws: --punkt_output needs --splitter=punkt, not ${flags.splitter}`);
    }
    const megabytes = flags.train_punkt_mb;
    const rules: RawRules = {
      language: flags.language,
      maxSentenceBytes: flags.max_sentence_bytes,
      minSentences: flags.min_sentences,
      trainPunktLength: megabytes < 0 ? Infinity : Math.round(megabytes * 1e6),
      ...(flags.clean === undefined ? {} : { clean: cleaningSteps(flags.clean) }),
      ...(flags.splitter === undefined ? {} : { splitter: flags.splitter as SplitterName }),
      ...(flags.document_sentences === undefined ? {} : { documentSentences: flags.document_sentences }),
      ...(flags.punkt_model === undefined ? {} : { model: readPunkt(flags.punkt_model) }),
      ...(flags.punkt_output === undefined ? {} : { savePunkt: flags.punkt_output }),
    };
    checkWritable(flags.output); // learning punkt takes seconds
    const report = await makeRaw({ rules, flags }, { onProgress, signal });
    await endProgress();
    print(describeRaw(report.train));
    if (report.heldOut !== undefined) print(describeRaw(report.heldOut));
    for (const line of describeRun(report)) print(line);
    await writeReports(report, { json: flags.report, chart: flags.chart });
  },
});
