/**
 * Measurements with their intervals: one panel per metric, a point with a whisker per measurement, joined by a line where the
 * x axis is a number. For comparing checkpoints over steps, or models over bands.
 */
import { type Chart, chart, datum, extent } from "./chart.ts";
import { LABEL_DIGITS, numberText, roundTo } from "./numbers.ts";
import { FAINT, PALETTE } from "./svg.ts";
import type { Baseline } from "./line_chart.ts";

/**
 * One measurement.
 *
 * @example
 * ```ts
 * import type { IntervalPoint } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const point: IntervalPoint = { x: 1000, y: 4.2, low: 4.1, high: 4.3 };
 * assert.ok(point.low < point.high);
 * ```
 */
export type IntervalPoint = {
  /** A number, such as a step, or the name of a band. */
  readonly x: number | string;
  readonly y: number;
  /** Ends of the interval. */
  readonly low: number;
  readonly high: number;
};

/**
 * One metric: its points by series, and levels to compare with.
 *
 * @example
 * ```ts
 * import type { IntervalPanel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const panel: IntervalPanel = { title: "loss", series: [{ name: "a", points: [{ x: 1, y: 2, low: 1, high: 3 }] }] };
 * assert.equal(panel.series.length, 1);
 * ```
 */
export type IntervalPanel = {
  /** Name of the metric, written above the panel. */
  readonly title: string;
  /** Measurements, drawn in one colour each. */
  readonly series: readonly { readonly name: string; readonly points: readonly IntervalPoint[] }[];
  /** Levels drawn across the panel, default none. */
  readonly baselines?: readonly Baseline[];
};

/**
 * What an interval chart shows.
 *
 * @example
 * ```ts
 * import { intervalChart, type IntervalChartOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: IntervalChartOptions = { panels: [{ title: "loss", series: [] }], title: "Nothing yet" };
 * assert.match(intervalChart(options).text, /^Nothing yet/);
 * ```
 */
export type IntervalChartOptions = {
  /** The panels from left to right. */
  readonly panels: readonly IntervalPanel[];
  /** Title above all panels; default none. */
  readonly title?: string;
  /** Name of the x axis; default `"step"`. */
  readonly xLabel?: string;
  /** Width of a panel in pixels; default 260. */
  readonly width?: number;
  /** Height of a panel in pixels; default 200. */
  readonly height?: number;
};

type Axis = { readonly numeric: boolean; readonly xLabel: string; readonly names: readonly string[] };

/** A dashed line with its name for each level to compare with. */
function levelLayers({ baselines = [] }: IntervalPanel, y: object, width: number): object[] {
  return baselines.flatMap(({ name, value }) => {
    const data = { values: [{ level: datum(value) }] };
    const at = { y: { ...y, field: "level" } };
    const rule = { mark: { type: "rule", color: FAINT, strokeDash: [2, 3] }, data, encoding: at };
    const text = {
      type: "text",
      align: "right",
      baseline: "bottom",
      dy: -2,
      color: FAINT,
      fontSize: 11,
      text: name,
    };
    return [rule, { mark: text, data, encoding: { ...at, x: { value: width } } }];
  });
}

