/**
 * Learns Punkt's tables from plain text without any labels (Kiss and Strunk 2006, "Unsupervised multilingual sentence
 * boundary detection"; constants as in NLTK): abbreviations, frequent sentence starters, collocations over a period,
 * and in which case each word was seen where.
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

type Annotated = PunktToken & {
  readonly breaks: boolean;
  readonly abbreviation: boolean;
  readonly ellipsis: boolean;
};

/**
 * Trains Punkt on paragraphs; a few megabytes are enough. Three passes over the text, about 1 s per 3 MB; memory grows
 * with the number of different words.
 *
 * @param paragraphs Running text, one paragraph each.
 * @returns The tables, in the order of first occurrence.
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
export function trainPunkt(paragraphs: readonly string[]): PunktModel {
  const counts = new Map<string, number>();
  const texts = new Map<string, number>();
  for (const paragraph of paragraphs) for (const text of punktWords(paragraph)) add(texts, text);
  let tokens = 0;
  let periods = 0;
  for (const [text, count] of texts) {
    const token = punktToken(text);
    counts.set(token.type, (counts.get(token.type) ?? 0) + count);
    tokens += count;
    if (token.endsInPeriod) periods += count;
  }
  const abbreviations = findAbbreviations(counts, periods, tokens);

  const annotate = annotator(abbreviations);
  const orthography = new Map<string, number>();
  let breaks = 0;
  for (const paragraph of paragraphs) {
    const annotated = annotate(paragraph);
    noteCases(annotated, orthography);
    breaks += annotated.filter((token) => token.breaks).length;
  }
  const starts = new Map<string, number>();
  const pairs = new Map<string, number>();
  const rare = new Set<string>();
  for (const paragraph of paragraphs) {
    const annotated = annotate(paragraph);
    for (const [index, token] of annotated.entries()) {
      const next = annotated[index + 1];
      if (!next || !token.endsInPeriod || !token.breaks && !token.abbreviation) continue;
      if (isRareAbbreviation(token, next, counts, abbreviations, orthography)) rare.add(token.bare);
      const special = token.type === NUMBER || isInitial(token);
      if (token.breaks && !special && isAlphabetic(next)) add(starts, next.type);
      if (token.breaks && special && isWord(token) && isWord(next)) add(pairs, `${token.bare}\t${next.bare}`);
    }
  }
  const sentenceStarters = findStarters(starts, counts, breaks, tokens);
  return {
    abbreviations: new Set([...abbreviations, ...rare]),
    sentenceStarters,
    collocations: findCollocations(pairs, counts, sentenceStarters, tokens),
    orthography,
  };
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
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

/** What the first pass says about a token depends on its text alone, so each different text is judged once. */
function annotator(abbreviations: ReadonlySet<string>): (paragraph: string) => Annotated[] {
  const known = new Map<string, Annotated>();
  return (paragraph) =>
    punktWords(paragraph).map((text) => {
      const before = known.get(text);
      if (before) return before;
      const token = punktToken(text);
      const ellipsis = isEllipsis(token);
      const mark = text === "." || text === "?" || text === "!";
      const abbreviation = token.endsInPeriod && !ellipsis && !mark &&
        isAbbreviation(token.bare, abbreviations);
      const breaks = mark || token.endsInPeriod && !ellipsis && !abbreviation;
      const annotated = { ...token, ellipsis, abbreviation, breaks };
      known.set(text, annotated);
      return annotated;
    });
}

function noteCases(tokens: readonly Annotated[], orthography: Map<string, number>): void {
  let context: "begin" | "mid" | "unknown" = "begin";
  for (const token of tokens) {
    const bit = token.firstCase === "upper"
      ? ORTHO[`${context}Upper`]
      : token.firstCase === "lower"
      ? ORTHO[`${context}Lower`]
      : 0;
    const type = token.breaks ? token.bare : token.type;
    if (bit) orthography.set(type, (orthography.get(type) ?? 0) | bit);
    if (token.breaks) context = token.type === NUMBER || isInitial(token) ? "unknown" : "begin";
    else context = token.ellipsis || token.abbreviation ? "unknown" : "mid";
  }
}

function isRareAbbreviation(
  token: Annotated,
  next: Annotated,
  counts: ReadonlyMap<string, number>,
  abbreviations: ReadonlySet<string>,
  orthography: ReadonlyMap<string, number>,
): boolean {
  const { bare, breaks } = token;
  if (!breaks || token.type === NUMBER || !/\p{L}/u.test(bare)) return false;
  if (abbreviations.has(bare) || seen(counts, bare) >= RARE_COUNT) return false;
  if (/^[,:;]/.test(next.text)) return true;
  if (next.firstCase !== "lower") return false;
  const bits = orthography.get(next.breaks ? next.bare : next.type) ?? 0;
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
