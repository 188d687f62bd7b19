/**
 * Learns Punkt's tables from plain text without any labels (Kiss and Strunk 2006, "Unsupervised multilingual sentence
 * boundary detection"; constants as in NLTK): abbreviations, frequent sentence starters, collocations over a period,
 * and in which case each word was seen where. NLTK walks the text three times; here one pass counts words and what
 * follows a period, and all questions are answered from these counts, so that the text may be a stream.
 */
import {
  isAbbreviation,
  isAlphabetic,
  isEllipsis,
  isInitial,
  isWord,
  NUMBER,
  type PunktToken,
  punktToken,
  punktWords,
} from "./punkt_tokens.ts";

const ABBREVIATION_SCORE = 0.3;
const RARE_COUNT = 5;
const STARTER_SCORE = 30;
const COLLOCATION_SCORE = 7.88;

/** Bits of the orthographic context: where a type was seen with which case. */
export const ORTHO = {
  beginUpper: 2,
  midUpper: 4,
  unknownUpper: 8,
  beginLower: 16,
  midLower: 32,
  unknownLower: 64,
  upper: 14,
  lower: 112,
} as const;

/**
 * What Punkt knows about a language; types are lower case and without their final period.
 *
 * @example
 * ```ts
 * import { type PunktModel, sentenceSplitter } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const model: PunktModel = {
 *   abbreviations: new Set(["dept"]),
 *   sentenceStarters: new Set(),
 *   collocations: new Set(),
 *   orthography: new Map(),
 * };
 * const split = sentenceSplitter("punkt", { language: "en", model });
 * assert.deepEqual(split("The dept. Store is open. Go."), ["The dept. Store is open.", "Go."]);
 * ```
 */
export type PunktModel = {
  /** Words that end in a period without ending a sentence. */
  readonly abbreviations: ReadonlySet<string>;
  /** Words that often begin a sentence. */
  readonly sentenceStarters: ReadonlySet<string>;
  /** Pairs `"type1\ttype2"` that stand together over a period. */
  readonly collocations: ReadonlySet<string>;
  /** Bit mask per type: begin upper 2, mid upper 4, unknown upper 8, begin lower 16, mid lower 32, unknown lower 64. */
  readonly orthography: ReadonlyMap<string, number>;
};

/** A different text of a token: what is counted about it while the corpus streams by. */
type Entry = {
  readonly token: PunktToken;
  count: number;
  /** Orthographic contexts that are certain already. */
  bits: number;
  /** After a token that ends in a period: what followed, how often. */
  readonly next: Map<Entry, number> | undefined;
};

/** What is known of an entry once the abbreviations are. */
type Judged = { readonly abbreviation: boolean; readonly breaks: boolean; readonly special: boolean };

type Context = "begin" | "mid" | "unknown";

/** Collects from a stream of paragraphs what `trainPunkt` needs; internal, for readers that are asynchronous. */
export type PunktTrainer = {
  readonly add: (paragraph: string) => void;
  readonly finish: () => PunktModel;
};

/** Different words, and pairs over a period, that are held at most; beyond it the rarest are let go. */
const MAX_TYPES = 1 << 20;

/**
 * Trains Punkt on paragraphs in one pass: a stream of any length, a few megabytes are enough. Beyond `maxTypes`
 * different words the rarest are forgotten, so that memory is bounded (about 300 MB at the default).
 *
 * @param paragraphs Running text, one paragraph each.
 * @param options `maxTypes`: different words, and pairs over a period, held at most; default 1,048,576.
 * @returns The tables.
 * @example
 * ```ts
 * import { readEmbedded, trainPunkt } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const speeches = readEmbedded("sotu").slice(0, 20);
 * const { abbreviations } = trainPunkt(speeches.flatMap(({ paragraphs }) => paragraphs));
 * assert.ok(abbreviations.has("mr") && !abbreviations.has("congress"));
 * ```
 */
export function trainPunkt(
  paragraphs: Iterable<string>,
  options: { readonly maxTypes?: number } = {},
): PunktModel {
  const trainer = punktTrainer(options);
  for (const paragraph of paragraphs) trainer.add(paragraph);
  return trainer.finish();
}

/** The trainer behind `trainPunkt`. */
export function punktTrainer({ maxTypes = MAX_TYPES }: { readonly maxTypes?: number } = {}): PunktTrainer {
  const entries = new Map<string, Entry>();
  let tokens = 0;
  let pairs = 0;
  const forgotten: Forgotten = { breaks: 0, starts: new Map() };
  const addParagraph = (paragraph: string): void => {
    let before: Entry | undefined;
    for (const text of punktWords(paragraph)) {
      let entry = entries.get(text);
      if (entry === undefined) entries.set(text, entry = newEntry(text));
      entry.count++;
      tokens++;
      const context = contextAfter(before);
      if (context !== undefined) entry.bits |= contextBit(entry.token, context);
      if (before?.next !== undefined) {
        const seen = before.next.get(entry);
        if (seen === undefined) pairs++;
        before.next.set(entry, (seen ?? 0) + 1);
      }
      before = entry;
    }
    if (entries.size > maxTypes || pairs > maxTypes) {
      pairs = forget(entries, maxTypes / 2, tokens, forgotten);
    }
  };
  return { add: addParagraph, finish: () => conclude(entries, tokens, forgotten) };
}

