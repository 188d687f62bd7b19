/**
 * From the trained pieces to the two files: the alphabet is completed, the best pieces fill the vocabulary around the meta
 * pieces, and both files are laid out as spm_train's command line does (trainer_interface.cc, FinalizeSentencePieces in
 * unigram_model_trainer.cc).
 */
import { protobufWriter } from "../formats/mod.ts";
import type { AlphabetText } from "./alphabet.ts";
import { loadSentencePiece } from "./encoder.ts";
import { formatScore } from "./format_score.ts";
import type { MetaPieces } from "./meta_pieces.ts";
import { type Piece, type SentencePieceModel, serializeModel, type SpecValue } from "./model_file.ts";
import type { ResolvedOptions } from "./options.ts";
import type { PieceList } from "./piece_list.ts";
import { compareSequences } from "./piece_trie.ts";

type Final = { readonly symbols: readonly number[]; readonly score: number };

/** The learned part of the vocabulary: at most `room` pieces, score descending, then bytes. */
export function finalPieces(pieces: PieceList, source: AlphabetText, room: number): Piece[] {
  const { text, codePoints, required } = source;
  const trained: Final[] = Array.from({ length: pieces.count }, (_, id) => {
    const start = pieces.starts[id] as number;
    const symbols = Array.from(text.subarray(start, start + (pieces.lengths[id] as number)));
    return { symbols, score: pieces.scores[id] as number };
  });
  const single = new Map<number, Final>();
  let lowest = Infinity;
  for (const piece of trained) {
    if (piece.symbols.length === 1) single.set(piece.symbols[0] as number, piece);
    lowest = Math.min(lowest, piece.score);
  }
  const chosen: Final[] = [];
  let penalty = 0;
  for (const symbol of required) {
    const known = single.get(symbol);
    if (known !== undefined) {
      chosen.push(known);
      continue;
    }
    chosen.push({ symbols: [symbol], score: Math.fround(lowest + penalty) });
    penalty = Math.fround(penalty + Math.fround(0.0001));
  }
  const order = (a: Final, b: Final): number => b.score - a.score || compareSequences(a.symbols, b.symbols);
  const present = new Set(chosen);
  for (const piece of trained.sort(order)) {
    if (chosen.length >= room) break;
    if (!present.has(piece)) chosen.push(piece);
  }
  return chosen.sort(order).map(({ symbols, score }) => ({
    piece: String.fromCodePoint(...symbols.map((symbol) => codePoints[symbol] as number)),
    score,
    type: "normal",
  }));
}

/**
 * Gives every piece its id.
 *
 * @throws {RangeError} When there are fewer pieces than `vocab_size` asks for and the limit is hard.
 */
export function layOutVocabulary(
  learned: readonly Piece[],
  meta: MetaPieces,
  flags: ResolvedOptions,
): Piece[] {
  const most = learned.length + meta.size;
  if (flags.hard_vocab_limit && most !== flags.vocab_size) {
    throw new RangeError(
      `Cannot train the tokenizer: vocab_size ${flags.vocab_size} is too high for this text, ` +
        `which gives at most ${most} pieces; set vocab_size to ${most} or less, or hard_vocab_limit to false`,
    );
  }
  const pieces: Piece[] = [];
  let next = 0;
  for (let id = 0; id < most; id++) {
    const piece = meta.get(id) ?? learned[next++];
    if (piece === undefined) {
      throw new RangeError(
        `Cannot train the tokenizer: the text gives ${most} pieces, fewer than the ids given; lower the *_id flags`,
      );
    }
    pieces.push(piece);
  }
  return pieces;
}

/** The text of the `.vocab` file: piece, tab, score. */
export function vocabText(pieces: readonly Piece[], withScores: boolean): string {
  return pieces.map(({ piece, score }) => withScores ? `${piece}\t${formatScore(score)}\n` : `${piece}\n`)
    .join("");
}

/** Blobs of rules: for text before encoding, and for decoded text. */
export type ModelTables = { readonly normalize: Uint8Array; readonly denormalize?: Uint8Array };

