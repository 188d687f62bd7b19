/**
 * Sentence splitters by name. A splitter sees one paragraph, so no sentence crosses a blank line or a document. What
 * leaves here is ready for a raw file: one line each, single spaces, never longer than SentencePiece reads.
 */
import { Buffer } from "node:buffer";
import { isClean } from "./cleaning.ts";
import { punktSplitter } from "./punkt.ts";
import type { PunktModel } from "./punkt_train.ts";

/** SentencePiece drops longer training lines (`--max_sentence_length`, default 4192 bytes). */
const MAX_SENTENCE_BYTES = 4192;

/**
 * Names of the splitters: `punkt` (abbreviations learned and listed), `intl` (`Intl.Segmenter`, any language), `clause`
 * (after `. ! ? ; :` and a space), `line` (a line is a sentence).
 *
 * @example
 * ```ts
 * import { sentenceSplitter, type SplitterName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const names: SplitterName[] = ["punkt", "intl", "clause", "line"];
 * assert.deepEqual(names.map((name) => sentenceSplitter(name)("Go. I stay: here.").length), [2, 2, 3, 1]);
 * ```
 */
export type SplitterName = "punkt" | "intl" | "clause" | "line";

/**
 * How paragraphs are split.
 *
 * @example
 * ```ts
 * import type { SplitterOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: SplitterOptions = { language: "de", maxSentenceBytes: 1000 };
 * assert.equal(options.language, "de");
 * ```
 */
export type SplitterOptions = {
  /** BCP 47 tag, for `punkt` and `intl`; default `"en"`. Hand-made lists exist for `en` and `de`. */
  readonly language?: string;
  /** Trained tables for `punkt`; without them the lists of the language work alone. */
  readonly model?: PunktModel;
  /** `punkt` and `intl`: no sentence starts with a lower-case letter; default `true`. */
  readonly lowerCaseMerge?: boolean;
  /** Longer sentences are cut at a space, in UTF-8 bytes; default 4192, SentencePiece's limit. */
  readonly maxSentenceBytes?: number;
};

/**
 * Makes a sentence splitter.
 *
 * @param name Which one.
 * @param options Language, trained tables, limits.
 * @returns A function from one paragraph to its sentences: no line breaks, no control characters, single spaces.
 * @throws {RangeError} When the name is unknown or the limit is below 16 bytes.
 * @example
 * ```ts
 * import { sentenceSplitter } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const split = sentenceSplitter("punkt", { language: "en" });
 * assert.deepEqual(split("Mr. Hall left at 5 p.m. It was late."), ["Mr. Hall left at 5 p.m.", "It was late."]);
 * ```
 */
export function sentenceSplitter(
  name: SplitterName,
  options: SplitterOptions = {},
): (paragraph: string) => string[] {
  return cleanSplitter(name, options, { tidy: clean });
}

/** The splitter of paragraphs that are clean already: it leaves inner white space alone and counts what it cuts. */
export function cleanSplitter(
  name: SplitterName,
  { language = "en", model, lowerCaseMerge = true, maxSentenceBytes = MAX_SENTENCE_BYTES }: SplitterOptions,
  { tidy = (piece) => piece.trim(), onCut }: {
    /** Applied to each sentence. */
    readonly tidy?: (piece: string) => string;
    /** Called for each sentence that is longer than `maxSentenceBytes`. */
    readonly onCut?: () => void;
  } = {},
): (paragraph: string) => string[] {
  if (!(maxSentenceBytes >= 16)) {
    throw new RangeError(
      `Cannot split sentences: max_sentence_bytes is ${maxSentenceBytes}, it must be at least 16`,
    );
  }
  const cut = cutter(name, language, model);
  const merges = lowerCaseMerge && (name === "punkt" || name === "intl");
  return (paragraph) => {
    const pieces = cut(paragraph).map(tidy).filter((piece) => piece !== "");
    return (merges ? mergeLowerCase(pieces) : pieces).flatMap((sentence) => {
      const parts = limit(sentence, maxSentenceBytes);
      if (parts.length > 1) onCut?.();
      return parts;
    });
  };
}

function cutter(
  name: SplitterName,
  language: string,
  model: PunktModel | undefined,
): (text: string) => string[] {
  switch (name) {
    case "punkt":
      return punktSplitter(language, model);
    case "intl":
      return intlSplitter(language);
    case "clause":
      return (text) => text.split(/(?<=[.!?;:])\s+/);
    case "line":
      return (text) => text.split(/\r\n?|\n/);
    default:
      throw new RangeError(
        `Cannot split sentences: there is no splitter ${
          JSON.stringify(name)
        }; choose punkt, intl, clause or line`,
      );
  }
}

function intlSplitter(language: string): (text: string) => string[] {
  const segmenter = new Intl.Segmenter(language, { granularity: "sentence" });
  return (text) => Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Every run of space, line break or control character becomes one space. */
function clean(text: string): string {
  if (isClean(text)) return text.trim();
  // deno-lint-ignore no-control-regex -- control characters are what it removes
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/gu, " ").trim();
}

const BEGINS_SMALL = /^["'“„‚‘«»‹›([]*\p{Ll}/u;
/** List marks ("b)", "b. ") and names with an inner capital ("eBay") begin sentences although they are small. */
const BEGINS_ANEW = /^(?:[a-h](?:\)|\.\s)|\p{Ll}{1,2}\p{Lu})/u;

function mergeLowerCase(pieces: readonly string[]): string[] {
  const merged: string[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    const goesOn = BEGINS_SMALL.test(piece) && !BEGINS_ANEW.test(piece) || !/[\p{L}\p{N}]/u.test(piece); // a lone "."
    if (last !== undefined && goesOn) merged[merged.length - 1] = `${last} ${piece}`;
    else merged.push(piece);
  }
  return merged;
}

/** Cuts at the last space that fits; a longer word is cut between characters. */
function limit(sentence: string, maxBytes: number): string[] {
  if (sentence.length * 3 <= maxBytes || Buffer.byteLength(sentence) <= maxBytes) return [sentence];
  const parts: string[] = [];
  let part = "";
  let bytes = 0;
  for (const word of sentence.split(" ").flatMap((long) => chop(long, maxBytes))) {
    const size = Buffer.byteLength(word);
    if (part !== "" && bytes + 1 + size > maxBytes) {
      parts.push(part);
      part = "";
      bytes = 0;
    }
    bytes += size + (part === "" ? 0 : 1);
    part = part === "" ? word : `${part} ${word}`;
  }
  return [...parts, part];
}

function chop(word: string, maxBytes: number): string[] {
  if (Buffer.byteLength(word) <= maxBytes) return [word];
  const parts = [""];
  let bytes = 0;
  for (const character of word) {
    const size = Buffer.byteLength(character);
    if (bytes + size > maxBytes) {
      parts.push("");
      bytes = 0;
    }
    parts[parts.length - 1] += character;
    bytes += size;
  }
  return parts;
}
