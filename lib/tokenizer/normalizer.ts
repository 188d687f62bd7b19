/**
 * SentencePiece's normalizer: rewrites a text by the charsmap, drops extra blanks and marks blanks with U+2581. Works on
 * code points instead of bytes; the results are the same. A lone surrogate stands for an invalid byte and becomes U+FFFD.
 */
import type { Charsmap } from "./charsmap.ts";
import { dartsStep, dartsValue } from "./darts.ts";
import { validLength } from "./utf8.ts";

/** The blank mark, `▁`. */
export const blankMark = 0x2581;

/** How a normalizer behaves; the names are those of NormalizerSpec. */
export type NormalizerOptions = {
  /** Rewriting rules; none for `identity`. */
  readonly charsmap?: Charsmap | undefined;
  /** Whether every text starts with a blank. */
  readonly addDummyPrefix: boolean;
  /** Whether blanks at both ends go and runs of blanks become one. */
  readonly removeExtraWhitespaces: boolean;
  /** Whether blanks become U+2581. */
  readonly escapeWhitespaces: boolean;
  /** Whether the dummy blank goes to the end. */
  readonly treatWhitespaceAsSuffix: boolean;
  /** Symbols that are copied as they are; only when encoding. */
  readonly userDefinedSymbols?: readonly string[];
};

/** A normalizer with its result buffers, which the next `run` overwrites. */
export type Normalizer = {
  /** Normalizes a text and returns the number of code points written to `codePoints`. */
  readonly run: (text: string) => number;
  /** Result of the last run; valid up to the returned count. */
  readonly codePoints: () => Int32Array;
  /** UTF-16 offset in the text where each result code point comes from; one more entry than the count: the end. */
  readonly starts: () => Int32Array;
  /** Whether no rule and no symbol that begins in the text, or with a blank, can reach over a blank behind it. */
  readonly standsAlone: (text: string) => boolean;
};

/** Makes a normalizer. */
export function makeNormalizer(options: NormalizerOptions): Normalizer {
  const { addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces, treatWhitespaceAsSuffix } = options;
  const matcher = makeMatcher(options);
  const { plain, symbolAt, match } = matcher;
  const output = makeOutput(matcher, escapeWhitespaces ? blankMark : 0x20, removeExtraWhitespaces);
  const run = (text: string): number => {
    const length = text.length;
    let at = removeExtraWhitespaces ? leadingBlanks(text, matcher) : 0;
    output.begin(at, length);
    if (at >= length) return 0;
    if (addDummyPrefix && !treatWhitespaceAsSuffix) output.putMark(at);
    while (at < length) {
      const c = text.charCodeAt(at);
      if (c < 0x80 && plain[c] === 1 && (at + 1 === length || text.charCodeAt(at + 1) < 0x80)) {
        const taken = symbolAt(c, text, at);
        if (taken <= 1) output.putPlain(c, at);
        else output.putRange(text, at, taken);
        at += taken || 1;
        continue;
      }
      match(text, at);
      output.putMatch(text, at);
      at += matcher.taken();
    }
    const end = removeExtraWhitespaces ? output.dropTrailingMarks(length) : length;
    if (addDummyPrefix && treatWhitespaceAsSuffix) output.putMark(end);
    return output.finish(end);
  };
  const { standsAlone } = matcher;
  return { run, codePoints: output.codePoints, starts: output.starts, standsAlone };
}

/** Finds what stands at a place of a text; the answers are those of the last `match`. */
type Matcher = {
  readonly match: (text: string, at: number) => void;
  /** How many UTF-16 units it takes. */
  readonly taken: () => number;
  /** Where its replacement begins; -1 when no rule applies. */
  readonly rule: () => number;
  readonly replacements: Uint8Array;
  /** ASCII characters that no rule touches before another one or the end. */
  readonly plain: Uint8Array;
  /** How many UTF-16 units the user-defined symbol has that starts with a code point at a place; 0: none starts there. */
  readonly symbolAt: (first: number, text: string, at: number) => number;
  readonly standsAlone: Normalizer["standsAlone"];
};

