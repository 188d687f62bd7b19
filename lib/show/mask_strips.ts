/**
 * Where masks stand, at a glance: every sequence is a strip with one cell a piece, and the panels are small multiples of the
 * same text under other settings.
 */
import { type Showable, svgPicture } from "./bundle.ts";
import { contentLength, KIND_COLOR, maskKinds, type PictureInstance } from "./pieces_picture.ts";
import { clip, FAINT, MONO, monoWidth, rectAt, SOFT, svgFrame, textAt } from "./svg.ts";

const MARGIN = 12;
const ROW = 12;
const HEAD = 20;
const GAP = 24;

/**
 * One setting and its sequences.
 *
 * @example
 * ```ts
 * import { type MaskPanel, maskStrips } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const tokens = ["[CLS]", "[MASK]", "[SEP]", "▁b", "[SEP]"];
 * const panel: MaskPanel = {
 *   title: "ngram=1",
 *   instances: [{ tokens, segmentIds: [0, 0, 0, 1, 1], maskedPositions: [1], maskedLabels: ["▁a"] }],
 * };
 * assert.match(String(maskStrips([panel]).bundle["text/plain"]), /ngram=1\n {2}\|#\|b\|/);
 * ```
 */
export type MaskPanel = {
  /** The setting. */
  readonly title: string;
  /** A remark at the right of the title, such as a share; default none. */
  readonly note?: string;
  /** The sequences, one a strip. */
  readonly instances: readonly PictureInstance[];
};

type Cell = { readonly color: string; readonly letter: string };

const CELLS = {
  a: { color: SOFT[0] ?? "", letter: "a" },
  b: { color: SOFT[1] ?? "", letter: "b" },
  special: { color: "#8b949e", letter: "|" },
  masked: { color: KIND_COLOR.masked, letter: "#" },
  kept: { color: KIND_COLOR.kept, letter: "=" },
  replaced: { color: KIND_COLOR.replaced, letter: "?" },
  padding: { color: "#f0f2f4", letter: "." },
} as const satisfies Record<string, Cell>;

/** What each piece of a sequence is; padding up to `length`. */
function cellsOf(instance: PictureInstance, length: number): Cell[] {
  const { tokens, segmentIds } = instance;
  const kinds = maskKinds(instance);
  const end = contentLength(tokens);
  const firstB = Array.from(segmentIds).indexOf(1);
  return Array.from({ length: Math.max(length, tokens.length) }, (_, at) => {
    if (at >= end) return CELLS.padding;
    const kind = kinds.get(at)?.kind;
    if (kind !== undefined) return CELLS[kind];
    if (at === 0 || at === firstB - 1 || at === end - 1) return CELLS.special;
    return segmentIds[at] === 1 ? CELLS.b : CELLS.a;
  });
}

/** Runs of a kind in one strip, as a part of a path: `m` goes on from the end of the run before. */
function runsOf(cells: readonly Cell[], wanted: Cell): readonly (readonly [from: number, length: number])[] {
  const runs: [number, number][] = [];
  cells.forEach((cell, at) => {
    if (cell !== wanted) return;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === at) last[1]++;
    else runs.push([at, 1]);
  });
  return runs;
}

/** The strips of a panel, one path for each kind of cell: a thousand cells take two kilobytes. */
function strips(rows: readonly (readonly Cell[])[], x: number, y: number, cell: number): string {
  const paths = Object.values(CELLS).map((kind) => {
    const d = rows.map((cells, row) => {
      let at = 0;
      return runsOf(cells, kind).map(([from, length], i) => {
        const move = i === 0 ? `M${from} ${row * ROW}` : `m${from - at} 0`;
        at = from + length;
        return `${move}h${length}`;
      }).join("");
    }).join("");
    return d === "" ? "" : `<path stroke="${kind.color}" d="${d}"/>`;
  });
  // The lines are as thick as a strip is high; the scale makes their length that of the cells.
  const place = `translate(${x} ${y + (ROW - 3) / 2}) scale(${cell} 1)`;
  return `<g transform="${place}" stroke-width="${ROW - 3}" shape-rendering="crispEdges">${
    paths.join("")
  }</g>`;
}

