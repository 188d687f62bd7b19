/**
 * Unigram training from sentences to a model, equal to spm_train byte for byte: collect, choose the alphabet, make seed
 * pieces, alternate EM and pruning, complete (Kudo 2018, "Subword Regularization", section 3.2; the order of all steps and
 * roundings follows unigram_model_trainer.cc).
 */
import { type AlphabetText, translateCorpus } from "./alphabet.ts";
import { collectArcs } from "./arcs.ts";
import { builtInCharsmap, compileCharsmap, parseCharsmap } from "./charsmap.ts";
import { readRules } from "./charsmap_tsv.ts";
import { collectCorpus, type Corpus } from "./corpus.ts";
import { expectedCounts, maximize, type Training } from "./em.ts";
import { startTeam, teamSize } from "./em_team.ts";
import {
  buildModel,
  finalPieces,
  layOutVocabulary,
  type ModelTables,
  vocabText,
  withSelfTest,
} from "./finalize.ts";
import { layOutMetaPieces, type MetaPieces } from "./meta_pieces.ts";
import { serializeModel } from "./model_file.ts";
import { makeNormalizer } from "./normalizer.ts";
import type { ResolvedOptions, UnigramOptions } from "./options.ts";
import { makePace, type Pace, runSteps, type Steps } from "./pace.ts";
import type { PieceList } from "./piece_list.ts";
import { withPrivacy } from "./privacy.ts";
import { prunePieces } from "./prune.ts";
import { resolveOptions } from "./resolve_options.ts";
import { type ListedSeed, readSeedFile } from "./seed_file.ts";
import { makeSeeds } from "./seeds.ts";
import { countWords } from "./words.ts";

/**
 * One EM round as the trainer saw it.
 *
 * @example
 * ```ts
 * import type { TrainingRound } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const round: TrainingRound = { pieces: 55453, objective: 16.4689 };
 * assert.ok(round.objective > 0);
 * ```
 */
export type TrainingRound = {
  /** Pieces left after the round. */
  readonly pieces: number;
  /** Mean negative log likelihood of a word, in nats. */
  readonly objective: number;
};

/**
 * What a training did.
 *
 * @example
 * ```ts
 * import { trainUnigram } from "albert-guide";
 * import type { TrainingReport } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const lines = Array.from({ length: 30 }, (_, i) => `one two three ${i % 3}`);
 * const { report } = await trainUnigram(lines, { vocab_size: 15, normalization_rule_name: "identity" });
 * const seen: TrainingReport = report;
 * assert.equal(seen.sentences, 30);
 * assert.equal(seen.skipped.tooLong, 0);
 * ```
 */
export type TrainingReport = {
  /** Lines read. */
  readonly lines: number;
  /** Sentences trained on, after sampling. */
  readonly sentences: number;
  /** Lines left out: empty, longer than `max_sentence_length`, or holding U+2585, which the trainer needs itself. */
  readonly skipped: { readonly empty: number; readonly tooLong: number; readonly reserved: number };
  /** Characters of the sentences after normalization. */
  readonly characters: number;
  /** Characters in the alphabet. */
  readonly alphabet: number;
  /** Seed pieces. */
  readonly seeds: number;
  /** Distinct words. */
  readonly words: number;
  /** EM rounds in order. */
  readonly rounds: readonly TrainingRound[];
  /** Pieces in the model. */
  readonly vocab_size: number;
  /** Wall time in seconds. */
  readonly seconds: number;
};

/**
 * A trained tokenizer.
 *
 * @example
 * ```ts
 * import { loadSentencePiece, trainUnigram } from "albert-guide";
 * import type { TrainedUnigram } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const lines = Array.from({ length: 30 }, (_, i) => `one two three ${i % 3}`);
 * const trained: TrainedUnigram = await trainUnigram(lines, {
 *   vocab_size: 15,
 *   normalization_rule_name: "identity",
 * });
 * assert.equal(loadSentencePiece(trained.model).size, 15);
 * assert.equal(trained.vocab.split("\n").length, 16);
 * ```
 */
export type TrainedUnigram = {
  /** Content of the `.model` file. */
  readonly model: Uint8Array;
  /** Content of the `.vocab` file. */
  readonly vocab: string;
  /** What was done. */
  readonly report: TrainingReport;
};

