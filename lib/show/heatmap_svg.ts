/**
 * Heat maps as SVG: one large map with names, or many small ones side by side. Colours are cut to 16 levels and every level
 * is one path of horizontal runs, which keeps a map of 32 x 32 at some 10 kB.
 */
import { extent } from "./chart.ts";
import type { HeatmapTrace } from "./figure.ts";
import { coordinate, numberText } from "./numbers.ts";
import { clip, FAINT, MONO, monoWidth, RULE, svgFrame, textAt } from "./svg.ts";

const LEVELS = 16;
const MARGIN = 12;
const STOPS: readonly (readonly [number, number, number])[] = [[247, 251, 255], [107, 174, 214], [
  8,
  48,
  107,
]];

/** Colour of a level, from nearly white to dark blue. */
function levelColor(level: number): string {
  const at = (level / (LEVELS - 1)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(at));
  const share = at - low;
  const mix = [0, 1, 2].map((i) => {
    const from = STOPS[low]?.[i] ?? 0;
    const to = STOPS[low + 1]?.[i] ?? 0;
    return Math.round(from + (to - from) * share).toString(16).padStart(2, "0");
  });
  return `#${mix.join("")}`;
}

/** The cells of a map as one path a level. */
function cells(
  z: readonly ArrayLike<number>[],
  x: number,
  y: number,
  size: number,
  low: number,
  high: number,
): string {
  const paths = Array.from({ length: LEVELS }, () => "");
  z.forEach((row, i) => {
    let from = 0;
    const level = (j: number): number => {
      const value = row[j];
      if (value === undefined || !Number.isFinite(value)) return -1;
      const share = (value - low) / (high - low || 1);
      return Math.min(LEVELS - 1, Math.max(0, Math.floor(share * LEVELS)));
    };
    for (let j = 1; j <= row.length; j++) {
      if (j < row.length && level(j) === level(from)) continue;
      const at = level(from);
      if (at >= 0) paths[at] += `M${from} ${i}h${j - from}v1H${from}z`;
      from = j;
    }
  });
  const body = paths.map((d, level) => d === "" ? "" : `<path fill="${levelColor(level)}" d="${d}"/>`).join(
    "",
  );
  const place = `translate(${coordinate(x)} ${coordinate(y)}) scale(${coordinate(size)})`;
  return `<g transform="${place}" shape-rendering="crispEdges">${body}</g>`;
}

function outline(x: number, y: number, width: number, height: number): string {
  return `<path d="M${coordinate(x)} ${coordinate(y)}h${coordinate(width)}v${coordinate(height)}h${
    coordinate(-width)
  }z" fill="none" stroke="${RULE}"/>`;
}

/** The colour scale with its two ends. */
function scaleBar(x: number, y: number, low: number, high: number): string {
  const steps = Array.from(
    { length: LEVELS },
    (_, i) => `<path fill="${levelColor(i)}" d="M${coordinate(x + i * 8)} ${coordinate(y)}h8v10h-8z"/>`,
  );
  return [
    `<g shape-rendering="crispEdges">${steps.join("")}</g>`,
    outline(x, y, LEVELS * 8, 10),
    textAt(x, y + 22, numberText(low, 3), { size: 10, fill: FAINT }),
    textAt(x + LEVELS * 8, y + 22, numberText(high, 3), { size: 10, fill: FAINT, anchor: "end" }),
  ].join("");
}

/** Draws heat maps on one colour scale. */
export function heatmapSvg(
  data: readonly HeatmapTrace[],
  title: string | undefined,
  description: string,
): string {
  const [low, high] = extent([0, ...data.flatMap(({ z }) => z.flatMap((row) => Array.from(row)))]);
  return data.length === 1
    ? oneMap(data[0] ?? { type: "heatmap", z: [] }, title, description, low, high)
    : manyMaps(data, title, description, low, high);
}

function oneMap(
  { z, x = [], y = [], name }: HeatmapTrace,
  title: string | undefined,
  description: string,
  low: number,
  high: number,
): string {
  const rows = z.length;
  const columns = Math.max(1, ...z.map((row) => row.length));
  const size = Math.min(30, Math.max(7, Math.floor(440 / Math.max(rows, columns))));
  const font = Math.min(12, Math.max(7, size - 2));
  const longest = (names: readonly string[]): number =>
    Math.max(0, ...names.map((label) => monoWidth(clip(label, 16), font)));
  const heading = [title, name].filter((part) => part !== undefined).join(": ");
  const left = MARGIN + Math.max(48, longest(y) + 8);
  const top = MARGIN + (heading === "" ? 0 : 24) + longest(x) + 8;
  const width = columns * size;
  const height = rows * size;
  const content = [
    ...(heading === "" ? [] : [textAt(MARGIN, MARGIN + 13, heading, { size: 14, bold: true })]),
    cells(z, left, top, size, low, high),
    outline(left, top, width, height),
    ...y.map((label, i) =>
      textAt(left - 5, top + (i + 0.5) * size + font * 0.35, clip(label, 16), {
        size: font,
        anchor: "end",
        font: MONO,
      })
    ),
    ...x.map((label, j) =>
      textAt(left + (j + 0.5) * size + font * 0.35, top - 5, clip(label, 16), {
        size: font,
        turn: -90,
        font: MONO,
      })
    ),
    scaleBar(left, top + height + 14, low, high),
  ];
  const full = Math.max(left + width, left + LEVELS * 8, MARGIN + heading.length * 8.5) + MARGIN;
  return svgFrame(full, top + height + 46, description, content);
}

function manyMaps(
  data: readonly HeatmapTrace[],
  title: string | undefined,
  description: string,
  low: number,
  high: number,
): string {
  const largest = Math.max(1, ...data.map(({ z }) => Math.max(z.length, ...z.map((row) => row.length))));
  const perRow = Math.min(4, data.length);
  const size = Math.max(2, Math.floor(640 / perRow / largest));
  const side = Math.max(120, size * largest);
  const top = MARGIN + (title === undefined ? 0 : 24);
  const content = title === undefined ? [] : [textAt(MARGIN, MARGIN + 13, title, { size: 14, bold: true })];
  data.forEach(({ z, name }, i) => {
    const x = MARGIN + (i % perRow) * (side + 16);
    const y = top + Math.floor(i / perRow) * (side + 30) + 18;
    content.push(textAt(x, y - 5, clip(name ?? `map ${i + 1}`, Math.floor(side / 6.5)), { size: 11 }));
    content.push(cells(z, x, y, size, low, high));
    content.push(outline(x, y, size * Math.max(0, ...z.map((row) => row.length)), size * z.length));
  });
  const bottom = top + Math.ceil(data.length / perRow) * (side + 30);
  content.push(scaleBar(MARGIN, bottom + 4, low, high));
  const full = 2 * MARGIN + Math.max(perRow * (side + 16) - 16, (title ?? "").length * 8.5);
  return svgFrame(full, bottom + 36, description, content);
}
