/**
 * Which strings may become a piece: length, place of the blank mark, one script, digits (trainer_interface.cc,
 * IsValidSentencePiece).
 */
import type { AlphabetText } from "./alphabet.ts";
import type { ResolvedOptions } from "./options.ts";
import { anyScript, inheritedScript, scriptLookup } from "./scripts.ts";
import type { Symbols } from "./symbol_text.ts";

/** Makes the test for slices of the text. */
export function validPieces(
  source: Pick<AlphabetText, "codePoints" | "rare">,
  flags: ResolvedOptions,
): (text: Symbols, start: number, length: number) => boolean {
  const { codePoints, rare } = source;
  const blank = codePoints.indexOf(0x2581);
  const script = scriptLookup();
  const scripts = Int32Array.from(codePoints, (cp) => script(cp));
  const digits = Uint8Array.from(
    codePoints,
    (cp) => (cp >= 0x30 && cp <= 0x39) || (cp >= 0xff10 && cp <= 0xff19) ? 1 : 0,
  );
  if (!flags.split_by_number) digits.forEach((digit, k) => digit === 1 ? scripts[k] = anyScript : 0);
  const { split_by_whitespace, treat_whitespace_as_suffix, allow_whitespace_only_pieces } = flags;
  const longest = flags.max_sentencepiece_length;
  const oneScript = flags.split_by_unicode_script;
  const singleDigits = flags.split_digits;
  /** Whether the blank mark may stand at place k of a piece with other characters. */
  const blankFits = (k: number, last: number): boolean => {
    if (treat_whitespace_as_suffix) return k === last || (!split_by_whitespace && k > 0);
    return k === 0 || (!split_by_whitespace && k < last);
  };
  return (text, start, length) => {
    if (length < 1 || length > longest) return false;
    let before = anyScript;
    let onlyBlanks = allow_whitespace_only_pieces;
    for (let k = 0; onlyBlanks && k < length; k++) onlyBlanks = text[start + k] === blank;
    if (onlyBlanks) return true;
    for (let k = 0; k < length; k++) {
      const symbol = text[start + k] as number;
      if (symbol === 0 || symbol === rare) return false;
      if (symbol === blank) {
        if (!blankFits(k, length - 1)) return false;
        continue;
      }
      let own = scripts[symbol] as number;
      if (own === inheritedScript) own = before;
      if (singleDigits && digits[symbol] === 1 && length > 1) return false;
      if (oneScript && own !== anyScript && before !== anyScript && own !== before) return false;
      before = own;
    }
    return true;
  };
}