function makeMatcher({ charsmap, userDefinedSymbols = [] }: NormalizerOptions): Matcher {
  const units = charsmap?.units;
  const symbols = symbolTable(userDefinedSymbols);
  const firstStep = units === undefined ? undefined : rememberedFirstStep(units);
  const plain = plainAscii(units);
  const blankLeads = units !== undefined && dartsStep(units, 0, 0x20) >= 0;
  const symbolsReach = userDefinedSymbols.some((symbol) => symbol.includes(" "));
  let taken = 0;
  let rule = -1;
  const ascii = Array.from({ length: 128 }, (_, first) => symbols.get(first));
  const symbolAt = (first: number, text: string, at: number): number => {
    const some = first < 128 ? ascii[first] : symbols.size === 0 ? undefined : symbols.get(first);
    if (some === undefined) return 0;
    for (const symbol of some) if (text.startsWith(symbol, at)) return symbol.length;
    return 0;
  };
  const match = (text: string, at: number): void => {
    rule = -1;
    const first = text.codePointAt(at) as number;
    taken = symbolAt(first, text, at);
    if (taken > 0) return;
    taken = first > 0xffff ? 2 : 1;
    if (units === undefined || firstStep === undefined || (first >= 0xd800 && first <= 0xdfff)) return;
    let end = at + taken;
    let node = firstStep(first);
    while (node >= 0) {
      const value = dartsValue(units, node);
      if (value >= 0) {
        rule = value;
        taken = end - at;
      }
      if (end >= text.length) return;
      const next = text.codePointAt(end) as number;
      if (next >= 0xd800 && next <= 0xdfff) return;
      end += next > 0xffff ? 2 : 1;
      node = stepCodePoint(units, node, next);
    }
  };
  return {
    match,
    taken: () => taken,
    rule: () => rule,
    replacements: charsmap?.replacements ?? new Uint8Array(0),
    plain,
    symbolAt,
    standsAlone: (text) =>
      !symbolsReach && !blankLeads && (units === undefined || isPlain(text, plain) || rulesStay(units, text)),
  };
}

