/**
 * The bytes of one record, coloured by field: a hex view with offsets and a legend, in which long runs of one field are cut.
 */
import { type Showable, svgPicture } from "./bundle.ts";
import { FAINT, MONO, monoWidth, rectAt, SOFT, svgFrame, textAt } from "./svg.ts";

const PER_ROW = 16;
const ROW = 21;
const MARGIN = 12;
const SIZE = 12;
// Two digits and a blank of the monospaced font, so that a row is one text and not sixteen.
const CELL = 3 * SIZE * 0.6;
const OFFSET_WIDTH = 52;

/**
 * A run of bytes that means one thing.
 *
 * @example
 * ```ts
 * import { type ByteField, recordBytesPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const length: ByteField = { start: 0, end: 8, label: "length of the data", kind: "frame" };
 * const picture = recordBytesPicture(new Uint8Array(8), [length]);
 * assert.match(String(picture.bundle["text/plain"]), /0\.\.8 +length of the data/);
 * ```
 */
export type ByteField = {
  /** First byte. */
  readonly start: number;
  /** Byte after the last. */
  readonly end: number;
  /** What the bytes mean. */
  readonly label: string;
  /** Fields of one kind have one colour. */
  readonly kind: string;
};

/** A row of the view: 16 bytes from `offset`, or a cut of `count` bytes. */
type Line = {
  readonly offset: number;
  readonly count: number;
  readonly field: number;
  readonly skipped: boolean;
};

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}

/** The rows that are drawn: of a run of whole rows inside one field, the first two and the last stay. */
function viewLines(owner: Int32Array, length: number, keep: number, marked: readonly number[]): Line[] {
  const lines: Line[] = [];
  const single = (offset: number): number => {
    const field = owner[offset] ?? -1;
    const end = Math.min(offset + PER_ROW, length);
    if (marked.some((at) => at >= offset && at < end)) return -2;
    for (let i = offset; i < end; i++) if (owner[i] !== field) return -2;
    return field;
  };
  let offset = 0;
  while (offset < length) {
    const field = single(offset);
    let end = offset;
    while (field !== -2 && end + PER_ROW <= length && single(end) === field) end += PER_ROW;
    const rows = (end - offset) / PER_ROW;
    if (rows > keep + 2) {
      for (let i = 0; i < keep; i++) {
        lines.push({ offset: offset + i * PER_ROW, count: PER_ROW, field, skipped: false });
      }
      const from = offset + keep * PER_ROW;
      lines.push({ offset: from, count: end - PER_ROW - from, field, skipped: true });
      offset = end - PER_ROW;
    }
    const count = Math.min(PER_ROW, length - offset);
    lines.push({ offset, count, field, skipped: false });
    offset += count;
  }
  return lines;
}

/**
 * Draws the bytes of a record, coloured by field.
 *
 * @param bytes The record with its frame, or any bytes.
 * @param fields What runs of bytes mean, in any order; bytes without a field stay white.
 * @param options See the fields.
 * @param options.title Line above the picture; default none.
 * @param options.marked Bytes that get a red frame; their rows are never cut. Default none.
 * @param options.keepRows Rows of 16 bytes kept at the head of a long run before the cut; default 2.
 * @returns Something to `show`.
 * @throws {RangeError} When a field lies outside the bytes.
 *
 * @example
 * ```ts
 * import { recordBytesPicture } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { bundle } = recordBytesPicture(new Uint8Array(160), [
 *   { start: 0, end: 8, label: "length", kind: "frame" },
 *   { start: 8, end: 160, label: "data", kind: "data" },
 * ]);
 * assert.match(String(bundle["text/plain"]), /… 96 bytes …/);
 * ```
 */
