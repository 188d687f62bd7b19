/**
 * Small parts of the hand-made SVG pictures: colours, text, the frame. Pure functions from data to strings; text is set in
 * a monospaced font whose width is taken as 0.6 of its size, so no font has to be measured.
 */
import { escapeMarkup } from "./bundle.ts";
import { coordinate } from "./numbers.ts";
import { slimSvg } from "./slim.ts";

/** Colours of pictures: ink on paper, chosen to read on a light and on a dark page, since every picture brings its paper. */
export const INK = "#1b1f24";
export const FAINT = "#5b6570";
export const PAPER = "#ffffff";
export const RULE = "#c9d1d9";

/** Line and point colours, distinguishable also without red and green. */
export const PALETTE: readonly string[] = [
  "#0b62c4",
  "#d55e00",
  "#00876c",
  "#9b3fb5",
  "#b8860b",
  "#5b6570",
  "#c2185b",
  "#3f7f1f",
];

/** Soft fills behind text, in the order of {@linkcode PALETTE} and one more: a record has eight features and a frame. */
export const SOFT: readonly string[] = [
  "#d6e6fb",
  "#fde3d0",
  "#d3efe6",
  "#efdcf5",
  "#f7ecc8",
  "#e3e6ea",
  "#fbd9e6",
  "#e0f0d5",
  "#ecdfd0",
];

export const MONO = "DejaVu Sans Mono,Menlo,Consolas,monospace";
export const SANS = "Helvetica,Arial,DejaVu Sans,sans-serif";

/** Whether a code point takes two columns (Chinese, Japanese, Korean, emoji). */
function isWide(code: number): boolean {
  return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd);
}

/** Width of monospaced text in columns. */
export function columns(text: string): number {
  let count = 0;
  for (const char of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(char)) continue;
    count += isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
  }
  return count;
}

/** Width of monospaced text in pixels. */
export function monoWidth(text: string, size: number): number {
  return columns(text) * size * 0.6;
}

/** Cuts text to a number of columns, with an ellipsis. */
export function clip(text: string, limit: number): string {
  if (columns(text) <= limit) return text;
  let kept = "";
  for (const char of text) {
    if (columns(kept + char) > limit - 1) break;
    kept += char;
  }
  return `${kept}…`;
}

/** How a piece of text is drawn. */
export type TextStyle = {
  /** Font size in pixels; default 12. */
  readonly size?: number;
  /** Colour; default ink. */
  readonly fill?: string;
  /** Where `x` is; default the start. */
  readonly anchor?: "start" | "middle" | "end";
  /** Font family; default sans-serif. */
  readonly font?: string;
  /** Whether it is bold; default false. */
  readonly bold?: boolean;
  /** Turn around (x, y) in degrees; default 0. */
  readonly turn?: number;
};

/** One line of text with its baseline at (x, y). */
export function textAt(x: number, y: number, text: string, style: TextStyle = {}): string {
  const { size = 12, fill = INK, anchor = "start", font, bold = false, turn = 0 } = style;
  const attributes = [
    `x="${coordinate(x)}"`,
    `y="${coordinate(y)}"`,
    `font-size="${size}"`,
    ...(fill === INK ? [] : [`fill="${fill}"`]),
    ...(anchor === "start" ? [] : [`text-anchor="${anchor}"`]),
    ...(font === undefined ? [] : [`font-family="${font}"`]),
    ...(bold ? ['font-weight="bold"'] : []),
    ...(turn === 0 ? [] : [`transform="rotate(${turn} ${coordinate(x)} ${coordinate(y)})"`]),
  ];
  return `<text ${attributes.join(" ")}>${escapeMarkup(text)}</text>`;
}

/** One rectangle; `extra` holds further attributes. */
export function rectAt(
  x: number,
  y: number,
  width: number,
  height: number,
  fill: string,
  extra = "",
): string {
  return `<rect x="${coordinate(x)}" y="${coordinate(y)}" width="${coordinate(width)}" height="${
    coordinate(height)
  }" fill="${fill}"${extra === "" ? "" : ` ${extra}`}/>`;
}

/** One straight line. */
export function lineAt(x1: number, y1: number, x2: number, y2: number, stroke: string, extra = ""): string {
  return `<line x1="${coordinate(x1)}" y1="${coordinate(y1)}" x2="${coordinate(x2)}" y2="${
    coordinate(y2)
  }" stroke="${stroke}"${extra === "" ? "" : ` ${extra}`}/>`;
}

/** The frame of a picture: size, own background, a description for screen readers. */
export function svgFrame(
  width: number,
  height: number,
  description: string,
  content: readonly string[],
  font: string = SANS,
): string {
  const w = Math.ceil(width);
  const h = Math.ceil(height);
  return slimSvg(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img"` +
      ` aria-label="${escapeMarkup(description)}" font-family="${font}" fill="${INK}">` +
      `${rectAt(0, 0, w, h, PAPER)}<g>${content.join("")}</g></svg>`,
  );
}
