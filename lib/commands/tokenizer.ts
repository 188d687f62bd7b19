/**
 * `albert tokenizer`: the flags of spm_train for a unigram model; the files equal spm_train's byte for byte.
 */
import { existsSync } from "node:fs";
import { expandPatterns } from "../records/mod.ts";
import { preprocessText } from "../text/mod.ts";
import { type TrainedFiles, trainUnigramFiles, type UnigramFileOptions } from "../tokenizer/mod.ts";
import { type Command, command, type Flag } from "./command.ts";
import { checkFile, checkWritable } from "./files.ts";

const source = "spm_train";
const text = (help: string, value?: string): Flag => ({
  kind: "string",
  help,
  source,
  ...(value === undefined ? {} : { default: value }),
});
const int = (value: number, help: string): Flag => ({ kind: "int", default: value, help, source });
const float = (value: number, help: string): Flag => ({ kind: "float", default: value, help, source });
const yes = (value: boolean, help: string): Flag => ({ kind: "boolean", default: value, help, source });

/** One line about a trained tokenizer. */
export function describeTokenizer({ model, report }: TrainedFiles): string {
  const { vocab_size, sentences, skipped, seconds } = report;
  const left = skipped.empty + skipped.tooLong + skipped.reserved;
  return `${model}: ${vocab_size} pieces from ${sentences} sentences in ${seconds.toFixed(1)} s` +
    (left === 0
      ? ""
      : ` (${left} lines left out: ${skipped.empty} empty, ${skipped.tooLong} too long, ${skipped.reserved} reserved)`);
}

/** The cleaning that records apply before they are cut into pieces, for training on the same text. */
export function transformOf(preprocess: string): ((line: string) => string) | undefined {
  if (preprocess === "none") return undefined;
  return (line) => preprocessText(line, { lower: preprocess === "albert" });
}

const splitNames = (list: unknown): string[] =>
  String(list).split(",").map((name) => name.replace(/^"|"$/g, ""));