/** Whether all are ASCII characters that no rule touches in front of another one. */
function isPlain(text: string, plain: Uint8Array): boolean {
  for (let at = 0; at < text.length; at++) if (plain[text.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Whether no rule that begins in the text goes on with a blank behind it. */
function rulesStay(units: Uint32Array, text: string): boolean {
  const codePoints = Array.from(text, (character) => character.codePointAt(0) as number);
  for (let start = 0; start < codePoints.length; start++) {
    let node = 0;
    for (let at = start; at < codePoints.length && node >= 0; at++) {
      node = stepCodePoint(units, node, codePoints[at] as number);
    }
    if (node >= 0 && dartsStep(units, node, 0x20) >= 0) return false;
  }
  return true;
}

/** Units from the start that become one blank each. */
function leadingBlanks(text: string, { match, taken, rule, replacements }: Matcher): number {
  let at = 0;
  while (at < text.length) {
    match(text, at);
    const value = rule();
    const blank = value < 0
      ? taken() === 1 && text.charCodeAt(at) === 0x20
      : replacements[value] === 0x20 && replacements[value + 1] === 0;
    if (!blank) break;
    at += taken();
  }
  return at;
}

/** Where results go: code points and the places they come from; blanks behind a blank go when extra blanks do. */
type Output = Pick<Normalizer, "codePoints" | "starts"> & {
  readonly begin: (at: number, length: number) => void;
  readonly putMark: (from: number) => void;
  /** Takes an ASCII character that no rule touches. */
  readonly putPlain: (c: number, from: number) => void;
  /** Takes so many UTF-16 units as they are. */
  readonly putRange: (text: string, at: number, units: number) => void;
  /** Takes what the matcher found last. */
  readonly putMatch: (text: string, at: number) => void;
  /** Gives the place where the text ends then. */
  readonly dropTrailingMarks: (length: number) => number;
  readonly finish: (end: number) => number;
};

function makeOutput({ taken, rule, replacements }: Matcher, mark: number, squeeze: boolean): Output {
  let out: Int32Array = new Int32Array(256);
  let starts: Int32Array = new Int32Array(257);
  let count = 0;
  let afterBlank = false;
  const put = (cp: number, from: number): void => {
    if (count >= out.length) {
      out = enlarge(out);
      starts = enlarge(starts);
    }
    starts[count] = from;
    out[count++] = cp;
  };
  const putRange = (text: string, at: number, units: number): void => {
    let stripping = afterBlank;
    for (let i = at; i < at + units; i++) {
      const cp = text.codePointAt(i) as number;
      if (cp > 0xffff) i++;
      if (stripping && cp === 0x20) continue;
      stripping = false;
      afterBlank = squeeze && cp === 0x20;
      put(cp === 0x20 ? mark : cp >= 0xd800 && cp <= 0xdfff ? 0xfffd : cp, at);
    }
  };
  const putMatch = (text: string, at: number): void => {
    const value = rule();
    if (value < 0) {
      putRange(text, at, taken());
      return;
    }
    let stripping = afterBlank;
    let blank = afterBlank;
    eachCodePoint(replacements, value, (cp) => {
      if (stripping && cp === 0x20) return;
      stripping = false;
      blank = cp === 0x20;
      put(blank ? mark : cp, at);
    });
    afterBlank = squeeze && blank;
  };
  return {
    codePoints: () => out,
    starts: () => starts,
    begin: (at, length) => {
      count = 0;
      starts[0] = at;
      afterBlank = squeeze;
      if (at < length && out.length < length + 2) {
        out = new Int32Array(2 * length + 2);
        starts = new Int32Array(2 * length + 3);
      }
    },
    putMark: (from) => put(mark, from),
    putPlain: (c, from) => {
      if (c !== 0x20) {
        put(c, from);
        afterBlank = false;
      } else if (!afterBlank) {
        put(mark, from);
        afterBlank = squeeze;
      }
    },
    putRange,
    putMatch,
    dropTrailingMarks: (length) => {
      let end = length;
      while (count > 0 && out[count - 1] === mark) end = starts[--count] as number;
      return end;
    },
    finish: (end) => {
      if (count >= starts.length) starts = enlarge(starts);
      starts[count] = end;
      return count;
    },
  };
}

/** Decodes the UTF-8 that ends at the next NUL; in a damaged table bad bytes become U+FFFD, and the end ends it too. */
function eachCodePoint(bytes: Uint8Array, from: number, visit: (cp: number) => void): void {
  for (let i = from; i < bytes.length && bytes[i] !== 0;) {
    const byte = bytes[i] as number;
    const length = validLength(bytes, i);
    let cp = length === 0 ? 0xfffd : length === 1 ? byte : byte & (0x7f >> length);
    for (let k = 1; k < length; k++) cp = (cp << 6) | ((bytes[i + k] as number) & 0x3f);
    visit(cp);
    i += Math.max(1, length);
  }
}

function enlarge(array: Int32Array): Int32Array {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}

/** The node reached from `node` by a whole code point, or -1. */
export function stepCodePoint(units: Uint32Array, node: number, cp: number): number {
  if (cp < 0x80) return dartsStep(units, node, cp);
  if (cp < 0x800) node = dartsStep(units, node, 0xc0 | cp >> 6);
  else {
    if (cp < 0x10000) node = dartsStep(units, node, 0xe0 | cp >> 12);
    else {
      node = dartsStep(units, node, 0xf0 | cp >> 18);
      if (node >= 0) node = dartsStep(units, node, 0x80 | cp >> 12 & 63);
    }
    if (node >= 0) node = dartsStep(units, node, 0x80 | cp >> 6 & 63);
  }
  return node < 0 ? -1 : dartsStep(units, node, 0x80 | cp & 63);
}

/** The node of a text's first code point, remembered for the basic plane. */
function rememberedFirstStep(units: Uint32Array): (cp: number) => number {
  const known = new Int32Array(0x10000); // 0: not asked yet
  return (cp) => {
    if (cp > 0xffff) return stepCodePoint(units, 0, cp);
    const found = known[cp] as number;
    return found !== 0 ? found : known[cp] = stepCodePoint(units, 0, cp);
  };
}

/** First code point -> symbols that start with it, longest first. */
function symbolTable(symbols: readonly string[]): Map<number, string[]> {
  const table = new Map<number, string[]>();
  for (const symbol of symbols) {
    const first = symbol.codePointAt(0);
    if (first === undefined) continue;
    const list = table.get(first);
    if (list === undefined) table.set(first, [symbol]);
    else list.push(symbol);
  }
  for (const list of table.values()) list.sort((a, b) => b.length - a.length);
  return table;
}

/** ASCII characters that stay as they are whenever another one or the end follows. */
function plainAscii(units: Uint32Array | undefined): Uint8Array {
  const plain = new Uint8Array(128);
  for (let c = 0; c < 128; c++) {
    const node = units === undefined ? -1 : dartsStep(units, 0, c);
    if (node >= 0 && units !== undefined) {
      if (dartsValue(units, node) >= 0) continue;
      let continues = false;
      for (let d = 0; d < 128 && !continues; d++) continues = dartsStep(units, node, d) >= 0;
      if (continues) continue;
    }
    plain[c] = 1;
  }
  return plain;
}
