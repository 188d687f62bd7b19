/**
 * `albert raws`: text in its many containers to a raw file, one sentence a line, a blank line between documents.
 */
import {
  type EmbeddedCorpus,
  type RawPart,
  readPunkt,
  type SplitterName,
  writeEmbeddedRaw,
  writeRaw,
} from "../text/mod.ts";
import { type Command, command, UsageError } from "./command.ts";

/** One line about a raw file. */
export function describeRaw({ path, documents, sentences, words, bytes }: RawPart): string {
  const mean = (words / Math.max(1, sentences)).toFixed(1);
  return `${path}: ${documents} documents, ${sentences} sentences of ${mean} words, ${
    (bytes / 1e6).toFixed(2)
  } MB`;
}

/** The command. */
export const raws: Command = command({
  name: "raws",
  summary: "Make a raw file (one sentence a line) from text.",
  example: "deno task albert raws --corpus=sotu --output=build/raw.txt --held_out_output=build/held_out.txt",
  flags: {
    input: { kind: "string", help: "files, folders, globs by comma: text, .gz, .zst, .jsonl, parquet" },
    corpus: {
      kind: "string",
      choices: ["kjv", "sotu", "handbuch"],
      help: "an embedded corpus instead of --input",
    },
    output: { kind: "string", required: true, help: "the raw file" },
    held_out_output: { kind: "string", help: "a second raw file with documents kept for evaluation" },
    held_out_every: { kind: "int", default: 15, help: "every how many-th document is held out (--input)" },
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
    document_sentences: { kind: "int", help: "regroup running sentences into documents of this many" },
    max_sentence_bytes: {
      kind: "int",
      default: 4192,
      help: "longer sentences are cut at a space, bytes",
      source: "spm_train",
    },
    min_sentences: { kind: "int", default: 1, help: "documents with fewer sentences are left out" },
    text_field: { kind: "string", default: "text", help: "field of JSON lines, column of parquet" },
    document_per_file: { kind: "boolean", default: false, help: "a text file is one document" },
    data_dir: { kind: "string", default: "data", help: "folder of the embedded corpora" },
  },
  run: async (flags, _, { print, onProgress, endProgress }) => {
    if ((flags.input === undefined) === (flags.corpus === undefined)) {
      throw new UsageError("Cannot run raws: give either --input or --corpus");
    }
    const rules = {
      language: flags.language,
      maxSentenceBytes: flags.max_sentence_bytes,
      minSentences: flags.min_sentences,
      ...(flags.splitter === undefined ? {} : { splitter: flags.splitter as SplitterName }),
      ...(flags.document_sentences === undefined ? {} : { documentSentences: flags.document_sentences }),
      ...(flags.punkt_model === undefined ? {} : { model: readPunkt(flags.punkt_model) }),
    };
    const embedded = flags.corpus as EmbeddedCorpus | undefined;
    if (embedded !== undefined && flags.held_out_output === undefined) {
      throw new UsageError(
        "Cannot run raws: an embedded corpus has held-out documents, give --held_out_output",
      );
    }
    const report = embedded === undefined
      ? await writeRaw({
        ...rules,
        input: flags.input ?? "",
        output: flags.output,
        heldOutEvery: flags.held_out_every,
        textField: flags.text_field,
        documentPerFile: flags.document_per_file,
        ...(flags.held_out_output === undefined ? {} : { heldOutOutput: flags.held_out_output }),
      }, { onProgress })
      : await writeEmbeddedRaw({
        ...rules,
        corpus: embedded,
        dataDir: flags.data_dir,
        outputTrain: flags.output,
        outputHeldOut: flags.held_out_output ?? "",
      }, { onProgress });
    await endProgress();
    print(describeRaw(report.train));
    if (report.heldOut !== undefined) print(describeRaw(report.heldOut));
    if (report.skippedDocuments > 0) {
      print(`${report.skippedDocuments} documents left out: too few sentences`);
    }
  },
});
