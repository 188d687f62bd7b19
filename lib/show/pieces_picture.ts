/**
 * Pictures of pieces: a sentence cut by the tokenizer, and one training instance with its segments and masks. Pure SVG, set
 * in a monospaced font, wrapped at a given width.
 */
import { type Showable, svgPicture } from "./bundle.ts";
import { clip, FAINT, INK, MONO, monoWidth, rectAt, SOFT, svgFrame, textAt } from "./svg.ts";

const SIZE = 14;
const PAD = 5;
const MARGIN = 12;
const LONGEST = 40;

/** One box of a wrapped row. */
type Box = { readonly x: number; readonly row: number; readonly width: number };

/** Lays boxes out in rows; `gaps[i]` is the room before box i. */
function wrap(
  widths: readonly number[],
  gaps: readonly number[],
  limit: number,
): { boxes: Box[]; rows: number } {
  const boxes: Box[] = [];
  let x = 0;
  let row = 0;
  widths.forEach((width, i) => {
    const gap = x === 0 ? 0 : gaps[i] ?? 0;
    if (x > 0 && x + gap + width > limit) {
      x = 0;
      row++;
    } else x += gap;
    boxes.push({ x, row, width });
    x += width;
  });
  return { boxes, rows: row + 1 };
}

/** Width the drawing needs: that of the widest row. */
function usedWidth(boxes: readonly Box[]): number {
  return boxes.reduce((widest, { x, width }) => Math.max(widest, x + width), 0);
}

/** What people see of a piece: spaces, tabs and line ends made visible. */
function visible(piece: string): string {
  return clip(piece.replace(/ /g, "␣").replace(/\t/g, "⇥").replace(/\n/g, "⏎") || "∅", LONGEST);
}

/**
 * Draws a sentence cut into pieces: alternating soft colours, `▁` visible, the ids below.
 *
 * @param pieces The pieces in order, alone or with their ids.
 * @param options See the fields.
 * @param options.ids Ids of the pieces where `pieces` has none; default none.
 * @param options.sentence The text above the pieces; default none.
 * @param options.width Width at which rows wrap, in pixels; default 720.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { piecesPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const picture = piecesPicture(["▁un", "believ", "able"], { ids: [542, 15234, 579], sentence: "unbelievable" });
 * assert.equal(picture.bundle["text/plain"], "unbelievable\n▁un(542) believ(15234) able(579)");
 * ```
 */
export function piecesPicture(
  pieces: readonly (string | { readonly piece: string; readonly id: number })[],
  { ids, sentence, width = 720 }: {
    readonly ids?: ArrayLike<number>;
    readonly sentence?: string;
    readonly width?: number;
  } = {},
): Showable {
  const items = pieces.map((item, i) =>
    typeof item === "string" ? { piece: item, id: ids?.[i] } : { piece: item.piece, id: item.id }
  );
  const hasIds = items.some(({ id }) => id !== undefined);
  const widths = items.map(({ piece, id }) =>
    2 * PAD + Math.max(monoWidth(visible(piece), SIZE), id === undefined ? 0 : monoWidth(String(id), 10))
  );
  const { boxes, rows } = wrap(widths, items.map(() => 2), width - 2 * MARGIN);
  const top = MARGIN + (sentence === undefined ? 0 : 24);
  const step = hasIds ? 44 : 30;
  const content: string[] = sentence === undefined ? [] : [
    textAt(MARGIN, MARGIN + 12, clip(sentence, Math.floor((width - 2 * MARGIN) / 8)), {
      size: 13,
      fill: FAINT,
    }),
  ];
  items.forEach(({ piece, id }, i) => {
    const box = boxes[i] ?? { x: 0, row: 0, width: 0 };
    const x = MARGIN + box.x;
    const y = top + box.row * step;
    content.push(rectAt(x, y, box.width, 24, SOFT[i % 4] ?? SOFT[0] ?? "", 'rx="3"'));
    const middle = x + box.width / 2;
    content.push(textAt(middle, y + 17, visible(piece), { size: SIZE, anchor: "middle" }));
    if (id !== undefined) {
      content.push(textAt(middle, y + 35, String(id), { size: 10, anchor: "middle", fill: FAINT }));
    }
  });
  const words = items.map(({ piece, id }) => id === undefined ? piece : `${piece}(${id})`).join(" ");
  const text = sentence === undefined ? words : `${sentence}\n${words}`;
  const head = sentence === undefined ? 0 : Math.min(sentence.length * 8, width - 2 * MARGIN);
  const full = 2 * MARGIN + Math.max(usedWidth(boxes), head);
  return svgPicture(
    svgFrame(full, top + rows * step + (hasIds ? 0 : 4), `pieces: ${clip(words, 200)}`, content, MONO),
    text,
  );
}