/** Names as spm_train reads them; a pattern that is no file's name becomes the files that it matches. */
const inputFiles = (list: string): string[] =>
  splitNames(list).flatMap((name) =>
    !/[*?[]/.test(name) || existsSync(name) ? [name] : expandPatterns(name, { flag: "input" })
  );

/** The command. */
export const tokenizer: Command = command({
  name: "tokenizer",
  aliases: ["spm_train"],
  summary: "Train a SentencePiece unigram tokenizer on raw files.",
  example:
    "deno task albert tokenizer --input=build/raw.txt --model_prefix=build/tokenizer --vocab_size=2000 " +
    "--pad_id=0 --unk_id=1 --bos_id=-1 --eos_id=-1 --control_symbols=[CLS],[SEP],[MASK] --preprocess=albert",
  flags: {
    input: {
      kind: "string",
      required: true,
      help: "raw files by comma, or patterns such as raw-*.txt",
      source,
    },
    model_prefix: {
      kind: "string",
      required: true,
      help: "writes <prefix>.model and <prefix>.vocab",
      source,
    },
    vocab_size: int(8000, "pieces in all, control and user-defined symbols included"),
    preprocess: {
      kind: "string",
      choices: ["none", "albert", "albert_cased"],
      default: "none",
      help:
        "clean each line as records do (NFKD, no marks, squeezed blanks; albert: lower case), or take it as it is",
    },
    spm_version: {
      kind: "string",
      choices: ["0.1.97", "0.2.0", "0.2.2"],
      default: "0.2.0",
      help: "whose files to equal",
    },
    input_format: {
      kind: "string",
      choices: ["", "text", "tsv"],
      default: "",
      help: "text, or tsv for lines of sentence, tab, frequency",
      source,
    },
    model_type: {
      kind: "string",
      choices: ["unigram"],
      default: "unigram",
      help: "the kind of model",
      source,
    },
    accept_language: text("languages the model is for, stored only"),
    self_test_sample_size: int(0, "sentences kept in the model with their pieces, at most 1000"),
    character_coverage: float(0.9995, "share of the characters in the alphabet, 0.98 to 1"),
    input_sentence_size: int(0, "most sentences used, 0 for all"),
    sample_size: {
      kind: "int",
      default: 0,
      help: "sentences drawn over all files, the same however the text is cut into files; 0 for all",
    },
    sample_seed: { kind: "int", default: 0, help: "seed of --sample_size" },
    shuffle_input_sentence: yes(true, "draw them at random, else the first ones"),
    seed_sentencepiece_size: int(1000000, "seed pieces"),
    seed_sentencepieces_file: text("file of seed pieces: piece, tab, frequency; since 0.2.0"),
    shrinking_factor: float(0.75, "share kept by one pruning, 0.5 to 0.95"),
    num_threads: int(16, "partitions of the float32 sums, part of the result"),
    num_sub_iterations: int(2, "EM rounds between prunings"),
    max_sentence_length: int(4192, "longer sentences are skipped, bytes"),
    max_sentencepiece_length: int(16, "longest piece, characters"),
    split_by_unicode_script: yes(true, "a piece stays within one script"),
    split_by_whitespace: yes(true, "a piece stays within one word"),
    split_by_number: yes(true, "digits are a script of their own"),
    split_digits: yes(false, "every digit is a piece of its own"),
    pretokenization_delimiter: text("what also parts words, dropped from the text; since 0.1.99"),
    treat_whitespace_as_suffix: yes(false, "the blank mark ends a word"),
    allow_whitespace_only_pieces: yes(false, "pieces of blanks only are allowed"),
    control_symbols: text("symbols that text never gives, by comma"),
    control_symbols_file: text("file of further ones, one a line"),
    user_defined_symbols: text("symbols that are always one piece, by comma"),
    user_defined_symbols_file: text("file of further ones, one a line"),
    required_chars: text("characters that are in the alphabet in any case"),
    required_chars_file: text("file that takes the place of required_chars"),
    byte_fallback: yes(false, "spell unknown characters in byte pieces"),
    vocabulary_output_piece_score: yes(true, "scores in the .vocab file"),
    hard_vocab_limit: yes(true, "a vocabulary that cannot be reached is an error"),
    use_all_vocab: yes(false, "for models of words and characters only: must be false"),
    unk_id: int(0, "id of the unknown piece"),
    bos_id: int(1, "id of the begin piece, -1 for none"),
    eos_id: int(2, "id of the end piece, -1 for none"),
    pad_id: int(-1, "id of the padding piece, -1 for none"),
    unk_piece: text("the unknown piece", "<unk>"),
    bos_piece: text("the begin piece", "<s>"),
    eos_piece: text("the end piece", "</s>"),
    pad_piece: text("the padding piece", "<pad>"),
    unk_surface: text("what an unknown piece decodes to", " \u2047 "),
    normalization_rule_name: {
      kind: "string",
      choices: ["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"],
      default: "nmt_nfkc",
      help: "how text is rewritten first",
      source,
    },
    normalization_rule_tsv: text("file of rewriting rules instead: code points, tab, code points"),
    denormalization_rule_tsv: text("file of rules that rewrite decoded text"),
    add_dummy_prefix: yes(true, "every sentence starts with a blank"),
    remove_extra_whitespaces: yes(true, "blanks at the ends go, runs become one"),
    train_extremely_large_corpus: yes(false, "stored only: ours counts wide enough"),
    random_seed: int(4294967295, "for self-test samples and noise; this default means none"),
    enable_differential_privacy: yes(false, "add noise to frequencies and drop small ones"),
    differential_privacy_noise_level: float(0, "standard deviation of the noise"),
    differential_privacy_clipping_threshold: int(0, "smaller frequencies are dropped"),
    workers: {
      kind: "int",
      help: "threads that count, at most num_threads; default one per core for large texts",
    },
    invalid_utf8: {
      kind: "string",
      choices: ["error", "replace"],
      default: "error",
      help: "what bytes that are no UTF-8 do",
    },
  },
  run: async ({ preprocess, ...flags }, _, { print, onProgress, endProgress, signal }) => {
    // Normalization rules take seconds: a wrong name is told before.
    const input = inputFiles(flags.input);
    for (const path of input) checkFile(path, "raw file");
    if (flags.model_prefix !== "") checkWritable(`${flags.model_prefix}.model`);
    const transform = transformOf(preprocess);
    const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
    const files = await trainUnigramFiles({
      ...given as Pick<UnigramFileOptions, "input" | "model_prefix">,
      ...(input.join() === splitNames(flags.input).join() ? {} : { input }),
      ...(transform === undefined ? {} : { transform }),
      onProgress,
      signal,
    });
    await endProgress();
    print(describeTokenizer(files));
  },
});
