/**
 * A document becoming pairs of segments: its sentences on the left, what the model gets on the right, and between them bands
 * that cross where the order was changed.
 */
import { type Showable, svgPicture } from "./bundle.ts";
import { clip, columns, FAINT, MONO, monoWidth, rectAt, RULE, SOFT, svgFrame, textAt } from "./svg.ts";

const ROW = 20;
const MARGIN = 12;
const SIZE = 11;
const BOX = 222;
const BRIDGE = 70;
const GAP = 12;

/**
 * One pair of segments: sentences `from` to `split - 1` and `split` to `to - 1` of the document.
 *
 * @example
 * ```ts
 * import { type SegmentChunk, segmentsPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chunk: SegmentChunk = { from: 0, split: 1, to: 2, pair: "swapped", pieces: [4, 3] };
 * const text = String(segmentsPicture(["One.", "Two."], [chunk]).bundle["text/plain"]);
 * assert.equal(text, "A: 2 (4 pieces)  B: 1 (3 pieces)  label 1: swapped");
 * ```
 */
export type SegmentChunk = {
  /** First sentence, counted from 0. */
  readonly from: number;
  /** First sentence of the second part. */
  readonly split: number;
  /** Sentence behind the last; with `pair` "random" it is `split`, since B is of another document. */
  readonly to: number;
  /** Whether the parts stay in order, change places, or the second is of another document. */
  readonly pair: "next" | "swapped" | "random";
  /** Pieces of segment A and B as the model gets them; default not written. */
  readonly pieces?: readonly [number, number];
};

const LABELS = { next: "label 0: in order", swapped: "label 1: swapped", random: "label 1: random" } as const;

/** Sentences of a part in words: `3`, `3-5`. */
const range = (from: number, to: number): string => to - from === 1 ? `${from + 1}` : `${from + 1}-${to}`;

/** The parts that become A and B, as ranges of sentences; B is undefined when it is of another document. */
function partsOf({ from, split, to, pair }: SegmentChunk): { a: [number, number]; b?: [number, number] } {
  if (pair === "random") return { a: [from, split] };
  return pair === "next" ? { a: [from, split], b: [split, to] } : { a: [split, to], b: [from, split] };
}

/** A band from rows on the left to a box on the right. */
function band(
  x: number,
  [top, bottom]: [number, number],
  [boxTop, boxBottom]: [number, number],
  fill: string,
) {
  const [middle, end] = [x + BRIDGE / 2, x + BRIDGE];
  const path = `M${x} ${top}C${middle} ${top} ${middle} ${boxTop} ${end} ${boxTop}V${boxBottom}` +
    `C${middle} ${boxBottom} ${middle} ${bottom} ${x} ${bottom}Z`;
  return `<path d="${path}" fill="${fill}" fill-opacity="0.6"/>`;
}

