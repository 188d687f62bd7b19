/**
 * A labelled set that costs nothing: the names in a text, told by their capitals. The model reads lower-cased text, so the
 * capital that made the label is hidden from it, and it must know the word or what stands around it.
 */
import type { LabelledText } from "./labelled.ts";

/** Words that are always capitalised and no names, and those that are so frequent that they would be most of the set. */
const left: readonly string[] = ["I", "O", "God", "Lord", "LORD", "GOD"];

/** Letters with marks, apostrophes and hyphens inside, or one other character. */
const word = /[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*|\p{Nd}+|[^\s]/gu;

const isCapital = (token: string): boolean => /^\p{Lu}/u.test(token);

/** Whether a sentence begins at a word, so that its capital says nothing. */
const begins = (tokens: readonly string[], i: number): boolean =>
  i === 0 || /^[.?!:"“(]$/.test(tokens[i - 1] ?? "");

/**
 * Tags the names of sentences: `B-NAME` for a capitalised word inside a sentence, and at its beginning if the sentences
 * never write it in small letters; `O` for all others. Each word stands for itself, so `Simon Peter` are two names. A guess
 * and no gold standard: `Spirit` is a name too.
 *
 * @param sentences Sentences in their own case, at least a few hundred, so that the words at their beginnings are known.
 * @param options `leaveOut`: capitalised words that get `O`; default I, O, God and Lord.
 * @returns A tagged example for each sentence.
 * @example
 * ```ts
 * import { tagNames } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [first] = tagNames(["Moses went up.", "And the people saw Moses, and he came to Mount Sinai."]);
 * assert.deepEqual(first, { tokens: ["Moses", "went", "up", "."], tags: ["B-NAME", "O", "O", "O"] });
 * ```
 */
export function tagNames(
  sentences: readonly string[],
  { leaveOut = left }: { readonly leaveOut?: readonly string[] } = {},
): LabelledText[] {
  const rows = sentences.map((sentence) => sentence.match(word) ?? []).filter(({ length }) => length > 0);
  const small = new Set<string>();
  const inside = new Set<string>();
  for (const tokens of rows) {
    tokens.forEach((token, i) => {
      if (!isCapital(token)) small.add(token);
      else if (!begins(tokens, i)) inside.add(token);
    });
  }
  return rows.map((tokens) => {
    const isName = (token: string, i: number): boolean =>
      isCapital(token) && !leaveOut.includes(token) &&
      (!begins(tokens, i) || (inside.has(token) && !small.has(token.toLowerCase())));
    return { tokens, tags: tokens.map((token, i) => isName(token, i) ? "B-NAME" : "O") };
  });
}
