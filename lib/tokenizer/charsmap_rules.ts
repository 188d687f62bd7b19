/**
 * The rewriting rules behind `nmt_nfkc`, `nfkc` and their case-folding forms, built from the engine's own Unicode
 * normalization but pinned to one version: Unicode 13, the table that SentencePiece 0.1.96 to 0.2.0 ships, or 17, that of
 * 0.2.2. A rule rewrites one to four characters; a set of rules and longest match first is all that SentencePiece's
 * normalizer knows.
 */

/**
 * Names of the built-in normalizations; `_cf` also folds case, `identity` changes nothing.
 *
 * @example
 * ```ts
 * import type { NormalizationRuleName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name: NormalizationRuleName = "nmt_nfkc_cf";
 * assert.ok(name.endsWith("_cf"));
 * ```
 */
export type NormalizationRuleName = "nmt_nfkc" | "nfkc" | "nmt_nfkc_cf" | "nfkc_cf" | "identity";

/** The versions of Unicode that tables exist for. */
export type TableUnicode = 13 | 17;

/** What a text is rewritten by: key and replacement, both non-normalized JavaScript strings. */
export type Rules = Map<string, string>;

// Characters that NFKC rewrites and that were assigned after Unicode 13 (inclusive ranges).
const laterThan13 =
  "A7F1-A7F4 10781-10785 10787-107B0 107B2-107BA 1CCD6-1CCF9 1E030-1E06D 105C9 105E4 11383 11385 " +
  "1138E 11391 113C5 113C7 113C8 16121-16128 16D68-16D6A";
// The same for case folding.
const foldedLater =
  "1C89 2C2F A7C0 A7CB A7CC A7CE A7D0 A7D2 A7D4 A7D6 A7D8 A7DA A7DC 10570-1057A 1057C-1058A " +
  "1058C-10592 10594-10595 10D50-10D65 16EA0-16EB8";
// What Unicode 17 added for NFKC and for case folding, for engines that know only 16.
const new17: readonly (readonly [number, number])[] = [[0xa7f1, 0x53]];
const folded17: readonly (readonly [number, number])[] = [
  [0xa7ce, 0xa7cf],
  [0xa7d2, 0xa7d3],
  [0xa7d4, 0xa7d5],
  ...Array.from({ length: 25 }, (_, k) => [0x16ea0 + k, 0x16ebb + k] as const),
];
const toBlank = "9 A C D 1680 200B 200C 200E 200F 2028 2029 2581 FEFF FFFD";
const toNothing = "1-8 B E-1F 7F 8F 9F";

/**
 * Builds one rule set; takes a second or two, in steps between which the caller may rest.
 *
 * @param name Which one; `identity` has no rules.
 * @param unicode Characters of later versions are left alone.
 * @returns Steps, then the rules without redundant ones.
 */
export function* charsmapRules(
  name: Exclude<NormalizationRuleName, "identity">,
  unicode: TableUnicode,
): Generator<void, Rules> {
  let rules = yield* withoutRedundant(yield* nfkcRules(unicode));
  if (name.startsWith("nmt_")) {
    const changed = new Set(["\uff5e"]);
    const set = (list: string, value: string): void => {
      for (const cp of codePoints(list)) {
        const character = String.fromCodePoint(cp);
        rules.set(character, value);
        changed.add(character);
      }
    };
    set(toBlank, " ");
    set(toNothing, "");
    rules.delete("\uff5e");
    rules = yield* withoutRedundant(rules, changed);
  }
  if (name.endsWith("_cf")) rules = yield* withoutRedundant(yield* folded(rules, unicode));
  return rules;
}

function codePoints(list: string): Set<number> {
  const all = new Set<number>();
  for (const part of list.split(" ")) {
    const [from = 0, to = from] = part.split("-").map((digits) => parseInt(digits, 16));
    for (let cp = from; cp <= to; cp++) all.add(cp);
  }
  return all;
}

function isCharacter(cp: number): boolean {
  return !(cp >= 0xd800 && cp <= 0xdfff) && !(cp >= 0xfdd0 && cp <= 0xfdef) && (cp & 0xfffe) !== 0xfffe;
}

function isOneCodePoint(text: string): boolean {
  return text.length === 1 || (text.length === 2 && (text.codePointAt(0) as number) > 0xffff);
}

