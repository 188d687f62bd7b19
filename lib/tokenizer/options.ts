/**
 * The options of unigram training: spm_train's flags with spm_train's names, defaults and ranges (trainer_spec in
 * sentencepiece_model.proto, checks in trainer_interface.cc and unigram_model_trainer.cc).
 */
import type { OnProgress } from "../progress.ts";
import type { NormalizationRuleName } from "./charsmap_rules.ts";

/**
 * The spm_train whose files are reproduced: `"0.1.97"` is Debian 12's package, `"0.2.0"` also stands for 0.1.99,
 * `"0.2.2"` is the newest wheel.
 *
 * @example
 * ```ts
 * import type { SpmVersion } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const versions: SpmVersion[] = ["0.1.97", "0.2.0", "0.2.2"];
 * assert.equal(versions.length, 3);
 * ```
 */
export type SpmVersion = "0.1.97" | "0.2.0" | "0.2.2";

/**
 * Flags of spm_train, and four of our own at the end. List flags take an array, or spm_train's comma-separated text
 * in which a field that starts with a quote runs to the closing one.
 *
 * @example
 * ```ts
 * import type { UnigramOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: UnigramOptions = { vocab_size: 25000, pad_id: 0, unk_id: 1, bos_id: -1, eos_id: -1 };
 * assert.equal(options.pad_id, 0);
 * ```
 */
export type UnigramOptions = {
  /** Names of the input files; only stored in the model. Default none. */
  readonly input?: string | readonly string[];
  /** Output name without suffix; stored in the model. Default `""`. */
  readonly model_prefix?: string;
  /** Must be `"unigram"`, the default. */
  readonly model_type?: "unigram";
  /** Number of pieces in all, control and user-defined symbols included. Default 8000. */
  readonly vocab_size?: number;
  /** Languages the model is meant for; only stored. Default none. */
  readonly accept_language?: string | readonly string[];
  /** `"text"`, or `"tsv"` for lines of sentence TAB frequency. Default `""`, which is text. */
  readonly input_format?: "" | "text" | "tsv";
  /** Share of all characters that the alphabet must cover, 0.98 to 1. Default 0.9995. */
  readonly character_coverage?: number;
  /** Largest number of sentences used, 0 for all, otherwise above 100. Default 0. */
  readonly input_sentence_size?: number;
  /** Whether `input_sentence_size` draws at random; otherwise the first ones are used. Default true. */
  readonly shuffle_input_sentence?: boolean;
  /** Number of seed pieces. Default 1000000. */
  readonly seed_sentencepiece_size?: number;
  /** Share of the pieces kept by one pruning, 0.5 to 0.95. Default 0.75. */
  readonly shrinking_factor?: number;
  /** Partitions of the float32 sums, 1 to 1024; changes the last digits, never the speed. Default 16. */
  readonly num_threads?: number;
  /** EM rounds between prunings, 1 to 10. Default 2. */
  readonly num_sub_iterations?: number;
  /** Longer sentences are skipped, in bytes, 10 to 2^30. Default 4192. */
  readonly max_sentence_length?: number;
  /** Longest piece in characters, 1 to 512. Default 16. */
  readonly max_sentencepiece_length?: number;
  /** Whether a piece stays within one script. Default true. */
  readonly split_by_unicode_script?: boolean;
  /** Whether a piece stays within one word. Default true. */
  readonly split_by_whitespace?: boolean;
  /** When false, digits go with every script. Default true. */
  readonly split_by_number?: boolean;
  /** Whether the blank mark ends a word instead of starting it. Default false. */
  readonly treat_whitespace_as_suffix?: boolean;
  /** Whether every digit is a piece of its own. Default false. */
  readonly split_digits?: boolean;
  /** Whether pieces of blanks only are allowed. Default false. */
  readonly allow_whitespace_only_pieces?: boolean;
  /** Symbols with an id that text never produces, such as `[CLS]`. Default none. */
  readonly control_symbols?: string | readonly string[];
  /** Symbols that are always one piece. Default none. */
  readonly user_defined_symbols?: string | readonly string[];
  /** Characters that are in the alphabet whatever the coverage. Default `""`. */
  readonly required_chars?: string;
  /** Whether unknown characters are spelled in 256 byte pieces. Default false. */
  readonly byte_fallback?: boolean;
  /** Whether the `.vocab` text has scores. Default true. */
  readonly vocabulary_output_piece_score?: boolean;
  /** Whether a vocabulary that cannot reach `vocab_size` is an error. Default true. */
  readonly hard_vocab_limit?: boolean;
  /** Id of the unknown piece, at least 0. Default 0. */
  readonly unk_id?: number;
  /** Id of the begin piece, -1 for none. Default 1. */
  readonly bos_id?: number;
  /** Id of the end piece, -1 for none. Default 2. */
  readonly eos_id?: number;
  /** Id of the padding piece, -1 for none. Default -1. */
  readonly pad_id?: number;
  /** Text of the unknown piece. Default `<unk>`. */
  readonly unk_piece?: string;
  /** Text of the begin piece. Default `<s>`. */
  readonly bos_piece?: string;
  /** Text of the end piece. Default `</s>`. */
  readonly eos_piece?: string;
  /** Text of the padding piece. Default `<pad>`. */
  readonly pad_piece?: string;
  /** What an unknown piece decodes to. Default U+2047 between blanks. */
  readonly unk_surface?: string;
  /** How text is rewritten first. Default `"nmt_nfkc"`, which takes two seconds to build once per process. */
  readonly normalization_rule_name?: NormalizationRuleName;
  /** File of rewriting rules that take the place of the named ones; `""`, the default, for none. */
  readonly normalization_rule_tsv?: string;
  /** Whether every sentence starts with a blank. Default true. */
  readonly add_dummy_prefix?: boolean;
  /** Whether blanks at the ends go and runs of blanks become one. Default true. */
  readonly remove_extra_whitespaces?: boolean;
  /** Which spm_train to equal. Default `"0.2.0"`. */
  readonly spm_version?: SpmVersion;
  /** Applied to every line before anything else, such as lower-casing. Default none. */
  readonly transform?: (line: string) => string;
  /** Told what is done. Default nobody. */
  readonly onProgress?: OnProgress;
  /** Stops the training when aborted; the promise rejects with its reason. Default none. */
  readonly signal?: AbortSignal;
};

