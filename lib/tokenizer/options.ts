/**
 * The options of unigram training: spm_train's flags with spm_train's names and meaning (spm_train_main.cc and the
 * specifications in sentencepiece_model.proto). `resolve_options.ts` has the defaults and the checks.
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
 * Flags of spm_train, and a few of our own at the end. List flags take an array, or spm_train's comma-separated text
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
  /** Number of sentences kept in the model with their pieces, which SentencePiece checks on loading, 0 to 1000. Default 0. */
  readonly self_test_sample_size?: number;
  /** Share of all characters that the alphabet must cover, 0.98 to 1. Default 0.9995. */
  readonly character_coverage?: number;
  /** Largest number of sentences used, 0 for all, otherwise above 100. Default 0. */
  readonly input_sentence_size?: number;
  /** Whether `input_sentence_size` draws at random; otherwise the first ones are used. Default true. */
  readonly shuffle_input_sentence?: boolean;
  /** Number of seed pieces. Default 1000000. */
  readonly seed_sentencepiece_size?: number;
  /** File of seed pieces, lines of piece TAB frequency, instead of those of the text; since 0.2.0. Default `""`. */
  readonly seed_sentencepieces_file?: string;
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
  /** What parts words besides blanks while seeds are looked for, and is dropped; since 0.1.99. Default `""`. */
  readonly pretokenization_delimiter?: string;
  /** Whether the blank mark ends a word instead of starting it. Default false. */
  readonly treat_whitespace_as_suffix?: boolean;
  /** Whether every digit is a piece of its own. Default false. */
  readonly split_digits?: boolean;
  /** Whether pieces of blanks only are allowed. Default false. */
  readonly allow_whitespace_only_pieces?: boolean;
  /** Symbols with an id that text never produces, such as `[CLS]`. Default none. */
  readonly control_symbols?: string | readonly string[];
  /** File of further control symbols, one a line. Default `""`. */
  readonly control_symbols_file?: string;
  /** Symbols that are always one piece. Default none. */
  readonly user_defined_symbols?: string | readonly string[];
  /** File of further such symbols, one a line. Default `""`. */
  readonly user_defined_symbols_file?: string;
  /** Characters that are in the alphabet whatever the coverage. Default `""`. */
  readonly required_chars?: string;
  /** File whose lines, joined, take the place of `required_chars`. Default `""`. */
  readonly required_chars_file?: string;
  /** Whether unknown characters are spelled in 256 byte pieces. Default false. */
  readonly byte_fallback?: boolean;
  /** Whether the `.vocab` text has scores. Default true. */
  readonly vocabulary_output_piece_score?: boolean;
  /** Whether a vocabulary that cannot reach `vocab_size` is an error. Default true. */
  readonly hard_vocab_limit?: boolean;
  /** For models of words or characters, which are not trained here: must be false, the default. */
  readonly use_all_vocab?: boolean;
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
  /** File of rules that rewrite decoded text; `""`, the default, for none. */
  readonly denormalization_rule_tsv?: string;
  /** Whether every sentence starts with a blank. Default true. */
  readonly add_dummy_prefix?: boolean;
  /** Whether blanks at the ends go and runs of blanks become one. Default true. */
  readonly remove_extra_whitespaces?: boolean;
  /** Wider numbers in spm_train's suffix array; here only stored, since ours are wide enough. Default false. */
  readonly train_extremely_large_corpus?: boolean;
  /** Seed of what is drawn for `self_test_sample_size` and for noise. Default 4294967295, which spm_train takes for none. */
  readonly random_seed?: number;
  /** Whether noise is added to the frequencies and small ones are dropped. Default false. */
  readonly enable_differential_privacy?: boolean;
  /** Standard deviation of the noise. Default 0, no noise. */
  readonly differential_privacy_noise_level?: number;
  /** Smaller frequencies are dropped. Default 0. */
  readonly differential_privacy_clipping_threshold?: number;
  /** Which spm_train to equal. Default `"0.2.0"`. */
  readonly spm_version?: SpmVersion;
  /** Applied to every line before anything else, such as lower-casing. Default none. */
  readonly transform?: (line: string) => string;
  /** Threads that count, at most `num_threads`; changes nothing but the speed. Default one per core for large texts. */
  readonly workers?: number;
  /** Told what is done. Default nobody. */
  readonly onProgress?: OnProgress;
  /** Stops the training when aborted; the promise rejects with its reason. Default none. */
  readonly signal?: AbortSignal;
};

/** The flags with all values set; the `_file` flags are read into the lists. */
export type ResolvedOptions =
  & Required<Omit<UnigramOptions, "transform" | "workers" | "onProgress" | "signal" | ListFlag | FileFlag>>
  & { readonly [K in ListFlag]: readonly string[] };

type ListFlag = "input" | "accept_language" | "control_symbols" | "user_defined_symbols";
type FileFlag = "control_symbols_file" | "user_defined_symbols_file" | "required_chars_file";