/**
 * One training instance as a picture needs it; an instance of the tasks is one as it is.
 *
 * @example
 * ```ts
 * import { instancePicture, type PictureInstance } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const instance: PictureInstance = {
 *   tokens: ["[CLS]", "▁a", "[MASK]", "[SEP]", "▁end", "[SEP]"],
 *   segmentIds: [0, 0, 0, 0, 1, 1],
 *   maskedPositions: [2],
 *   maskedLabels: ["▁cat"],
 * };
 * assert.match(String(instancePicture(instance).bundle["text/plain"]), /\[MASK\]=▁cat/);
 * ```
 */
export type PictureInstance = {
  /** The pieces, `[CLS] A [SEP] B [SEP]`, masks in place. */
  readonly tokens: readonly string[];
  /** 0 for segment A, 1 for segment B, one a piece. */
  readonly segmentIds: ArrayLike<number>;
  /** Where pieces are predicted. */
  readonly maskedPositions?: ArrayLike<number>;
  /** The true pieces there, in the order of the positions. */
  readonly maskedLabels?: readonly string[];
  /** 1 where a word begins; pieces of one word are drawn joined; default from `▁`. */
  readonly tokenBoundary?: ArrayLike<number>;
  /** Label of the segment task: 0 in order, 1 swapped, or words; default none. */
  readonly label?: number | boolean | string;
  /** How B came about, for the words of the label; an instance of the tasks has it, a record has not. */
  readonly pair?: "next" | "swapped" | "random";
  /** The record's name of `maskedPositions`. */
  readonly maskedLmPositions?: ArrayLike<number>;
  /** The record's name of `maskedLabels`. */
  readonly maskedLmLabels?: readonly string[];
  /** The record's name of `label`. */
  readonly nextSentenceLabel?: number;
};

/** What was done to a predicted piece. */
export type MaskKind = "masked" | "kept" | "replaced";

export const KIND_COLOR: Readonly<Record<MaskKind, string>> = {
  masked: "#b3261e",
  kept: "#00695c",
  replaced: "#7b3fa0",
};

/** Groups of masked positions by what was done to them. */
export function maskKinds(instance: PictureInstance): Map<number, { kind: MaskKind; truth: string }> {
  const kinds = new Map<number, { kind: MaskKind; truth: string }>();
  const positions = instance.maskedPositions ?? instance.maskedLmPositions ?? [];
  const labels = instance.maskedLabels ?? instance.maskedLmLabels ?? [];
  labels.forEach((truth, i) => {
    const position = positions[i];
    if (position === undefined) return;
    const token = instance.tokens[position];
    const kind = token === "[MASK]" ? "masked" : token === truth ? "kept" : "replaced";
    kinds.set(position, { kind, truth });
  });
  return kinds;
}

function labelWords(instance: PictureInstance): string {
  const label = instance.label ?? instance.nextSentenceLabel;
  if (label === undefined) return "";
  if (typeof label === "string") return label;
  if (Number(label) === 0) return "0: segments in order";
  return instance.pair === "random" ? "1: B is of another document" : "1: segments swapped";
}

/** Index after the last piece that is not padding. */
export function contentLength(tokens: readonly string[]): number {
  let end = tokens.length;
  while (end > 0 && (tokens[end - 1] === "<pad>" || tokens[end - 1] === "[PAD]" || tokens[end - 1] === "")) {
    end--;
  }
  return end;
}

function instanceLegend(
  y: number,
  kinds: ReadonlySet<MaskKind>,
  label: string,
): { parts: string[]; width: number } {
  const parts: string[] = [];
  let x = MARGIN;
  const entry = (text: string, fill: string, border: string): void => {
    parts.push(rectAt(x, y - 10, 12, 12, fill, border === "" ? "" : `stroke="${border}" stroke-width="2"`));
    parts.push(textAt(x + 18, y, text, { size: 12 }));
    x += 18 + monoWidth(text, 12) + 18;
  };
  entry("segment A", SOFT[0] ?? "", "");
  entry("segment B", SOFT[1] ?? "", "");
  if (kinds.has("masked")) entry("masked", "#ffffff", KIND_COLOR.masked);
  if (kinds.has("kept")) entry("kept", "#ffffff", KIND_COLOR.kept);
  if (kinds.has("replaced")) entry("replaced", "#ffffff", KIND_COLOR.replaced);
  if (label !== "") {
    parts.push(textAt(x, y, `label ${label}`, { size: 12, bold: true }));
    x += monoWidth(`label ${label}`, 12) + 12;
  }
  return { parts, width: x };
}