/**
 * Trains a unigram tokenizer; the files equal those of spm_train with the same flags.
 *
 * @param sentences One sentence each, without line end.
 * @param options Flags of spm_train; `vocab_size` should always be given.
 * @returns Both files and a report. The thread is freed at least every few hundred milliseconds.
 * @throws {RangeError} When flags contradict each other, or the text cannot give `vocab_size` pieces.
 * @throws {TypeError} When there is nothing to train on.
 * @example
 * ```ts
 * import { loadSentencePiece, trainUnigram } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const verses = Array.from({ length: 60 }, (_, i) => `and the ${["sea", "sand", "land"][i % 3]} was good`);
 * const { model, vocab, report } = await trainUnigram(verses, {
 *   vocab_size: 18,
 *   pad_id: 0,
 *   unk_id: 1,
 *   bos_id: -1,
 *   eos_id: -1,
 *   control_symbols: ["[CLS]", "[SEP]", "[MASK]"],
 *   normalization_rule_name: "identity",
 * });
 * assert.equal(report.sentences, 60);
 * assert.deepEqual(vocab.split("\n").slice(0, 5).map((line) => line.split("\t")[0]), [
 *   "<pad>",
 *   "<unk>",
 *   "[CLS]",
 *   "[SEP]",
 *   "[MASK]",
 * ]);
 * assert.equal(loadSentencePiece(model).encode("the sea").join(""), "▁the▁sea");
 * ```
 */
export async function trainUnigram(
  sentences: Iterable<string> | AsyncIterable<string>,
  options: UnigramOptions = {},
): Promise<TrainedUnigram> {
  if (typeof sentences === "string") {
    throw new TypeError("Cannot train the tokenizer: one string was given; give an array of sentences");
  }
  const begun = performance.now();
  const flags = resolveOptions(options);
  const meta = layOutMetaPieces(flags);
  const pace = makePace(options.signal);
  const report = progressOf(options);
  const staged: Staged = async (stage, total, unit, steps) => {
    report(stage, 0, total, unit);
    const result = await runSteps(
      steps,
      pace,
      (share) => report(stage, Math.floor(share * total), total, unit),
    );
    report(stage, total, total, unit);
    if (pace.due()) await pace.rest();
    return result;
  };
  const given = { options, flags, meta, pace, report, staged };
  const { tables, listed, source, read } = await prepare(sentences, given);
  const characters = source.text.length;
  const seeds = await staged("seed pieces", characters, "characters", makeSeeds(source, flags, listed));
  const words = await staged("words", characters, "characters", countWords(source, flags));
  const partitions = flags.num_threads;
  const places = words.lengths.reduce((sum, length) => sum + length, 0);
  const size = teamSize(options.workers, { partitions, places, seeds: seeds.count });
  const memory = size > 1 ? (bytes: number) => new SharedArrayBuffer(bytes) : undefined;
  const arcs = await staged(
    "pieces in words",
    words.count,
    "words",
    collectArcs(source.text, words, seeds, memory),
  );
  const team = size > 1
    ? startTeam(size, { words, store: arcs.store, partitions, seeds: seeds.count })
    : undefined;
  const training: Training = { text: source.text, words, arcs, partitions, team, pace };
  const { pieces, rounds } = await fit(seeds, training, flags, report).finally(() => team?.close());
  const learned = finalPieces(pieces, source, flags.vocab_size - meta.size);
  const vocabulary = layOutVocabulary(learned, meta, flags);
  const model = withSelfTest(buildModel(vocabulary, flags, tables), read.samples, flags);
  const { lines, empty, tooLong, reserved } = read.counts;
  return {
    model: serializeModel(model),
    vocab: vocabText(vocabulary, flags.vocabulary_output_piece_score),
    report: {
      lines,
      sentences: source.starts.length,
      skipped: { empty, tooLong, reserved },
      characters: source.characters,
      alphabet: source.required.length,
      seeds: seeds.count,
      words: words.count,
      rounds,
      vocab_size: vocabulary.length,
      seconds: (performance.now() - begun) / 1000,
    },
  };
}

type Prepared = {
  readonly tables: ModelTables;
  readonly listed: readonly ListedSeed[] | undefined;
  readonly source: AlphabetText;
  readonly read: Pick<Corpus, "samples" | "counts">;
};

/** From lines to text in symbols; what was collected on the way can be freed then. */
async function prepare(
  sentences: Iterable<string> | AsyncIterable<string>,
  { options, flags, meta, pace, report, staged }: {
    readonly options: UnigramOptions;
    readonly flags: ResolvedOptions;
    readonly meta: MetaPieces;
    readonly pace: Pace;
    readonly report: Report;
    readonly staged: Staged;
  },
): Promise<Prepared> {
  const listed = flags.seed_sentencepieces_file === ""
    ? undefined
    : readSeedFile(flags.seed_sentencepieces_file);
  report("normalization rules", 0, 1, "tables");
  const tables = await makeTables(flags, pace);
  report("normalization rules", 1, 1, "tables");
  const collected = await collectCorpus(sentences, {
    flags,
    meta,
    pace,
    transform: options.transform,
    report: (done) => report("read and normalize", done, undefined, "sentences"),
    normalizer: makeNormalizer({
      charsmap: parseCharsmap(tables.normalize),
      addDummyPrefix: flags.add_dummy_prefix,
      removeExtraWhitespaces: flags.remove_extra_whitespaces,
      escapeWhitespaces: true,
      treatWhitespaceAsSuffix: flags.treat_whitespace_as_suffix,
    }),
  });
  const corpus = withPrivacy(collected, flags);
  if (corpus.bounds.length === 0) throw emptyCorpus(corpus);
  if (pace.due()) await pace.rest();
  const extras = listed?.map(({ piece }) => piece);
  const source = await staged(
    "alphabet",
    corpus.bounds[corpus.bounds.length - 1] ?? 0,
    "characters",
    translateCorpus(corpus, flags, extras),
  );
  checkRoom(source, meta, flags);
  return { tables, listed, source, read: { samples: corpus.samples, counts: corpus.counts } };
}