export function recordBytesPicture(
  bytes: Uint8Array,
  fields: readonly ByteField[],
  { title, keepRows = 2, marked = [] }: {
    readonly title?: string;
    readonly keepRows?: number;
    readonly marked?: readonly number[];
  } = {},
): Showable {
  const owner = new Int32Array(bytes.length).fill(-1);
  fields.forEach(({ start, end, label }, i) => {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new RangeError(
        `Cannot draw the bytes of a record: field "${label}" is ${start}..${end}, give bounds within 0..${bytes.length}`,
      );
    }
    owner.fill(i, start, end);
  });
  const kinds = [...new Set(fields.map(({ kind }) => kind))];
  const colour = (field: number): string => {
    const kind = kinds.indexOf(fields[field]?.kind ?? "");
    return kind < 0 ? "" : SOFT[kind % SOFT.length] ?? "";
  };
  const lines = viewLines(owner, bytes.length, keepRows, marked);
  const top = MARGIN + (title === undefined ? 0 : 24);
  const content = title === undefined ? [] : [textAt(MARGIN, MARGIN + 13, title, { size: 13, bold: true })];
  lines.forEach((line, row) => {
    content.push(...drawLine(bytes, line, top + row * ROW, owner, colour));
    content.push(...markParts(line, top + row * ROW, marked));
  });
  const legendTop = top + lines.length * ROW + 14;
  const legend = fields.length <= 32
    ? fields.map(({ start, end, label }, i) => ({ fill: colour(i), text: label, range: `${start}..${end}` }))
    : kinds.map((kind, i) => ({ fill: SOFT[i % SOFT.length] ?? "", text: kind, range: "" }));
  const perColumn = Math.ceil(legend.length / 2);
  const longest = Math.max(8, ...legend.map(({ range }) => range.length));
  const entryWidth = legend.map(({ text }) => 24 + (longest + 1 + text.length) * SIZE * 0.6);
  const secondX = MARGIN + Math.max(240, ...entryWidth.slice(0, perColumn)) + 16;
  legend.forEach(({ fill, text, range }, i) => {
    const x = i < perColumn ? MARGIN : secondX;
    const y = legendTop + (i % perColumn) * 18;
    content.push(rectAt(x, y - 1, 14, 14, fill, `stroke="${FAINT}" stroke-width="0.5"`));
    content.push(textAt(x + 22, y + 10, range, { size: SIZE, fill: FAINT }));
    content.push(textAt(x + 22 + (longest + 1) * SIZE * 0.6, y + 10, text, { size: SIZE }));
  });
  const hexWidth = 2 * MARGIN + OFFSET_WIDTH + PER_ROW * CELL + 10 + PER_ROW * 8;
  const legendWidth = Math.max(0, ...entryWidth.slice(perColumn)) + secondX + MARGIN;
  const svg = svgFrame(
    Math.max(hexWidth, legend.length > 1 ? legendWidth : 0, monoWidth(title ?? "", 13) + 2 * MARGIN),
    legendTop + perColumn * 18 + 6,
    title ?? `${bytes.length} bytes by field`,
    content,
    MONO,
  );
  const text = bytesText(bytes, fields, lines, title);
  const marks = marked.map((at) => `marked: byte ${at}, 0x${hex(bytes[at] ?? 0, 2)}`);
  return svgPicture(svg, [text, ...marks].join("\n"));
}

/** Frames around the marked bytes of a row. */
function markParts({ offset, count, skipped }: Line, y: number, marked: readonly number[]): string[] {
  if (skipped) return [];
  return marked.filter((at) => at >= offset && at < offset + count).map((at) => {
    const x = MARGIN + OFFSET_WIDTH + (at - offset) * CELL;
    return rectAt(x + 1, y + 1, CELL - 2, ROW - 2, "none", 'stroke="#b3261e" stroke-width="2"');
  });
}

function printable(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}

function drawLine(
  bytes: Uint8Array,
  line: Line,
  y: number,
  owner: Int32Array,
  colour: (field: number) => string,
): string[] {
  const left = MARGIN + OFFSET_WIDTH;
  if (line.skipped) {
    const fill = colour(line.field);
    const middle = left + (PER_ROW * CELL) / 2;
    return [
      ...(fill === "" ? [] : [rectAt(left, y, PER_ROW * CELL, ROW, fill)]),
      textAt(middle, y + 15, `… ${line.count} bytes …`, { size: SIZE, anchor: "middle", fill: FAINT }),
    ];
  }
  const parts = [textAt(MARGIN, y + 15, hex(line.offset, 4), { size: SIZE, fill: FAINT })];
  // One rectangle for each run of one field, one text for the whole row.
  let from = 0;
  for (let i = 1; i <= line.count; i++) {
    if (i < line.count && owner[line.offset + i] === owner[line.offset + from]) continue;
    const fill = colour(owner[line.offset + from] ?? -1);
    if (fill !== "") parts.push(rectAt(left + from * CELL, y, (i - from) * CELL, ROW, fill));
    from = i;
  }
  const row = Array.from(bytes.subarray(line.offset, line.offset + line.count));
  const digits = row.map((byte) => hex(byte, 2)).join(" ");
  parts.push(textAt(left + CELL / 6, y + 15, digits, { size: SIZE }));
  parts.push(
    textAt(left + PER_ROW * CELL + 10, y + 15, row.map(printable).join(""), { size: SIZE, fill: FAINT }),
  );
  return parts;
}

function bytesText(
  bytes: Uint8Array,
  fields: readonly ByteField[],
  lines: readonly Line[],
  title: string | undefined,
): string {
  const ranges = fields.map(({ start, end }) => `${start}..${end}`);
  const widest = Math.max(0, ...ranges.map((range) => range.length));
  return [
    title ?? `${bytes.length} bytes`,
    ...lines.map(({ offset, count, skipped }) => {
      if (skipped) return `      … ${count} bytes …`;
      const row = Array.from(bytes.subarray(offset, offset + count));
      return `${hex(offset, 4)}  ${row.map((byte) => hex(byte, 2)).join(" ").padEnd(47)}  ${
        row.map(printable).join("")
      }`;
    }),
    ...fields.map(({ label }, i) => `${(ranges[i] ?? "").padEnd(widest)}  ${label}`),
  ].join("\n");
}
