/**
 * Figures that a person turns or hovers: plotly's JSON for viewers that have plotly, and an SVG drawn here for all others.
 * Two kinds are known, since the guide needs no more: points in space (embeddings) and heat maps (attention).
 * Names and values follow plotly.js 4; a test validates what is made here with plotly's own validator.
 */
import { Buffer } from "node:buffer";
import type { Bundle, Showable } from "./bundle.ts";
import { rangeText } from "./chart.ts";
import { heatmapSvg } from "./heatmap_svg.ts";
import { DATA_DIGITS, numberText, roundTo } from "./numbers.ts";
import { CAMERA_EYE, scatter3dSvg } from "./scatter3d_svg.ts";
import { INK, PAPER, SANS } from "./svg.ts";

/**
 * Points in space, in plotly's terms.
 *
 * @example
 * ```ts
 * import { figure, type Scatter3dTrace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const trace: Scatter3dTrace = { type: "scatter3d", name: "months", x: [0, 1], y: [0, 2], z: [1, 1] };
 * assert.match(String(figure({ data: [trace] }).bundle["text/plain"]), /months: 2 points/);
 * ```
 */
export type Scatter3dTrace = {
  readonly type: "scatter3d";
  /** Coordinates. */
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly z: readonly number[];
  /** Name in the legend. */
  readonly name?: string;
  /** Whether points carry their text; default `"markers"`. */
  readonly mode?: "markers" | "markers+text";
  /** Text of each point. */
  readonly text?: readonly string[];
  /** What plotly shows under the pointer, such as `%{text}`; default coordinates and text. */
  readonly hovertemplate?: string;
  /** Colour (any CSS colour) and diameter in pixels; default the palette's next colour and 5. */
  readonly marker?: { readonly color?: string; readonly size?: number };
};

/**
 * A heat map, in plotly's terms.
 *
 * @example
 * ```ts
 * import { figure, type HeatmapTrace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const trace: HeatmapTrace = { type: "heatmap", z: [[0.1, 0.9]], x: ["a", "b"], y: ["q"], name: "head 1" };
 * assert.match(String(figure({ data: [trace] }).bundle["text/plain"]), /head 1: 1 x 2, strongest q -> b 0\.9/);
 * ```
 */
export type HeatmapTrace = {
  readonly type: "heatmap";
  /** Values, row by row; the first row is drawn at the top. */
  readonly z: readonly (readonly number[])[];
  /** Names of the columns. */
  readonly x?: readonly string[];
  /** Names of the rows. */
  readonly y?: readonly string[];
  /** Name of the map. */
  readonly name?: string;
};

/**
 * What a figure shows.
 *
 * @example
 * ```ts
 * import { figure, type FigureOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: FigureOptions = { data: [{ type: "heatmap", z: [[1]] }], layout: { title: { text: "one" } } };
 * assert.match(String(figure(options).bundle["text/plain"]), /^one/);
 * ```
 */
export type FigureOptions = {
  /** Traces, all of one kind. */
  readonly data: readonly Scatter3dTrace[] | readonly HeatmapTrace[];
  /** Plotly's layout, laid over ours; `title.text`, `width`, `height` and axis titles also reach the SVG. */
  readonly layout?: Readonly<Record<string, unknown>>;
};

/** A copy of JSON data with every number rounded, so that all runtimes write the same text. */
function rounded(value: unknown, digits: number): unknown {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return null;
    const number = roundTo(value, digits);
    return number === 0 ? 0 : number;
  }
  if (Array.isArray(value)) return value.map((item) => rounded(item, digits));
  if (ArrayBuffer.isView(value)) return Array.from(value as Float32Array, (item) => rounded(item, digits));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).map((
      [key, item],
    ) => [key, rounded(item, digits)]),
  );
}

/** Text of a plotly title, which is a string or `{ text }`. */
export function titleText(title: unknown): string | undefined {
  if (typeof title === "string") return title;
  const text = (title as { text?: unknown } | undefined)?.text;
  return typeof text === "string" ? text : undefined;
}

