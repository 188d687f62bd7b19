/**
 * Defaults and checks of the flags of unigram training (VerifySpec in trainer_interface.cc, defaults in
 * sentencepiece_model.proto), spm_train's syntax of lists, and the files that hold lists.
 */
import { readFileSync } from "node:fs";
import type { ResolvedOptions, UnigramOptions } from "./options.ts";

const defaults: ResolvedOptions = {
  input: [],
  model_prefix: "",
  model_type: "unigram",
  vocab_size: 8000,
  accept_language: [],
  input_format: "",
  self_test_sample_size: 0,
  character_coverage: 0.9995,
  input_sentence_size: 0,
  shuffle_input_sentence: true,
  seed_sentencepiece_size: 1000000,
  seed_sentencepieces_file: "",
  shrinking_factor: 0.75,
  num_threads: 16,
  num_sub_iterations: 2,
  max_sentence_length: 4192,
  max_sentencepiece_length: 16,
  split_by_unicode_script: true,
  split_by_whitespace: true,
  split_by_number: true,
  pretokenization_delimiter: "",
  treat_whitespace_as_suffix: false,
  split_digits: false,
  allow_whitespace_only_pieces: false,
  control_symbols: [],
  user_defined_symbols: [],
  required_chars: "",
  byte_fallback: false,
  vocabulary_output_piece_score: true,
  hard_vocab_limit: true,
  use_all_vocab: false,
  unk_id: 0,
  bos_id: 1,
  eos_id: 2,
  pad_id: -1,
  unk_piece: "<unk>",
  bos_piece: "<s>",
  eos_piece: "</s>",
  pad_piece: "<pad>",
  unk_surface: " \u2047 ",
  normalization_rule_name: "nmt_nfkc",
  normalization_rule_tsv: "",
  denormalization_rule_tsv: "",
  add_dummy_prefix: true,
  remove_extra_whitespaces: true,
  train_extremely_large_corpus: false,
  random_seed: 4294967295,
  enable_differential_privacy: false,
  differential_privacy_noise_level: 0,
  differential_privacy_clipping_threshold: 0,
  spm_version: "0.2.0",
};

/** Flags that name a file of values for another flag. */
const fileFlags = ["control_symbols_file", "user_defined_symbols_file", "required_chars_file"] as const;
/** Flags that only the library knows. */
const ownFlags: readonly string[] = ["transform", "workers", "onProgress", "signal"];

const choices: { readonly [name: string]: readonly string[] } = {
  model_type: ["unigram"],
  input_format: ["", "text", "tsv"],
  normalization_rule_name: ["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"],
  spm_version: ["0.1.97", "0.2.0", "0.2.2"],
};

/** Flags whose values need not be whole. */
const shares: readonly string[] = [
  "character_coverage",
  "shrinking_factor",
  "differential_privacy_noise_level",
];

/** Inclusive ranges. */
const ranges: { readonly [name: string]: readonly [number, number] } = {
  vocab_size: [1, 2 ** 31 - 1],
  character_coverage: [0.98, 1],
  input_sentence_size: [0, Number.MAX_SAFE_INTEGER],
  seed_sentencepiece_size: [1, 2 ** 31 - 1],
  self_test_sample_size: [0, 1000],
  random_seed: [0, 2 ** 32 - 1],
  differential_privacy_noise_level: [0, 3.4e38],
  differential_privacy_clipping_threshold: [0, Number.MAX_SAFE_INTEGER],
  shrinking_factor: [0.5, 0.95],
  num_threads: [1, 1024],
  num_sub_iterations: [1, 10],
  max_sentence_length: [10, 2 ** 30],
  max_sentencepiece_length: [1, 512],
  unk_id: [-1, 2 ** 31 - 1],
  bos_id: [-1, 2 ** 31 - 1],
  eos_id: [-1, 2 ** 31 - 1],
  pad_id: [-1, 2 ** 31 - 1],
};

/**
 * Fills in defaults and checks everything at once.
 *
 * @throws {RangeError} Naming every flag that is unknown, of the wrong type or out of range.
 * @throws {Error} When a file that a `_file` flag names cannot be read.
 */
export function resolveOptions(options: UnigramOptions): ResolvedOptions {
  const mistakes: string[] = [];
  const resolved: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries({ ...options, ...listsFromFiles(options, mistakes) })) {
    if (ownFlags.includes(name) || fileFlags.some((flag) => flag === name) || value === undefined) continue;
    const model = (defaults as unknown as Record<string, unknown>)[name];
    if (model === undefined) {
      mistakes.push(`${name} is no flag of unigram training`);
      continue;
    }
    const given = Array.isArray(model) && typeof value === "string" ? splitList(value) : value;
    const mistake = checkFlag(name, given, model);
    if (mistake === undefined) resolved[name] = given;
    else mistakes.push(mistake);
  }
  const { workers = 1 } = options;
  if (!Number.isInteger(workers) || workers < 1) {
    mistakes.push(`workers is ${JSON.stringify(workers)}, expected a whole number from 1`);
  }
  const flags = resolved as unknown as ResolvedOptions;
  mistakes.push(...contradictions(flags));
  if (mistakes.length > 0) throw new RangeError(`Cannot train the tokenizer: ${mistakes.join("; ")}`);
  return flags;
}