function newEntry(text: string): Entry {
  const token = punktToken(text);
  const pairs = token.endsInPeriod && !isEllipsis(token);
  return { token, count: 0, bits: 0, next: pairs ? new Map<Entry, number>() : undefined };
}

const isMark = ({ text }: PunktToken): boolean => text === "." || text === "?" || text === "!";
const isSpecial = (token: PunktToken): boolean => token.type === NUMBER || isInitial(token);

/** The context of a token by the one before; undefined while it hangs on whether that is an abbreviation. */
function contextAfter(before: Entry | undefined): Context | undefined {
  if (before === undefined || isMark(before.token)) return "begin";
  if (before.next === undefined) return isEllipsis(before.token) ? "unknown" : "mid";
  return isSpecial(before.token) ? "unknown" : undefined;
}

function contextBit({ firstCase }: PunktToken, context: Context): number {
  return firstCase === "upper"
    ? ORTHO[`${context}Upper`]
    : firstCase === "lower"
    ? ORTHO[`${context}Lower`]
    : 0;
}

/** Counts per type, with the final period kept. */
function countTypes(entries: ReadonlyMap<string, Entry>): { counts: Map<string, number>; periods: number } {
  const counts = new Map<string, number>();
  let periods = 0;
  for (const { token, count } of entries.values()) {
    counts.set(token.type, (counts.get(token.type) ?? 0) + count);
    if (token.endsInPeriod) periods += count;
  }
  return { counts, periods };
}

function judge({ token, next }: Entry, abbreviations: ReadonlySet<string>): Judged {
  const abbreviation = next !== undefined && !isMark(token) && isAbbreviation(token.bare, abbreviations);
  const breaks = isMark(token) || next !== undefined && !abbreviation;
  return { abbreviation, breaks, special: isSpecial(token) };
}

/** Settles, by what is known so far, the contexts that hang on pairs. */
function settlePairs(entry: Entry, abbreviations: ReadonlySet<string>): void {
  if (contextAfter(entry) !== undefined) return;
  const context = judge(entry, abbreviations).abbreviation ? "unknown" : "begin";
  for (const next of entry.next?.keys() ?? []) next.bits |= contextBit(next.token, context);
}

/** What stays of words and pairs that were let go: boundaries, and the words that followed one. */
type Forgotten = { breaks: number; readonly starts: Map<string, number> };

/** Lets the rarest words and pairs go until at most `keep` of each are left; gives the pairs left. */
function forget(entries: Map<string, Entry>, keep: number, tokens: number, forgotten: Forgotten): number {
  const { counts, periods } = countTypes(entries);
  const abbreviations = findAbbreviations(counts, periods, tokens);
  for (const entry of entries.values()) settlePairs(entry, abbreviations);
  let pairs = Infinity;
  for (let rare = 1; pairs > keep; rare *= 2) {
    pairs = 0;
    for (const entry of entries.values()) {
      const one = judge(entry, abbreviations);
      for (const [next, count] of entry.next ?? []) {
        if (count > rare) continue;
        entry.next?.delete(next);
        if (startsSentence(one, next.token)) add(forgotten.starts, next.token.type, count);
      }
      pairs += entry.next?.size ?? 0;
    }
  }
  for (let rare = 1; entries.size > keep; rare *= 2) {
    for (const [text, entry] of entries) {
      if (entry.count > rare) continue;
      const one = judge(entry, abbreviations);
      if (one.breaks) forgotten.breaks += entry.count;
      for (const [next, count] of entry.next ?? []) {
        if (startsSentence(one, next.token)) add(forgotten.starts, next.token.type, count);
        pairs--;
      }
      entries.delete(text);
    }
  }
  return pairs;
}

function startsSentence({ breaks, special }: Judged, next: PunktToken): boolean {
  return breaks && !special && isAlphabetic(next);
}

