/**
 * The text cleaning that ALBERT applies to every line before tokenizing: white space collapsed, accents removed,
 * lower case. Python and JavaScript differ on what a space is, and JavaScript has no combining classes, so both tables
 * are here. Source: `preprocess_text` of the reference; Unicode 14 for the classes.
 */

/** Python's `str.isspace`: like JavaScript's \s, plus U+001C-001F and U+0085, without U+FEFF. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** Code points with a canonical combining class other than 0: distance from the last range, "-", length less one; base 36. */
const COMBINING =
  "lc-26 2-v 7o-4 7e-18 2 2-1 2-1 2 21-a 1d-k h 2u-6 3-5 3-1 2-3 10 v-q 4h-8 a p-3 2-8 2-2 2-4 18-2 " +
  "1p-7 17-n 2-s 1p h 4-3 2w h 1d 1q h 33 h 33 h 3k 33 h 8-1 2u h 32-1 h 3h 32-2 e-3 31-2 e-3 25-1 s 2 " +
  "2 1k-1 2 6-3 3 2-2 2-1 1r 35 2-1 2b k0-2 qd-1 v 4e b 5o 40-2 64-1 20 l-7 3 1d-d 2-f 2u g 13-8 1j-1 " +
  "1n c-1 1w 49-2 2-c 2-6 5 7 4-1 5j-1r k1-c 5 4-b 2db-2 3y 2p-v ff-5 2y-1 n9x 5-9 x-1 29-1 7p 12 48 " +
  "s-h 1m-2 12 2o d 6o 2-2 3-1 6-1 2 1h 6v fn5 le-f r2 6b 46-4 1ar 2 15-2 5 4m-1 fy-3 as-1 4a-a 1e-3 5d " +
  "16 f 1m-1 1y-2 1d-1 1r 25 a 2z-1 4z-1 29-1 h p-6 4-4 5q 4 o 2s-1 70-1 3j 3b-1 38 7i-1 77-1 5 4d 2c j " +
  "2a bq 77 2-1 2a fa1-4 1o-6 xm-1 f59 43r-4 4-5 9-7 3-6 v-3 45-2 2po-6 2-g 3-6 2-1 2-4 7a-6 ag 1q-3 " +
  "15t-6 32-6";

/**
 * How a line is cleaned.
 *
 * @example
 * ```ts
 * import { preprocessText } from "albert-guide";
 * import type { PreprocessOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: PreprocessOptions = { lower: false };
 * assert.equal(preprocessText(" Ein  Bär ", options), "Ein Bar");
 * ```
 */
export type PreprocessOptions = {
  /** Lower-case the text (`do_lower_case`); default true. */
  readonly lower?: boolean;
  /** Keep accents, as `keep_accents` of Hugging Face's tokenizers; the reference's records never do. Default false. */
  readonly keepAccents?: boolean;
};

/**
 * Cleans one line as ALBERT does: collapse white space, NFKD, drop combining marks, lower-case.
 *
 * @param text One line, without its line end.
 * @param options Whether to lower-case, whether to keep accents.
 * @returns The cleaned line; empty when nothing is left. `ä` becomes `a`, `ß` stays, Indic vowel signs stay.
 * @example
 * ```ts
 * import { preprocessText } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(preprocessText("  Señor\tGröße "), "senor große");
 * ```
 */
export function preprocessText(
  text: string,
  { lower = true, keepAccents = false }: PreprocessOptions = {},
): string {
  const plain = keepAccents || IS_ASCII.test(text);
  let cleaned = collapseSpace(text);
  if (!plain) cleaned = cleaned.normalize("NFKD").replace(combiningMarks(), "");
  return lower ? cleaned.toLowerCase() : cleaned;
}

/**
 * Removes Python white space at both ends, as Python's `str.strip` does.
 *
 * @param text Any text.
 * @returns The text without white space at its ends.
 * @example
 * ```ts
 * import { pythonStrip } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(pythonStrip("\x1c a b\u0085"), "a b");
 * assert.equal(pythonStrip("\ufeffa"), "\ufeffa"); // no white space in Python
 * ```
 */
export function pythonStrip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && ONE_SPACE.test(text.charAt(start))) start++;
  while (end > start && ONE_SPACE.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

const IS_ASCII = /^[\0-\x7f]*$/;
const ONE_SPACE = new RegExp(`[${SPACE}]`);
const RUNS = new RegExp(`[${SPACE}]+`, "g");
const UNEVEN = new RegExp(`[${SPACE.replace("\\x20", "\\x1f")}]|  |^ | $`);

function collapseSpace(text: string): string {
  if (!UNEVEN.test(text)) return text;
  return pythonStrip(text.replace(RUNS, " ")); // runs first: linear also for a long run
}

let marks: RegExp | undefined;

/** The marks as a regular expression, built at first use. */
function combiningMarks(): RegExp {
  return marks ??= new RegExp(combiningMarkClass(), "gu");
}

/**
 * The characters that `preprocessText` removes as accents: those of a canonical combining class other than 0, as a class of a
 * regular expression. The characters stand in it as they are, so that other programs' expressions can take it too.
 *
 * @returns A character class, such as `[\u0300-\u034e…]` but with the characters themselves.
 * @example
 * ```ts
 * import { combiningMarkClass } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal("a\u0308".replace(new RegExp(combiningMarkClass(), "gu"), ""), "a");
 * assert.equal("\u0941".replace(new RegExp(combiningMarkClass(), "gu"), ""), "\u0941"); // an Indic vowel stays
 * ```
 */
export function combiningMarkClass(): string {
  const ranges: string[] = [];
  let last = 0;
  for (const entry of COMBINING.split(" ")) {
    const [gap = "", more = "0"] = entry.split("-");
    const first = last + parseInt(gap, 36);
    last = first + parseInt(more, 36);
    ranges.push(`${String.fromCodePoint(first)}-${String.fromCodePoint(last)}`);
  }
  return `[${ranges.join("")}]`;
}