/** The three strongest cells of a map, in words. */
function strongest({ z, x, y }: HeatmapTrace): string {
  const cells = z.flatMap((row, i) => Array.from(row, (value, j) => ({ i, j, value })))
    .filter(({ value }) => Number.isFinite(value)).sort((a, b) =>
      b.value - a.value || a.i - b.i || a.j - b.j
    );
  return cells.slice(0, 3).map(({ i, j, value }) =>
    `${y?.[i] ?? `row ${i}`} -> ${x?.[j] ?? `column ${j}`} ${numberText(value, 4)}`
  ).join(", ");
}

function traceText(trace: Scatter3dTrace | HeatmapTrace, i: number): string {
  const name = trace.name ?? `trace ${i + 1}`;
  if (trace.type === "heatmap") {
    return `  ${name}: ${trace.z.length} x ${trace.z[0]?.length ?? 0}, strongest ${strongest(trace)}`;
  }
  const ranges = `x ${rangeText(trace.x)}, y ${rangeText(trace.y)}, z ${rangeText(trace.z)}`;
  return `  ${name}: ${trace.x.length} points, ${ranges}`;
}

/**
 * Makes a figure: plotly's JSON, an SVG and a summary.
 *
 * @param options See {@linkcode FigureOptions}.
 * @returns Something to `show`.
 * @throws {TypeError} When the traces are of mixed or unknown kinds, or there is none.
 *
 * @example
 * ```ts
 * import { figure } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shown = figure({
 *   data: [{ type: "scatter3d", x: [0, 1], y: [0, 1], z: [0, 1], text: ["▁king", "▁queen"], mode: "markers+text" }],
 *   layout: { title: { text: "Two pieces" } },
 * });
 * assert.deepEqual(Object.keys(shown.bundle), ["application/vnd.plotly.v1+json", "image/svg+xml", "text/plain"]);
 * ```
 */
export function figure({ data, layout = {} }: FigureOptions): Showable {
  const kinds = new Set(data.map(({ type }) => String(type)));
  const [kind] = kinds;
  if (kinds.size !== 1 || (kind !== "scatter3d" && kind !== "heatmap")) {
    throw new TypeError(
      `Cannot make a figure: traces are of kind ${
        [...kinds].join(", ") || "none"
      }, give one or more of one kind, ` +
        `"scatter3d" or "heatmap"`,
    );
  }
  const title = titleText(layout["title"]);
  const text = [title ?? "figure", ...data.map(traceText)].join("\n");
  const [traces, base, svg] = kind === "scatter3d"
    ? spaceParts(data as readonly Scatter3dTrace[], layout, text)
    : heatParts(data as readonly HeatmapTrace[], layout, text);
  const style = { font: { family: SANS, color: INK }, paper_bgcolor: PAPER };
  const bundle: Bundle = {
    "application/vnd.plotly.v1+json": {
      data: rounded(traces, DATA_DIGITS) as object,
      layout: rounded({ ...style, ...base, ...layout }, DATA_DIGITS) as object,
    },
    "image/svg+xml": svg,
    "text/plain": text,
  };
  return { bundle };
}

type Parts = [traces: readonly object[], layout: object, svg: string];

function spaceParts(
  data: readonly Scatter3dTrace[],
  layout: Readonly<Record<string, unknown>>,
  text: string,
): Parts {
  for (const { x, y, z, name } of data) {
    if (x.length === y.length && y.length === z.length) continue;
    throw new RangeError(
      `Cannot make a figure: trace "${
        name ?? ""
      }" has ${x.length} x, ${y.length} y and ${z.length} z values, ` +
        `give as many of each`,
    );
  }
  const traces = data.map((trace) => ({ mode: "markers", ...trace, marker: { size: 5, ...trace.marker } }));
  const camera = { eye: CAMERA_EYE, projection: { type: "orthographic" } };
  const base = { width: 640, height: 520, margin: { l: 0, r: 0, t: 40, b: 0 }, scene: { camera } };
  return [traces, base, scatter3dSvg(data, layout, text.split("\n")[0] ?? "")];
}

/**
 * Values as plotly reads them from base64: 32-bit floats, little-endian. As a list every number would take a line of a
 * notebook, 17 kB for a map of 32 x 32 in place of 6.
 */