/** Every character with another NFKC form, and every sequence whose characters compose or stand for such ones. */
function* nfkcRules(unicode: TableUnicode): Generator<void, Rules> {
  const rules: Rules = new Map();
  const sources = new Map<string, string[]>(); // besides the character itself
  const decompositions = new Set<string>();
  const added = new Map(unicode === 17 ? new17 : []);
  const skipped = unicode === 17 ? new Set(added.keys()) : codePoints(laterThan13);
  for (const cp of [...decomposing(skipped), ...added.keys()].sort((a, b) => a - b)) {
    const character = String.fromCodePoint(cp);
    const known = String.fromCodePoint(added.get(cp) ?? cp);
    const decomposed = known.normalize("NFKD");
    const composed = known.normalize("NFKC");
    if (composed !== character) rules.set(character, composed);
    if (isOneCodePoint(decomposed)) {
      const others = sources.get(decomposed);
      if (others === undefined) sources.set(decomposed, [character]);
      else others.push(character);
    } else {
      decompositions.add(decomposed);
    }
  }
  yield;
  let count = 0;
  for (const decomposed of decompositions) {
    if ((++count & 0x7ff) === 0) yield;
    const composed = decomposed.normalize("NFKC");
    if (composed === decomposed) continue;
    let spellings = [""];
    for (const element of decomposed) {
      const others = sources.get(element);
      if (others === undefined) spellings = spellings.map((start) => start + element);
      else {spellings = spellings.flatMap((start) => [
          start + element,
          ...others.map((other) => start + other),
        ]
        );}
    }
    for (const spelling of spellings) if (spelling !== composed) rules.set(spelling, composed);
  }
  return rules;
}

/** The characters that NFKD rewrites; whole blocks that it leaves alone are skipped at once. */
function decomposing(skipped: ReadonlySet<number>): number[] {
  const found: number[] = [];
  for (let block = 0; block <= 0x10ffff; block += 64) {
    let text = "";
    for (let cp = Math.max(1, block); cp < block + 64; cp++) {
      if (isCharacter(cp)) text += String.fromCodePoint(cp);
    }
    if (text.normalize("NFKD") === text) continue;
    for (let cp = Math.max(1, block); cp < block + 64; cp++) {
      if (!isCharacter(cp) || skipped.has(cp)) continue;
      const character = String.fromCodePoint(cp);
      if (character.normalize("NFKD") !== character) found.push(cp);
    }
  }
  return found;
}

/** Applies simple case folding to all values and adds the folds of characters without a rule. */
function* folded(rules: Rules, unicode: TableUnicode): Generator<void, Rules> {
  const out: Rules = new Map();
  const added = new Map(unicode === 17 ? folded17 : []);
  const skipped = unicode === 17 ? new Set<number>() : codePoints(foldedLater);
  const fold = (text: string): string => {
    let all = "";
    for (const character of text) all += foldCharacter(character);
    return all;
  };
  for (const [key, value] of rules) out.set(key, fold(value));
  yield;
  for (let cp = 1; cp <= 0x1ffff; cp++) { // no letters with case lie above
    if ((cp & 0x1fff) === 0) yield;
    if (!isCharacter(cp) || skipped.has(cp)) continue;
    const character = String.fromCodePoint(cp);
    if (rules.has(character)) continue;
    const later = added.get(cp);
    const lower = later === undefined ? foldCharacter(character) : String.fromCodePoint(later);
    if (lower !== character) out.set(character, lower);
  }
  return out;
}

function foldCharacter(character: string): string {
  const cp = character.codePointAt(0) as number;
  if (cp === 0x131 || (cp >= 0x13a0 && cp <= 0x13f5)) return character;
  if (cp >= 0x13f8 && cp <= 0x13fd) return String.fromCodePoint(cp - 8);
  if (cp >= 0xab70 && cp <= 0xabbf) return String.fromCodePoint(cp - 0xab70 + 0x13a0);
  const upper = character.toUpperCase();
  const lower = (isOneCodePoint(upper) ? upper : character).toLowerCase();
  return isOneCodePoint(lower) ? lower : character;
}

/**
 * Drops every rule that the shorter ones already imply.
 *
 * @param changed When given, the single characters whose rules changed since the last call: only keys with one of them
 * are looked at again.
 */
function* withoutRedundant(rules: Rules, changed?: ReadonlySet<string>): Generator<void, Rules> {
  const byLength: [string, string][][] = [];
  for (const rule of rules) {
    const length = characterCount(rule[0]);
    (byLength[length] ??= []).push(rule);
  }
  const kept: Rules = new Map(byLength[1]);
  let count = 0;
  for (let length = 2; length < byLength.length; length++) {
    for (const [key, value] of byLength[length] ?? []) {
      if ((++count & 0x3fff) === 0) yield;
      const touched = changed === undefined || Array.from(key).some((character) => changed.has(character));
      if (!touched || rewrite(key, kept, length - 1) !== value) kept.set(key, value);
    }
  }
  return kept;
}

function characterCount(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xd800) count--;
  return count;
}

/** Longest match first, with keys of at most `longest` characters. */
function rewrite(text: string, rules: Rules, longest: number): string {
  const ends: number[] = [0]; // ends[k]: where the first k characters end
  for (let at = 0; at < text.length;) {
    at += (text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
    ends.push(at);
  }
  const count = ends.length - 1;
  let out = "";
  for (let at = 0; at < count;) {
    let taken = 1;
    let value: string | undefined;
    for (let length = Math.min(longest, count - at); length > 0; length--) {
      value = rules.get(text.substring(ends[at] as number, ends[at + length] as number));
      if (value !== undefined) {
        taken = length;
        break;
      }
    }
    out += value ?? text.substring(ends[at] as number, ends[at + 1] as number);
    at += taken;
  }
  return out;
}