function legend(used: ReadonlySet<Cell>, y: number): { parts: string[]; width: number } {
  const names: Record<keyof typeof CELLS, string> = {
    ...{ a: "segment A", b: "segment B", special: "[CLS], [SEP]", padding: "padding" },
    ...{ masked: "[MASK]", kept: "predicted, kept", replaced: "predicted, replaced" },
  };
  const parts: string[] = [];
  let x = MARGIN;
  for (const [key, cell] of Object.entries(CELLS)) {
    if (!used.has(cell)) continue;
    const name = names[key as keyof typeof CELLS];
    parts.push(rectAt(x, y - 10, 12, 12, cell.color), textAt(x + 17, y, name, { size: 11 }));
    x += 17 + monoWidth(name, 11) + 14;
  }
  return { parts, width: x };
}

/**
 * Draws sequences as strips of cells, in panels.
 *
 * @param panels The settings; all strips are as long as the longest.
 * @param options See the fields.
 * @param options.columns Panels in a row; default 2.
 * @param options.cell Width of a piece in pixels; default what makes a panel 350 wide, at most 12.
 * @param options.title Line above the picture; default none.
 * @returns Something to `show`; as text, `a` and `b` are pieces of the segments, `#` `[MASK]`, `=` a kept and `?` a replaced
 * piece, `|` `[CLS]` and `[SEP]`, `.` padding.
 *
 * @example
 * ```ts
 * import { maskStrips } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const tokens = ["[CLS]", "▁the", "[MASK]", "[SEP]", "▁it", "▁sat", "[SEP]", "<pad>"];
 * const instance = { tokens, segmentIds: [0, 0, 0, 0, 1, 1, 1, 0], maskedPositions: [2, 5], maskedLabels: ["▁cat", "▁sat"] };
 * const { bundle } = maskStrips([{ title: "default", note: "2 of 7", instances: [instance] }]);
 * assert.equal(bundle["text/plain"], "default (2 of 7)\n  |a#|b=|.");
 * ```
 */
export function maskStrips(
  panels: readonly MaskPanel[],
  { columns = 2, cell: wished, title }: {
    readonly columns?: number;
    readonly cell?: number;
    readonly title?: string;
  } = {},
): Showable {
  const length = Math.max(
    1,
    ...panels.flatMap(({ instances }) => instances.map(({ tokens }) => tokens.length)),
  );
  const heads = panels.map(({ title, note }) => monoWidth(title, 12) + 12 + monoWidth(note ?? "", 11));
  const cell = wished ?? Math.min(12, Math.ceil(2 * Math.max(350, ...heads) / length) / 2);
  const panelWidth = Math.max(length * cell, ...heads);
  const top = MARGIN + (title === undefined ? 0 : 26);
  const content = title === undefined ? [] : [textAt(MARGIN, MARGIN + 13, title, { size: 13, bold: true })];
  const drawn = panels.map(({ instances }) => instances.map((instance) => cellsOf(instance, length)));
  let y = top;
  for (let first = 0; first < panels.length; first += columns) {
    const row = panels.slice(first, first + columns);
    row.forEach(({ title, note }, i) => {
      const x = MARGIN + i * (panelWidth + GAP);
      content.push(textAt(x, y + 12, title, { size: 12, bold: true }));
      if (note !== undefined) {
        content.push(textAt(x + panelWidth, y + 12, note, { size: 11, anchor: "end", fill: FAINT }));
      }
      content.push(strips(drawn[first + i] ?? [], x, y + HEAD, cell));
    });
    y += HEAD + Math.max(0, ...row.map(({ instances }) => instances.length)) * ROW + 12;
  }
  const names = legend(new Set(drawn.flat(2)), y + 10);
  content.push(...names.parts);
  const inRow = Math.min(columns, panels.length);
  const width = Math.max(2 * MARGIN + inRow * panelWidth + (inRow - 1) * GAP, names.width);
  const text = panels.flatMap(({ title, note }, i) => [
    note === undefined ? title : `${title} (${note})`,
    ...(drawn[i] ?? []).map((cells) => `  ${cells.map(({ letter }) => letter).join("")}`),
  ]);
  return svgPicture(
    svgFrame(width, y + 20, clip(title ?? "where masks stand", 200), content, MONO),
    [...(title === undefined ? [] : [title]), ...text].join("\n"),
  );
}