function panelSpec(
  panel: IntervalPanel,
  size: { readonly width: number; readonly height: number },
  { numeric, xLabel, names }: Axis,
): object {
  const cells = panel.series.flatMap(({ name, points }) =>
    points.map(({ x, y, low, high }) => {
      const ends = [low, high].map((end) => datum(Number.isFinite(end) ? end : y));
      return [name, x, datum(y), ...ends] as const;
    })
  );
  const offset = !numeric && names.length > 1
    ? { xOffset: { field: "series", type: "nominal", scale: { domain: names } } }
    : {};
  const range = names.map((_, i) => PALETTE[i % PALETTE.length] ?? FAINT);
  const legend = names.length > 1 ? { orient: "bottom", title: null, labelLimit: 400 } : null;
  const levelsOf = (panel.baselines ?? []).map(({ value }) => value);
  const [least, most] = extent([
    ...cells.flatMap(([, , ...measured]) => measured.map(Number)),
    ...levelsOf,
  ]);
  const room = (most - least) * 0.05 || Math.abs(most) * 0.1 || 1;
  const domain = [least - room, most + room].map((end) => roundTo(end, LABEL_DIGITS));
  const y = { type: "quantitative", title: null, scale: { domain, nice: false, zero: false } };
  const encoding = {
    x: numeric
      ? { field: "x", type: "quantitative", title: xLabel, scale: { zero: false }, axis: { tickCount: 5 } }
      : { field: "x", type: "nominal", sort: null, title: xLabel, axis: { labelAngle: -30 } },
    color: { field: "series", type: "nominal", scale: { domain: names, range }, legend },
    ...offset,
  };
  const whisker = {
    mark: { type: "rule", strokeWidth: 1.6 },
    encoding: { y: { ...y, field: "low" }, y2: { field: "high" } },
  };
  const points = { mark: { type: "square", opacity: 1, size: 36 }, encoding: { y: { ...y, field: "y" } } };
  const line = {
    mark: { type: "line", strokeWidth: 1.2, opacity: 0.5 },
    encoding: { y: { ...y, field: "y" } },
  };
  const levels = levelLayers(panel, y, size.width);
  const measured = {
    data: csvData(cells, numeric),
    encoding,
    layer: [...(numeric ? [line] : []), whisker, points],
  };
  return {
    ...size,
    title: { text: panel.title, anchor: "start", fontSize: 13 },
    layer: [...levels, measured],
  };
}

/**
 * Makes a chart of measurements with intervals.
 *
 * @param options See {@linkcode IntervalChartOptions}.
 * @returns A chart for `show`, or `await chart.toSvg()` for a file.
 *
 * @example
 * ```ts
 * import { intervalChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const points = [{ x: 100, y: 5.5, low: 5.4, high: 5.6 }, { x: 200, y: 5, low: 4.9, high: 5.1 }];
 * const chart = intervalChart({ panels: [{ title: "[MASK] loss", series: [{ name: "model", points }] }] });
 * assert.match(chart.text, /step 200: 5 \(4.9 to 5.1\)/);
 * ```
 */
export function intervalChart(options: IntervalChartOptions): Chart {
  const { panels, title, xLabel = "step", width = 260, height = 200 } = options;
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))];
  const all = panels.flatMap(({ series }) => series.flatMap(({ points }) => points));
  const axis = { numeric: all.every(({ x }) => typeof x === "number"), xLabel, names };
  const text = [
    title ?? "chart",
    ...panels.flatMap((panel) => [
      `  ${panel.title}`,
      ...panel.series.flatMap(({ name, points }) =>
        points.map(({ x, y, low, high }) =>
          `    ${names.length > 1 ? `${name}, ` : ""}${xLabel} ${x}: ${numberText(y, 4)} (${
            numberText(low, 4)
          } to ${numberText(high, 4)})`
        )
      ),
      ...(panel.baselines ?? []).map(({ name, value }) => `    ${name} (baseline): ${numberText(value, 4)}`),
    ]),
  ].join("\n");
  const spec = { hconcat: panels.map((panel) => panelSpec(panel, { width, height }, axis)), spacing: 30 };
  return chart({
    ...(title === undefined ? {} : { title: { text: title, anchor: "start", offset: 16 } }),
    ...spec,
  }, text);
}

/** Rows as CSV inside the specification: a stored notebook would give every object of a list seven lines. */
function csvData(rows: readonly (readonly (string | number | null)[])[], numeric: boolean): object {
  const cell = (value: string | number | null): string => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const lines = rows.map((row) => row.map(cell).join(","));
  const numbers = { y: "number", low: "number", high: "number" };
  const format = { type: "csv", parse: { ...numbers, x: numeric ? "number" : "string" } };
  return { values: ["series,x,y,low,high", ...lines].join("\n"), format };
}