/** The flags with all values set. */
export type ResolvedOptions =
  & Required<Omit<UnigramOptions, "transform" | "onProgress" | "signal" | ListFlag>>
  & { readonly [K in ListFlag]: readonly string[] };

type ListFlag = "input" | "accept_language" | "control_symbols" | "user_defined_symbols";

const defaults: ResolvedOptions = {
  input: [],
  model_prefix: "",
  model_type: "unigram",
  vocab_size: 8000,
  accept_language: [],
  input_format: "",
  character_coverage: 0.9995,
  input_sentence_size: 0,
  shuffle_input_sentence: true,
  seed_sentencepiece_size: 1000000,
  shrinking_factor: 0.75,
  num_threads: 16,
  num_sub_iterations: 2,
  max_sentence_length: 4192,
  max_sentencepiece_length: 16,
  split_by_unicode_script: true,
  split_by_whitespace: true,
  split_by_number: true,
  treat_whitespace_as_suffix: false,
  split_digits: false,
  allow_whitespace_only_pieces: false,
  control_symbols: [],
  user_defined_symbols: [],
  required_chars: "",
  byte_fallback: false,
  vocabulary_output_piece_score: true,
  hard_vocab_limit: true,
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
  add_dummy_prefix: true,
  remove_extra_whitespaces: true,
  spm_version: "0.2.0",
};

const choices: { readonly [name: string]: readonly string[] } = {
  model_type: ["unigram"],
  input_format: ["", "text", "tsv"],
  normalization_rule_name: ["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"],
  spm_version: ["0.1.97", "0.2.0", "0.2.2"],
};

/** Inclusive ranges; whole numbers unless the flag is one of the two shares. */
const ranges: { readonly [name: string]: readonly [number, number] } = {
  vocab_size: [1, 2 ** 31 - 1],
  character_coverage: [0.98, 1],
  input_sentence_size: [0, Number.MAX_SAFE_INTEGER],
  seed_sentencepiece_size: [1, 2 ** 31 - 1],
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
 */
export function resolveOptions(options: UnigramOptions): ResolvedOptions {
  const mistakes: string[] = [];
  const resolved: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(options)) {
    if (name === "transform" || name === "onProgress" || name === "signal" || value === undefined) continue;
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
  const flags = resolved as unknown as ResolvedOptions;
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
  if (mistakes.length > 0) throw new RangeError(`Cannot train the tokenizer: ${mistakes.join("; ")}`);
  return flags;
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
  const share = name === "character_coverage" || name === "shrinking_factor";
  const number = value as number;
  if (number >= range[0] && number <= range[1] && (share || Number.isInteger(number))) return undefined;
  return `${name} is ${number}, expected ${share ? "" : "a whole number "}from ${range[0]} to ${range[1]}`;
}

/** Splits spm_train's list syntax: commas separate, a field starting with `"` runs to the closing quote, `""` is one. */
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
      while (at < text.length && text[at] !== ",") field += text[at++];
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