/** What is wrong with values that are right one by one. */
function contradictions(flags: ResolvedOptions): string[] {
  const mistakes: string[] = [];
  if (flags.input_sentence_size > 0 && flags.input_sentence_size <= 100) {
    mistakes.push(`input_sentence_size is ${flags.input_sentence_size}, expected 0 for all or more than 100`);
  }
  if (flags.unk_id < 0) {
    mistakes.push("unk_id is -1, but a unigram model needs an unknown piece: give an id >= 0");
  }
  const ids = (["unk", "bos", "eos", "pad"] as const).map((name) =>
    [`${name}_id`, flags[`${name}_id`]] as const
  );
  ids.forEach(([name, id], k) => {
    if (id >= flags.vocab_size) {
      mistakes.push(`${name} is ${id}, expected below vocab_size ${flags.vocab_size}`);
    }
    const twin = ids.find(([, other], j) => j < k && id >= 0 && other === id);
    if (twin) mistakes.push(`${name} and ${twin[0]} are both ${id}, expected different ids`);
  });
  for (const name of ["unk_piece", "bos_piece", "eos_piece", "pad_piece"] as const) {
    if (flags[name] === "") mistakes.push(`${name} is empty`);
  }
  if (flags.use_all_vocab) {
    mistakes.push("use_all_vocab is true, which is for models of words and characters: leave it out");
  }
  if (flags.spm_version === "0.1.97") {
    if (flags.num_threads > 128) {
      mistakes.push(`num_threads is ${flags.num_threads}, expected at most 128 with spm_version 0.1.97`);
    }
    for (const name of ["pretokenization_delimiter", "seed_sentencepieces_file"] as const) {
      if (flags[name] !== "") mistakes.push(`${name} is not known to 0.1.97: set spm_version to 0.2.0`);
    }
  }
  return mistakes;
}

/** The lists with the lines of the files that `_file` flags name. */
function listsFromFiles(options: UnigramOptions, mistakes: string[]): Partial<UnigramOptions> {
  const lines = (flag: typeof fileFlags[number]): string[] | undefined => {
    const path = options[flag];
    if (path === undefined || path === "") return undefined;
    if (typeof path === "string") return readLines(path, flag);
    mistakes.push(`${flag} is ${JSON.stringify(path)}, expected the name of a file`);
    return undefined;
  };
  const list = (given: string | readonly string[] | undefined, more: string[]): string[] => [
    ...typeof given === "string" ? splitList(given) : given ?? [],
    ...more,
  ];
  const controls = lines("control_symbols_file");
  const symbols = lines("user_defined_symbols_file");
  const characters = lines("required_chars_file");
  return {
    ...(controls === undefined ? {} : { control_symbols: list(options.control_symbols, controls) }),
    ...(symbols === undefined ? {} : { user_defined_symbols: list(options.user_defined_symbols, symbols) }),
    ...(characters === undefined ? {} : { required_chars: characters.join("") }),
  };
}

/** The lines of a file; the line end behind the last one is none of its own. */
export function readLines(path: string, flag: string): string[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (error) {
    const reason = error instanceof TypeError
      ? "it is not UTF-8"
      : (error as { code?: string }).code === "ENOENT"
      ? "there is no such file"
      : (error as Error).message;
    throw new Error(`Cannot train the tokenizer: ${flag} names ${path}: ${reason}`, { cause: error });
  }
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function checkFlag(name: string, value: unknown, model: unknown): string | undefined {
  if (Array.isArray(model)) {
    const fine = Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
    return fine ? undefined : `${name} is ${JSON.stringify(value)}, expected a list of non-empty strings`;
  }
  if (typeof value !== typeof model) {
    return `${name} is ${JSON.stringify(value)}, expected a ${typeof model}`;
  }
  const allowed = choices[name];
  if (allowed !== undefined && !allowed.includes(value as string)) {
    return `${name} is ${JSON.stringify(value)}, expected one of ${
      allowed.map((c) => JSON.stringify(c)).join(", ")
    }`;
  }
  const range = ranges[name];
  if (range === undefined) return undefined;
  const share = shares.includes(name);
  const number = value as number;
  if (number >= range[0] && number <= range[1] && (share || Number.isInteger(number))) return undefined;
  return `${name} is ${number}, expected ${share ? "" : "a whole number "}from ${range[0]} to ${range[1]}`;
}

/** Splits spm_train's list syntax: commas separate, a field starting with `"` runs to the closing quote, `""` is one. What follows a closing quote is lost. */
export function splitList(text: string): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at < text.length) {
    let field = "";
    if (text[at] === '"') {
      at++;
      while (at < text.length) {
        if (text[at] === '"') {
          at++;
          if (text[at] !== '"') break;
        }
        field += text[at++];
      }
      while (at < text.length && text[at] !== ",") at++;
    } else {
      const end = text.indexOf(",", at);
      field = text.slice(at, end < 0 ? text.length : end);
      at += field.length;
    }
    fields.push(field);
    at++;
  }
  return fields;
}