/** The model with the fields that spm_train's command line sets, defaults included. */
export function buildModel(
  pieces: readonly Piece[],
  flags: ResolvedOptions,
  tables: ModelTables,
): SentencePieceModel {
  const trainer: Record<string, SpecValue> = {
    input: flags.input,
    model_prefix: flags.model_prefix,
    model_type: 1,
    vocab_size: flags.hard_vocab_limit ? flags.vocab_size : pieces.length,
    accept_language: flags.accept_language,
    self_test_sample_size: flags.self_test_sample_size,
    input_format: flags.input_format,
    character_coverage: flags.character_coverage,
    input_sentence_size: flags.input_sentence_size,
    seed_sentencepiece_size: flags.seed_sentencepiece_size,
    shrinking_factor: flags.shrinking_factor,
    num_threads: flags.num_threads,
    num_sub_iterations: flags.num_sub_iterations,
    max_sentence_length: flags.max_sentence_length,
    shuffle_input_sentence: flags.shuffle_input_sentence,
    max_sentencepiece_length: flags.max_sentencepiece_length,
    split_by_unicode_script: flags.split_by_unicode_script,
    split_by_whitespace: flags.split_by_whitespace,
    split_by_number: flags.split_by_number,
    treat_whitespace_as_suffix: flags.treat_whitespace_as_suffix,
    split_digits: flags.split_digits,
    allow_whitespace_only_pieces: flags.allow_whitespace_only_pieces,
    control_symbols: flags.control_symbols,
    user_defined_symbols: flags.user_defined_symbols,
    vocabulary_output_piece_score: flags.vocabulary_output_piece_score,
    hard_vocab_limit: flags.hard_vocab_limit,
    use_all_vocab: false,
    byte_fallback: flags.byte_fallback,
    required_chars: flags.required_chars,
    unk_id: flags.unk_id,
    bos_id: flags.bos_id,
    eos_id: flags.eos_id,
    pad_id: flags.pad_id,
    unk_surface: flags.unk_surface,
    unk_piece: flags.unk_piece,
    bos_piece: flags.bos_piece,
    eos_piece: flags.eos_piece,
    pad_piece: flags.pad_piece,
    train_extremely_large_corpus: flags.train_extremely_large_corpus,
    enable_differential_privacy: flags.enable_differential_privacy,
    differential_privacy_noise_level: flags.differential_privacy_noise_level,
    differential_privacy_clipping_threshold: flags.differential_privacy_clipping_threshold,
  };
  if (flags.spm_version !== "0.1.97") {
    trainer["pretokenization_delimiter"] = flags.pretokenization_delimiter;
    trainer["seed_sentencepieces_file"] = flags.seed_sentencepieces_file;
  }
  return {
    pieces,
    trainer_spec: trainer,
    normalizer_spec: {
      name: flags.normalization_rule_tsv === "" ? flags.normalization_rule_name : "user_defined",
      precompiled_charsmap: tables.normalize,
      add_dummy_prefix: flags.add_dummy_prefix,
      remove_extra_whitespaces: flags.remove_extra_whitespaces,
      normalization_rule_tsv: flags.normalization_rule_tsv,
    },
    ...(tables.denormalize === undefined ? {} : {
      denormalizer_spec: {
        name: "user_defined",
        precompiled_charsmap: tables.denormalize,
        add_dummy_prefix: false,
        remove_extra_whitespaces: false,
        escape_whitespaces: false,
        normalization_rule_tsv: flags.denormalization_rule_tsv,
      },
    }),
  };
}

/** The model with sentences of the text and their pieces, which SentencePiece checks when it loads the file. */
export function withSelfTest(
  model: SentencePieceModel,
  samples: readonly string[],
  { spm_version }: ResolvedOptions,
): SentencePieceModel {
  if (samples.length === 0) return model;
  const { encode } = loadSentencePiece(serializeModel(model), { spm_version });
  const data = protobufWriter();
  for (const input of samples) {
    data.message(1, (sample) => sample.string(1, input).string(2, encode(input).join(" ")));
  }
  return { ...model, rest: [{ field: 4, bytes: data.finish() }] };
}