/** The tables that the model carries: for text before encoding, and, if wished, for decoded text. */
async function makeTables(flags: ResolvedOptions, pace: Pace): Promise<ModelTables> {
  const fromFile = (path: string): Promise<Uint8Array> => runSteps(compileCharsmap(readRules(path)), pace);
  const unicode = flags.spm_version === "0.2.2" ? 17 : 13;
  const normalize = flags.normalization_rule_tsv === ""
    ? await builtInCharsmap(flags.normalization_rule_name, pace, unicode)
    : await fromFile(flags.normalization_rule_tsv);
  if (flags.denormalization_rule_tsv === "") return { normalize };
  return { normalize, denormalize: await fromFile(flags.denormalization_rule_tsv) };
}

/** Runs the steps of a stage, which reports how far it is. */
type Staged = <T>(stage: string, total: number, unit: string, steps: Steps<T>) => Promise<T>;
type Report = (stage: string, done: number, total: number | undefined, unit: string, note?: string) => void;

function progressOf({ onProgress }: UnigramOptions): Report {
  return (stage, done, total, unit, note) =>
    onProgress?.({
      stage: `tokenizer: ${stage}`,
      done,
      unit,
      ...(total === undefined ? {} : { total }),
      ...(note === undefined ? {} : { note }),
    });
}

/** EM and pruning in turn, down to a tenth more pieces than wished. */
async function fit(
  seeds: PieceList,
  training: Training,
  flags: ResolvedOptions,
  report: Report,
): Promise<{ pieces: PieceList; rounds: TrainingRound[] }> {
  const desired = Math.trunc(flags.vocab_size * 1.1);
  const rounds: TrainingRound[] = [];
  let pieces = seeds;
  // Prunings still to come, from the share that each one keeps.
  const distance = (count: number): number =>
    Math.max(0, Math.ceil(Math.log(count / desired) / -Math.log(flags.shrinking_factor)));
  const total = 1 + distance(seeds.count);
  report("EM and pruning", 0, total, "rounds", `${seeds.count} pieces`);
  for (let prunings = 0;; prunings++) {
    for (let k = 0; k < flags.num_sub_iterations; k++) {
      const { expected, objective } = await expectedCounts(pieces, training);
      pieces = maximize(pieces, expected, training.arcs);
      rounds.push({ pieces: pieces.count, objective });
      if (training.pace.due()) await training.pace.rest();
    }
    const { objective = 0 } = rounds[rounds.length - 1] ?? {};
    const note = `${pieces.count} pieces, objective ${objective.toPrecision(6)}`;
    const left = pieces.count <= desired ? 0 : distance(pieces.count);
    report(
      "EM and pruning",
      prunings + 1,
      Math.max(prunings + 1 + left, left === 0 ? 0 : total),
      "rounds",
      note,
    );
    if (pieces.count <= desired) break;
    const pruned = await prunePieces(pieces, training, {
      desired,
      shrinkingFactor: flags.shrinking_factor,
      version: flags.spm_version,
    });
    if (pruned.count >= pieces.count) break; // nothing can be pruned any more; spm_train would not end here
    pieces = pruned;
  }
  return { pieces, rounds };
}

function emptyCorpus(corpus: Corpus): TypeError {
  const { lines, empty, tooLong, reserved } = corpus.counts;
  return new TypeError(
    `Cannot train the tokenizer: no sentence is left of ${lines} lines ` +
      `(${empty} empty, ${tooLong} longer than max_sentence_length, ${reserved} with the reserved character U+2585); ` +
      "give text with at least one sentence",
  );
}

function checkRoom(source: AlphabetText, meta: MetaPieces, flags: ResolvedOptions): void {
  const needed = source.required.length + meta.size;
  if (needed <= flags.vocab_size) return;
  throw new RangeError(
    `Cannot train the tokenizer: vocab_size is ${flags.vocab_size}, but the alphabet has ${source.required.length} ` +
      `characters and ${meta.size} symbols are defined; set vocab_size to ${needed} or more, or lower ` +
      `character_coverage, now ${flags.character_coverage}`,
  );
}
