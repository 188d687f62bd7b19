/**
 * Cutting sentences at the `pretokenization_delimiter` before seeds are looked for (MakeSeedSentencePieces in
 * unigram_model_trainer.cc). 0.1.99 and 0.2.0 cut at every single byte of the delimiter, even inside a character, whose
 * other bytes become U+FFFD each; 0.2.2 cuts at the whole delimiter.
 */
import type { Symbols } from "./symbol_text.ts";

/** Writes a sentence with 0 for what is cut away to `text` from `at` on; returns the place behind it. */
export type Cut = (sentence: Symbols, length: number, text: Symbols, at: number) => number;

/** Whether the delimiter stands at a place. */
export function delimiterAt(text: Symbols, at: number, end: number, delimiter: readonly number[]): boolean {
  return at + delimiter.length <= end && delimiter.every((symbol, k) => text[at + k] === symbol);
}

/** Cuts at the whole delimiter, given in symbols; an empty one cuts nowhere. */
export function cutAtDelimiter(delimiter: readonly number[]): Cut {
  return (sentence, length, text, at) => {
    for (let from = 0; from < length;) {
      const cut = delimiter.length > 0 && delimiterAt(sentence, from, length, delimiter);
      text[at++] = cut ? 0 : sentence[from] as number;
      from += cut ? delimiter.length : 1;
    }
    return at;
  };
}

/** Cuts at every byte of the delimiter. */
export function cutAtBytes(delimiter: string, codePoints: Int32Array): Cut {
  const encoder = new TextEncoder();
  const cut = new Set(encoder.encode(delimiter));
  const replacement = codePoints.indexOf(0xfffd);
  // What each symbol becomes: itself, or for each of its bytes a cut or U+FFFD.
  const parts = Array.from(codePoints, (cp, symbol) => {
    const bytes = [...encoder.encode(String.fromCodePoint(cp))];
    return bytes.some((byte) => cut.has(byte))
      ? bytes.map((byte) => cut.has(byte) ? 0 : replacement)
      : [symbol];
  });
  return (sentence, length, text, at) => {
    for (let k = 0; k < length; k++) for (const part of parts[sentence[k] as number] ?? []) text[at++] = part;
    return at;
  };
}