/** Draws one pair with its rows; the rows begin at `top`. */
function drawChunk(
  sentences: readonly string[],
  chunk: SegmentChunk,
  { top, textWidth, limit }: { readonly top: number; readonly textWidth: number; readonly limit: number },
): { content: string[]; height: number } {
  const { a, b } = partsOf(chunk);
  const rowAt = (sentence: number): number => top + (sentence - chunk.from) * ROW;
  const end = b === undefined ? a[1] : chunk.to;
  const content: string[] = [];
  const rightOf = MARGIN + textWidth;
  let boxTop = top;
  ([["A", a], ["B", b]] as const).forEach(([name, part], i) => {
    const fill = SOFT[i] ?? "";
    const rows = part === undefined ? 1 : part[1] - part[0];
    const boxBottom = boxTop + rows * ROW - 2;
    const pieces = chunk.pieces === undefined ? "" : `, ${chunk.pieces[i]} pieces`;
    const what = part === undefined ? "another document" : `sentence${rows > 1 ? "s" : ""} ${range(...part)}`;
    if (part !== undefined) {
      for (let sentence = part[0]; sentence < part[1]; sentence++) {
        const y = rowAt(sentence);
        content.push(rectAt(MARGIN, y, textWidth, ROW - 2, fill));
        content.push(
          textAt(MARGIN + 26, y + 13, String(sentence + 1), { size: SIZE, anchor: "end", fill: FAINT }),
        );
        content.push(textAt(MARGIN + 34, y + 13, clip(sentences[sentence] ?? "", limit), { size: SIZE }));
      }
      content.push(band(rightOf, [rowAt(part[0]), rowAt(part[1]) - 2], [boxTop, boxBottom], fill));
    }
    const border = part === undefined ? `stroke="${FAINT}" stroke-dasharray="3 2"` : "";
    const x = rightOf + BRIDGE;
    content.push(rectAt(x, boxTop, BOX, boxBottom - boxTop, fill, border));
    content.push(textAt(x + 8, (boxTop + boxBottom) / 2 + 4, name, { size: 13, bold: true }));
    content.push(textAt(x + 26, (boxTop + boxBottom) / 2 + 4, what + pieces, { size: SIZE }));
    boxTop = boxBottom + 2;
  });
  const bottom = Math.max(rowAt(end), boxTop);
  const x = rightOf + BRIDGE + BOX + 10;
  content.push(
    textAt(x, (top + bottom) / 2 + 3, LABELS[chunk.pair], { size: 12, bold: chunk.pair !== "next" }),
  );
  return { content, height: bottom - top };
}

/**
 * Draws how a document becomes pairs of segments.
 *
 * @param sentences The sentences of the document.
 * @param chunks The pairs in the order of the document; sentences of none are left out.
 * @param options See the fields.
 * @param options.title Line above the picture; default none.
 * @param options.columns Characters of a sentence that are shown; default 46.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { segmentsPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const picture = segmentsPicture(["It rains.", "We stay.", "The end."], [
 *   { from: 0, split: 1, to: 2, pair: "next" },
 *   { from: 2, split: 3, to: 3, pair: "random" },
 * ]);
 * assert.equal(
 *   picture.bundle["text/plain"],
 *   "A: 1  B: 2  label 0: in order\nA: 3  B: another document  label 1: random",
 * );
 * ```
 */
export function segmentsPicture(
  sentences: readonly string[],
  chunks: readonly SegmentChunk[],
  { title, columns: limit = 46 }: { readonly title?: string; readonly columns?: number } = {},
): Showable {
  const longest = Math.max(8, ...sentences.map((sentence) => Math.min(limit, columns(sentence))));
  const textWidth = Math.ceil(42 + longest * SIZE * 0.6);
  let top = MARGIN + (title === undefined ? 0 : 24);
  const content = title === undefined ? [] : [textAt(MARGIN, MARGIN + 13, title, { size: 13, bold: true })];
  const width = 2 * MARGIN + textWidth + BRIDGE + BOX + 14 + monoWidth(LABELS.next, 12);
  chunks.forEach((chunk, i) => {
    if (i > 0) {
      content.push(rectAt(MARGIN, top + GAP / 2 - 1, width - 2 * MARGIN, 1, RULE));
      top += GAP;
    }
    const drawn = drawChunk(sentences, chunk, { top, textWidth, limit });
    content.push(...drawn.content);
    top += drawn.height;
  });
  const text = chunks.map((chunk) => {
    const { a, b } = partsOf(chunk);
    const pieces = (i: 0 | 1): string => chunk.pieces === undefined ? "" : ` (${chunk.pieces[i]} pieces)`;
    return `A: ${range(...a)}${pieces(0)}  B: ${b === undefined ? "another document" : range(...b)}${
      pieces(1)
    }  ${LABELS[chunk.pair]}`;
  });
  const lines = [...(title === undefined ? [] : [title]), ...text].join("\n");
  return svgPicture(
    svgFrame(
      Math.max(width, monoWidth(title ?? "", 13) + 2 * MARGIN),
      top + MARGIN,
      title ?? "pairs of segments",
      content,
      MONO,
    ),
    lines,
  );
}
