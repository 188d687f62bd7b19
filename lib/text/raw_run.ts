/**
 * The run that turns documents into raw files: clean, leave out, split, write. It streams with one document in memory;
 * with shards it notes after each one how far it is, so that an interrupted run goes on.
 */
import { CLEANING_STEPS, type CleaningCounts, type CleaningStep, noCounts, openCleaner } from "./cleaning.ts";
import type { TextDocument } from "./documents.ts";
import { writePunkt } from "./punkt_tab.ts";
import { type PunktModel, punktTrainer } from "./punkt_train.ts";
import type { RawReport, RawRules } from "./raw.ts";
import { openPart, type PartWriter, wordsIn } from "./raw_parts.ts";
import type { RawState, RawStateFile } from "./raw_state.ts";
import { cleanSplitter } from "./sentences.ts";

/** A document with the side it goes to. */
export type SplitDocument = {
  readonly document: TextDocument;
  readonly heldOut: boolean;
  /** Whether another task of several writes it; then it only counts for what is known already. */
  readonly elsewhere?: boolean;
};

/** What is counted over both sides. */
export type RawTotals = {
  readonly cleaning: CleaningCounts;
  readonly sentenceWords: number[];
  empty: number;
  short: number;
  cutSentences: number;
};

/** Sentences of this many words or more are counted together. */
const MOST_WORDS = 100;

/** Text that trains Punkt by default, UTF-16 units. */
const TRAIN_PUNKT = 1 << 24;

const DEFAULT_STEPS: readonly CleaningStep[] = CLEANING_STEPS;

/** The common part of `writeRaw` and `writeEmbeddedRaw`: documents that know their side, to one or two raw files. */
export async function writeSplitDocuments(
  { documents, sample, output, heldOutOutput, rules, shardBytes = 0, state, signal, source, report, onLearn }:
    {
      readonly documents: AsyncIterable<SplitDocument>;
      /** The same documents once more, for training Punkt; without it the first documents are held for that. */
      readonly sample?: AsyncIterable<SplitDocument>;
      readonly output: string;
      readonly heldOutOutput?: string;
      readonly rules: RawRules;
      readonly shardBytes?: number;
      readonly state?: RawStateFile | undefined;
      readonly signal?: AbortSignal | undefined;
      /** What the input is called in messages. */
      readonly source: string;
      /** Called a few times a second and at the end. */
      readonly report: (sentences: number, finished: boolean) => void;
      /** Called while Punkt learns: characters done, of at most so many. */
      readonly onLearn?: ((done: number, most: number) => void) | undefined;
    },
): Promise<RawReport> {
  const { documentSentences: group = 0, minSentences = 1, clean = DEFAULT_STEPS } = rules;
  if (!Number.isInteger(group) || group < 0) {
    throw new RangeError(
      `Cannot regroup sentences: document_sentences is ${group}, it must be an integer >= 0`,
    );
  }
  const before = state?.before;
  const totals = before?.totals ?? newTotals();
  const cleaner = openCleaner(clean, totals.cleaning);
  const [skip, counted] = [before?.documents ?? 0, { ...totals.cleaning }];
  const breathe = breather();
  const { model, rest } = await learn(documents, sample, rules, { onLearn, breathe, signal });
  if (rules.savePunkt !== undefined && model !== undefined) writePunkt(rules.savePunkt, model);
  const split = cleanSplitter(rules.splitter ?? "punkt", { ...rules, ...(model ? { model } : {}) }, {
    onCut: () => void totals.cutSentences++,
  });
  const train = openPart(output, { group, shardBytes, finished: before?.train ?? [] });
  let heldOut: PartWriter | undefined;
  const sentencesSoFar = (): number => train.sentences() + (heldOut?.sentences() ?? 0);
  let [count, own] = [0, 0];
  let shared = false; // among several tasks, of which one may have nothing to do
  try {
    if (heldOutOutput !== undefined) {
      heldOut = openPart(heldOutOutput, { group, shardBytes, finished: before?.heldOut ?? [] });
    }
    for await (const { document, heldOut: isHeldOut, elsewhere = false } of rest) {
      count++;
      if (elsewhere) shared = true;
      else own++;
      signal?.throwIfAborted();
      const pause = count % 16 === 0 || document.paragraphs.length > 64 ? breathe() : undefined;
      if (pause !== undefined || count % 256 === 0) report(sentencesSoFar(), false);
      if (pause !== undefined) await pause;
      if ((count <= skip || elsewhere) && !clean.includes("duplicates")) continue;
      const before = elsewhere ? { ...totals.cleaning } : counted;
      const paragraphs = document.paragraphs.map(cleaner.paragraph).filter((text) => text !== "");
      const known = paragraphs.length > 0 && cleaner.seen(paragraphs);
      if (count <= skip || elsewhere) {
        Object.assign(totals.cleaning, before); // an earlier run counted this document, or another task does
        continue;
      }
      const [here, there] = isHeldOut && heldOut ? [heldOut, train] : [train, heldOut];
      there?.endRun();
      if (known) continue;
      const sentences = paragraphs.flatMap(split);
      if (sentences.length === 0) totals.empty++;
      else if (sentences.length < minSentences) totals.short++;
      else {
        for (const sentence of sentences) {
          const words = Math.min(MOST_WORDS, wordsIn(sentence));
          totals.sentenceWords[words] = (totals.sentenceWords[words] ?? 0) + 1;
        }
        here.add(sentences);
      }
      if (here.full()) {
        train.closeShard();
        heldOut?.closeShard();
        state?.save({ documents: count, totals, train: train.shards(), heldOut: heldOut?.shards() ?? [] });
      }
    }
    train.endRun();
    heldOut?.endRun();
    if (train.sentences() === 0 && !shared) throw emptyCorpus(source, count, totals);
    if (heldOut?.sentences() === 0 && !shared) throw emptyHeldOut(source, count);
    const result = conclude(train, heldOut, totals, own, before);
    state?.remove();
    report(result.train.sentences + (result.heldOut?.sentences ?? 0), true);
    return result;
  } catch (error) {
    train.discard();
    heldOut?.discard();
    throw error;
  }
}