function packed(z: readonly ArrayLike<number>[]): object {
  const width = z.reduce((widest, row) => Math.max(widest, row.length), 0);
  const view = new DataView(new ArrayBuffer(4 * z.length * width));
  z.forEach((row, i) => {
    for (let j = 0; j < width; j++) {
      view.setFloat32(4 * (i * width + j), roundTo(row[j] ?? NaN, DATA_DIGITS), true);
    }
  });
  return { dtype: "f4", bdata: Buffer.from(view.buffer).toString("base64"), shape: `${z.length}, ${width}` };
}

function heatParts(
  data: readonly HeatmapTrace[],
  layout: Readonly<Record<string, unknown>>,
  text: string,
): Parts {
  const traces = data.map(({ z, name, type }, i) => ({
    type,
    ...(name === undefined ? {} : { name }),
    z: packed(z),
    colorscale: [[0, "#f7fbff"], [0.5, "#6baed6"], [1, "#08306b"]],
    visible: i === 0,
    hovertemplate: "%{y} -> %{x}: %{z}<extra></extra>",
  }));
  const first = data[0];
  // Names are ticks at positions, since repeated pieces would fall on one place of an axis of names.
  const axis = (names: readonly string[] | undefined): object =>
    names === undefined ? {} : { tickmode: "array", tickvals: names.map((_, i) => i), ticktext: names };
  const buttons = data.map(({ name }, i) => ({
    label: name ?? `map ${i + 1}`,
    method: "restyle",
    args: ["visible", data.map((_, j) => i === j)],
  }));
  const base = {
    width: 640,
    height: 600,
    plot_bgcolor: PAPER,
    xaxis: { side: "top", ...axis(first?.x) },
    yaxis: { autorange: "reversed", ...axis(first?.y) },
    ...(data.length > 1
      ? { updatemenus: [{ type: "dropdown", x: 0, y: 1.2, xanchor: "left", buttons }] }
      : {}),
    margin: { l: 90, r: 20, t: 120, b: 20 },
  };
  return [traces, base, heatmapSvg(data, titleText(layout["title"]), text.split("\n")[0] ?? "")];
}

/**
 * One attention map: where each piece looks.
 *
 * @example
 * ```ts
 * import { type AttentionMap, attentionFigure } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const map: AttentionMap = { name: "layer 1, head 1", weights: new Float32Array([0.2, 0.8, 0.5, 0.5]) };
 * assert.match(String(attentionFigure(["▁a", "▁b"], [map]).bundle["text/plain"]), /▁a -> ▁b 0\.8/);
 * ```
 */
export type AttentionMap = {
  /** Which layer and head. */
  readonly name: string;
  /** Weights `[from, to]`, row by row in one array or as rows. */
  readonly weights: ArrayLike<number> | readonly ArrayLike<number>[];
};

/**
 * Draws attention maps over one sentence; with several, plotly shows one at a time and the SVG all side by side.
 *
 * @param tokens The pieces.
 * @param maps One map for each layer and head of interest; at 32 pieces each adds about 6 kB to a notebook.
 * @param options See the fields.
 * @param options.title Title above the figure; default `"Attention"`.
 * @returns Something to `show`.
 * @throws {RangeError} When a map has not pieces x pieces weights.
 *
 * @example
 * ```ts
 * import { attentionFigure } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shown = attentionFigure(["▁the", "▁cat"], [{ name: "head 1", weights: [[0.9, 0.1], [0.3, 0.7]] }]);
 * assert.ok(String(shown.bundle["image/svg+xml"]).includes("▁cat"));
 * ```
 */
export function attentionFigure(
  tokens: readonly string[],
  maps: readonly AttentionMap[],
  { title = "Attention" }: { readonly title?: string } = {},
): Showable {
  const n = tokens.length;
  const data = maps.map(({ name, weights }): HeatmapTrace => {
    const flat: ArrayLike<number> = typeof weights[0] === "object"
      ? (weights as readonly ArrayLike<number>[]).flatMap((row) => Array.from(row))
      : weights as ArrayLike<number>;
    if (flat.length !== n * n) {
      throw new RangeError(
        `Cannot draw attention: map "${name}" has ${flat.length} weights, give ${n} x ${n} for ${n} pieces`,
      );
    }
    const z = tokens.map((_, i) => tokens.map((_, j) => Number((flat[i * n + j] ?? 0).toFixed(3))));
    return { type: "heatmap", name, x: tokens, y: tokens, z };
  });
  return figure({ data, layout: { title: { text: title } } });
}
