/**
 * The choice of n-grams, draw by draw: the words of a sequence in a row, below them a line for each word that was visited,
 * with what was drawn and what came of it.
 */
import { type Showable, svgPicture } from "./bundle.ts";
import { clip, FAINT, MONO, monoWidth, rectAt, SOFT, svgFrame, textAt } from "./svg.ts";

const SIZE = 11;
const MARGIN = 12;
const ROW = 19;
const HEAD = 26;
const WORD = 14;

/**
 * One visited word.
 *
 * @example
 * ```ts
 * import { type NgramVisit, ngramsPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const visit: NgramVisit = { word: 1, drawn: 3, taken: 2, why: "the budget allows 2" };
 * const { bundle } = ngramsPicture(["▁a", "▁b", "▁c", "▁d"], [visit]);
 * assert.equal(bundle["text/plain"], "▁a ▁b ▁c ▁d\n1. draws 3: ▁b ▁c (the budget allows 2)");
 * ```
 */
export type NgramVisit = {
  /** Index of the word at which the n-gram begins. */
  readonly word: number;
  /** Words that were drawn. */
  readonly drawn: number;
  /** How likely that was, in words: `3/11`; default not written. */
  readonly chance?: string;
  /** Words that are predicted because of it; 0 when nothing is. */
  readonly taken: number;
  /** A remark, such as why nothing is taken; default none. */
  readonly why?: string;
};

/**
 * Draws which n-grams were chosen.
 *
 * @param words The words of a sequence, left to right.
 * @param visits What was drawn, in order.
 * @param options `title`: line above the picture; default none.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { ngramsPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { bundle } = ngramsPicture(["▁so", "▁it", "▁was"], [
 *   { word: 1, drawn: 2, taken: 2 },
 *   { word: 0, drawn: 2, taken: 0, why: "▁it is taken" },
 * ]);
 * assert.match(String(bundle["text/plain"]), /1\. draws 2: ▁it ▁was\n2\. draws 2: nothing \(▁it is taken\)/);
 * ```
 */
export function ngramsPicture(
  words: readonly string[],
  visits: readonly NgramVisit[],
  { title }: { readonly title?: string } = {},
): Showable {
  const widths = words.map((word) => monoWidth(clip(word, WORD), SIZE) + 10);
  const starts = widths.map((_, i) => widths.slice(0, i).reduce((sum, width) => sum + width + 3, 0));
  const endOf = (i: number): number => (starts[i] ?? 0) + (widths[i] ?? 0);
  const named = visits.map(({ drawn, chance }, i) =>
    `${i + 1}. draws ${drawn}${chance === undefined ? "" : ` (${chance})`}`
  );
  const left = MARGIN + Math.max(0, ...named.map((name) => monoWidth(name, SIZE))) + 12;
  const top = MARGIN + (title === undefined ? 0 : 24);
  const content = title === undefined ? [] : [textAt(MARGIN, MARGIN + 13, title, { size: 13, bold: true })];
  const hit = new Set(visits.flatMap(({ word, taken }) => Array.from({ length: taken }, (_, i) => word + i)));
  words.forEach((word, i) => {
    const [x, width] = [left + (starts[i] ?? 0), widths[i] ?? 0];
    const border = hit.has(i) ? 'stroke="#b3261e" stroke-width="2"' : "";
    content.push(rectAt(x, top, width, ROW, hit.has(i) ? SOFT[6] ?? "" : SOFT[0] ?? "", border));
    content.push(textAt(x + width / 2, top + 13, clip(word, WORD), { size: SIZE, anchor: "middle" }));
  });
  let right = left + endOf(words.length - 1);
  visits.forEach(({ word, drawn, taken, why }, i) => {
    const y = top + HEAD + i * ROW;
    const last = Math.min(words.length, word + drawn) - 1;
    const x = left + (starts[word] ?? 0);
    content.push(textAt(MARGIN, y + 12, named[i] ?? "", { size: SIZE, fill: taken > 0 ? "#b3261e" : FAINT }));
    content.push(
      rectAt(
        x,
        y + 2,
        endOf(last) - (starts[word] ?? 0),
        ROW - 5,
        "#ffffff",
        `stroke="${FAINT}" stroke-dasharray="3 2"`,
      ),
    );
    if (taken > 0) {
      content.push(
        rectAt(
          x,
          y + 2,
          endOf(Math.min(words.length, word + taken) - 1) - (starts[word] ?? 0),
          ROW - 5,
          "#b3261e",
        ),
      );
    }
    if (why === undefined) return;
    const [after, before] = [left + endOf(last) + 6, x - 6];
    const fits = before - monoWidth(why, 10) < left; // a remark stands right of its bar where the left has no room
    right = Math.max(right, fits ? after + monoWidth(why, 10) : 0);
    const style = { size: 10, fill: FAINT } as const;
    content.push(
      fits ? textAt(after, y + 12, why, style) : textAt(before, y + 12, why, { ...style, anchor: "end" }),
    );
  });
  const text = visits.map(({ word, taken, why }, i) => {
    const what = taken === 0 ? "nothing" : words.slice(word, word + taken).join(" ");
    return `${named[i]}: ${what}${why === undefined ? "" : ` (${why})`}`;
  });
  const width = Math.max(right, monoWidth(title ?? "", 13) + MARGIN) + MARGIN;
  return svgPicture(
    svgFrame(
      width,
      top + HEAD + visits.length * ROW + MARGIN - 4,
      title ?? "n-grams over words",
      content,
      MONO,
    ),
    [...(title === undefined ? [] : [title]), words.join(" "), ...text].join("\n"),
  );
}