function newTotals(): RawTotals {
  return {
    cleaning: noCounts(),
    sentenceWords: Array.from({ length: MOST_WORDS + 1 }, () => 0),
    empty: 0,
    short: 0,
    cutSentences: 0,
  };
}

function conclude(
  train: PartWriter,
  heldOut: PartWriter | undefined,
  { cleaning, sentenceWords, empty, short, cutSentences }: RawTotals,
  documents: number,
  before: RawState | undefined,
): RawReport {
  const { duplicates: duplicate, control, invisible, blank } = cleaning;
  return {
    train: train.finish(),
    ...(heldOut ? { heldOut: heldOut.finish() } : {}),
    documents,
    dropped: { empty, short, duplicate },
    cleaning: { control, invisible, blank },
    cutSentences,
    sentenceWords,
    resumed: before?.documents ?? 0,
  };
}

type Learned = { readonly model?: PunktModel; readonly rest: AsyncIterable<SplitDocument> };

/** The tables for Punkt, and the documents still to be written: all of them. */
async function learn(
  documents: AsyncIterable<SplitDocument>,
  sample: AsyncIterable<SplitDocument> | undefined,
  { splitter = "punkt", model, trainPunktLength = TRAIN_PUNKT, clean = DEFAULT_STEPS }: RawRules,
  { onLearn, breathe, signal }: {
    readonly signal: AbortSignal | undefined;
    readonly onLearn: ((done: number, most: number) => void) | undefined;
    readonly breathe: () => Promise<void> | undefined;
  },
): Promise<Learned> {
  if (model !== undefined) return { model, rest: documents };
  if (splitter !== "punkt" || !(trainPunktLength > 0)) return { rest: documents };
  const trainer = punktTrainer();
  const cleaner = openCleaner(clean.filter((step) => step !== "duplicates"));
  let left = trainPunktLength;
  let learned = 0;
  const take = async ({ document, heldOut }: SplitDocument): Promise<void> => {
    signal?.throwIfAborted();
    const pause = breathe();
    if (pause !== undefined) onLearn?.(learned, trainPunktLength);
    await pause;
    if (heldOut) return;
    for (const paragraph of document.paragraphs) {
      if (left <= 0) return;
      trainer.add(cleaner.paragraph(paragraph.slice(0, left)));
      left -= paragraph.length;
      learned += paragraph.length;
    }
  };
  if (sample !== undefined) {
    for await (const one of sample) {
      await take(one);
      if (left <= 0) break;
    }
    return { model: trainer.finish(), rest: documents };
  }
  const stream = documents[Symbol.asyncIterator]();
  const held: SplitDocument[] = [];
  while (left > 0 && held.length < 1_000_000) {
    const next = await stream.next();
    if (next.done === true) break;
    held.push(next.value);
    await take(next.value);
  }
  return { model: trainer.finish(), rest: chain(held, stream) };
}

async function* chain<T>(first: T[], then: AsyncIterator<T>): AsyncGenerator<T> {
  try {
    for (const one of first.splice(0)) yield one;
    for (let next = await then.next(); next.done !== true; next = await then.next()) yield next.value;
  } finally {
    await then.return?.();
  }
}

/** Lets timers and signals through when the last time was long ago. */
function breather(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    const now = performance.now();
    if (now - last < 40) return undefined;
    last = now;
    return new Promise((done) => setTimeout(done, 0));
  };
}

function emptyCorpus(source: string, documents: number, { short, cleaning }: RawTotals): RangeError {
  const found = documents === 0
    ? "it has no document"
    : short > 0 && short + cleaning.duplicates === documents
    ? `none of its ${documents} documents has enough sentences: lower min_sentences or give more text`
    : "no document is left for training: lower held_out_every or give more text";
  return new RangeError(`Cannot make a raw file of ${source}: ${found}; nothing was written`);
}

function emptyHeldOut(source: string, documents: number): RangeError {
  return new RangeError(
    `Cannot hold documents of ${source} out: none of its ${documents} documents falls to the held-out file; lower held_out_every or leave held_out_output away; nothing was written`,
  );
}