function conclude(entries: ReadonlyMap<string, Entry>, tokens: number, forgotten: Forgotten): PunktModel {
  const { counts, periods } = countTypes(entries);
  const abbreviations = findAbbreviations(counts, periods, tokens);
  const judged = new Map([...entries.values()].map((entry) => [entry, judge(entry, abbreviations)]));
  let { breaks } = forgotten;
  for (const [entry, one] of judged) {
    settlePairs(entry, abbreviations);
    if (one.breaks) breaks += entry.count;
  }
  const typeOf = (entry: Entry): string => judged.get(entry)?.breaks ? entry.token.bare : entry.token.type;
  const orthography = new Map<string, number>();
  for (const entry of entries.values()) {
    if (entry.bits === 0) continue;
    const type = typeOf(entry);
    orthography.set(type, (orthography.get(type) ?? 0) | entry.bits);
  }
  const starts = new Map(forgotten.starts);
  const collocations = new Map<string, number>();
  const rare = new Set<string>();
  for (const [entry, one] of judged) {
    if (!one.breaks && !one.abbreviation) continue;
    for (const [next, count] of entry.next ?? []) {
      if (
        isRareAbbreviation(entry.token, one, next.token, typeOf(next), counts, abbreviations, orthography)
      ) {
        rare.add(entry.token.bare);
      }
      if (startsSentence(one, next.token)) add(starts, next.token.type, count);
      if (one.breaks && one.special && isWord(entry.token) && isWord(next.token)) {
        add(collocations, `${entry.token.bare}\t${next.token.bare}`, count);
      }
    }
  }
  const sentenceStarters = findStarters(starts, counts, breaks, tokens);
  return {
    abbreviations: new Set([...abbreviations, ...rare]),
    sentenceStarters,
    collocations: findCollocations(collocations, counts, sentenceStarters, tokens),
    orthography,
  };
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

/** How often a type was seen, with and without period. */
function seen(counts: ReadonlyMap<string, number>, bare: string): number {
  return (counts.get(bare) ?? 0) + (counts.get(`${bare}.`) ?? 0);
}

function findAbbreviations(
  counts: ReadonlyMap<string, number>,
  periods: number,
  tokens: number,
): Set<string> {
  const found = new Set<string>();
  for (const [type, withPeriod] of counts) {
    if (!type.endsWith(".") || type === NUMBER || !/\p{L}/u.test(type)) continue;
    const bare = type.slice(0, -1);
    const without = counts.get(bare) ?? 0;
    const inner = bare.split(".").length; // periods inside + 1
    const others = bare.length - inner + 1;
    const likelihood = periodLikelihood(withPeriod, without, periods / tokens);
    if (likelihood * Math.exp(-others) * inner * others ** -without >= ABBREVIATION_SCORE) found.add(bare);
  }
  return found;
}

/** Dunning's likelihood ratio of "this type nearly always carries a period" (0.99) against chance. */
function periodLikelihood(withPeriod: number, without: number, chance: number): number {
  const plain = withPeriod * Math.log(chance + 1e-8) + without * Math.log(1 - chance + 1e-8);
  const strong = withPeriod * Math.log(0.99) + without * Math.log(0.01);
  return -2 * (plain - strong);
}

function isRareAbbreviation(
  { bare, type }: PunktToken,
  { breaks }: Judged,
  next: PunktToken,
  nextType: string,
  counts: ReadonlyMap<string, number>,
  abbreviations: ReadonlySet<string>,
  orthography: ReadonlyMap<string, number>,
): boolean {
  if (!breaks || type === NUMBER || !/\p{L}/u.test(bare)) return false;
  if (abbreviations.has(bare) || seen(counts, bare) >= RARE_COUNT) return false;
  if (/^[,:;]/.test(next.text)) return true;
  if (next.firstCase !== "lower") return false;
  const bits = orthography.get(nextType) ?? 0;
  return (bits & ORTHO.beginUpper) !== 0 && (bits & ORTHO.midUpper) === 0;
}

function findStarters(
  starts: ReadonlyMap<string, number>,
  counts: ReadonlyMap<string, number>,
  breaks: number,
  tokens: number,
): Set<string> {
  const found = new Set<string>();
  for (const [type, atBreak] of starts) {
    const count = seen(counts, type);
    if (count < atBreak || dunning(breaks, count, atBreak, tokens) < STARTER_SCORE) continue;
    if (tokens / breaks > count / atBreak) found.add(type);
  }
  return found;
}

function findCollocations(
  pairs: ReadonlyMap<string, number>,
  counts: ReadonlyMap<string, number>,
  starters: ReadonlySet<string>,
  tokens: number,
): Set<string> {
  const found = new Set<string>();
  for (const [pair, count] of pairs) {
    const [first = "", second = ""] = pair.split("\t");
    if (starters.has(second)) continue;
    const count1 = seen(counts, first);
    const count2 = seen(counts, second);
    if (count1 < 2 || count2 < 2 || count < 2 || count > Math.min(count1, count2)) continue;
    if (dunning(count1, count2, count, tokens) < COLLOCATION_SCORE) continue;
    if (tokens / count1 > count2 / count) found.add(pair);
  }
  return found;
}

/** Dunning's log-likelihood ratio that a and b occur together by more than chance. */
function dunning(a: number, b: number, ab: number, all: number): number {
  const term = (hits: number, tries: number, p: number): number =>
    p <= 0 || p >= 1 ? 0 : hits * Math.log(p) + (tries - hits) * Math.log(1 - p);
  const p = b / all;
  const first = term(ab, a, p) + term(b - ab, all - a, p);
  const second = term(ab, a, ab / a) + term(b - ab, all - a, (b - ab) / (all - a));
  return -2 * (first - second);
}