/**
 * Draws one training instance: pieces coloured by segment, predicted places framed with the true piece below (red: masked,
 * green: kept, violet: replaced by another piece), pieces of one word joined, padding only counted.
 *
 * @param instance The instance, pieces already as text.
 * @param options See the fields.
 * @param options.width Width at which rows wrap, in pixels; default 760.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { instancePicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { bundle } = instancePicture({
 *   tokens: ["[CLS]", "▁the", "[MASK]", "[SEP]", "▁it", "▁sat", "[SEP]", "<pad>"],
 *   segmentIds: [0, 0, 0, 0, 1, 1, 1, 0],
 *   maskedPositions: [2, 5],
 *   maskedLabels: ["▁cat", "▁sat"],
 *   label: 0,
 * });
 * assert.equal(
 *   bundle["text/plain"],
 *   "label 0: segments in order\nA: [CLS] ▁the [MASK]=▁cat [SEP]\nB: ▁it ▁sat=▁sat(kept) [SEP]\npadding: 1",
 * );
 * ```
 */
export function instancePicture(
  instance: PictureInstance,
  { width = 760 }: { readonly width?: number } = {},
): Showable {
  const { tokens, segmentIds, tokenBoundary } = instance;
  const kinds = maskKinds(instance);
  const end = contentLength(tokens);
  const shown = tokens.slice(0, end);
  const begins = (i: number): boolean => {
    const token = tokens[i] ?? "";
    if (tokenBoundary !== undefined) return tokenBoundary[i] === 1;
    return token.startsWith("▁") || /^[\[<].+[\]>]$/.test(token);
  };
  const widths = shown.map((token, i) => {
    const truth = kinds.get(i)?.truth;
    return 2 * PAD +
      Math.max(monoWidth(visible(token), SIZE), truth === undefined ? 0 : monoWidth(visible(truth), 12));
  });
  const gaps = shown.map((_, i) => begins(i) || kinds.has(i) || kinds.has(i - 1) ? 5 : 0);
  const { boxes, rows } = wrap(widths, gaps, width - 2 * MARGIN);
  const step = 48;
  const top = MARGIN + 28;
  const legend = instanceLegend(
    MARGIN + 12,
    new Set([...kinds.values()].map(({ kind }) => kind)),
    labelWords(instance),
  );
  const content = [...legend.parts];
  shown.forEach((token, i) => {
    const box = boxes[i] ?? { x: 0, row: 0, width: 0 };
    const place = { x: MARGIN + box.x, y: top + box.row * step, width: box.width };
    content.push(...pieceParts(token, place, segmentIds[i] ?? 0, kinds.get(i)));
  });
  const padding = tokens.length - end;
  const bottom = top + rows * step;
  if (padding > 0) {
    content.push(textAt(MARGIN, bottom + 6, `… ${padding} × padding`, { size: 12, fill: FAINT }));
  }
  const text = instanceText(instance, kinds, end);
  const full = Math.max(2 * MARGIN + usedWidth(boxes), legend.width);
  const svg = svgFrame(full, bottom + (padding > 0 ? 16 : 0), "one training instance", content, MONO);
  return svgPicture(svg, text);
}

/** The box of a piece in the colour of its segment; under a prediction's stands what is right. */
function pieceParts(
  token: string,
  { x, y, width }: { readonly x: number; readonly y: number; readonly width: number },
  segment: number,
  mask: { readonly kind: MaskKind; readonly truth: string } | undefined,
): string[] {
  const fill = (segment === 1 ? SOFT[1] : SOFT[0]) ?? "";
  const border = mask === undefined ? "" : `stroke="${KIND_COLOR[mask.kind]}" stroke-width="2"`;
  const middle = x + width / 2;
  const colour = /^\[(CLS|SEP)\]$/.test(token) ? FAINT : INK;
  const parts = [
    rectAt(x, y, width, 24, fill, border),
    textAt(middle, y + 17, visible(token), {
      size: SIZE,
      anchor: "middle",
      fill: colour,
      bold: mask !== undefined,
    }),
  ];
  if (mask === undefined) return parts;
  const under = { size: 12, anchor: "middle", fill: KIND_COLOR[mask.kind] } as const;
  return [...parts, textAt(middle, y + 38, visible(mask.truth), under)];
}

function instanceText(
  instance: PictureInstance,
  kinds: ReadonlyMap<number, { kind: MaskKind; truth: string }>,
  end: number,
): string {
  const words = (segment: number): string =>
    instance.tokens.slice(0, end).flatMap((token, i) => {
      if ((instance.segmentIds[i] ?? 0) !== segment) return [];
      const mask = kinds.get(i);
      if (mask === undefined) return [token];
      return [`${token}=${mask.truth}${mask.kind === "masked" ? "" : `(${mask.kind})`}`];
    }).join(" ");
  const label = labelWords(instance);
  return [
    ...(label === "" ? [] : [`label ${label}`]),
    `A: ${words(0)}`,
    `B: ${words(1)}`,
    ...(instance.tokens.length > end ? [`padding: ${instance.tokens.length - end}`] : []),
  ].join("\n");
}
