/**
 * Line charts: losses and accuracies over steps, with named baselines (chance, the frequency of the commonest piece) as
 * dashed lines. Long series are thinned to what a screen can show, keeping every bucket's lowest and highest point.
 */
import { type Chart, chart, checkLengths, datum, extent, rangeText } from "./chart.ts";
import { LABEL_DIGITS, numberText, roundTo } from "./numbers.ts";
import { FAINT, PALETTE } from "./svg.ts";

/**
 * One line of a chart.
 *
 * @example
 * ```ts
 * import { type LineSeries, lineChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const masked: LineSeries = { name: "masked pieces", x: [0, 10], y: [0, 0.4], dash: true };
 * assert.match(lineChart({ series: [masked] }).text, /masked pieces/);
 * ```
 */
export type LineSeries = {
  /** Name in the legend. */
  readonly name: string;
  /** Where the points are, ascending. */
  readonly x: ArrayLike<number>;
  /** What is measured; what is not finite leaves a gap. */
  readonly y: ArrayLike<number>;
  /** Whether the line is dashed; default false. */
  readonly dash?: boolean;
};

/**
 * A level drawn across a chart.
 *
 * @example
 * ```ts
 * import type { Baseline } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chance: Baseline = { name: "chance", value: Math.log(30000) };
 * assert.equal(chance.value.toFixed(2), "10.31");
 * ```
 */
export type Baseline = {
  /** What the level means. */
  readonly name: string;
  /** Its height, in units of y. */
  readonly value: number;
};

/**
 * What a line chart shows.
 *
 * @example
 * ```ts
 * import { lineChart, type LineChartOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: LineChartOptions = { series: [{ name: "lr", x: [0, 1], y: [0, 1e-3] }], xLabel: "step" };
 * assert.match(lineChart(options).text, /^chart: step 0 to 1/);
 * ```
 */
export type LineChartOptions = {
  /** The lines. */
  readonly series: readonly LineSeries[];
  /** Levels across the chart; default none. */
  readonly baselines?: readonly Baseline[];
  /** Title above the chart; default none. */
  readonly title?: string;
  /** Name of the x axis; default `"step"`. */
  readonly xLabel?: string;
  /** Name of the y axis; default `""`. */
  readonly yLabel?: string;
  /** Width of the plot in pixels; default 520. */
  readonly width?: number;
  /** Height of the plot in pixels; default 260. */
  readonly height?: number;
  /** Scale of y; default `"linear"`. */
  readonly yScale?: "linear" | "log";
  /** Range of y; default what the data and baselines need. */
  readonly yDomain?: readonly [number, number];
  /** Most points kept for a line; default 300. */
  readonly maxPoints?: number;
};

/** Indices kept of a long series: both ends, and the extremes of each bucket. */
function thin(y: ArrayLike<number>, maxPoints: number): number[] {
  if (y.length <= maxPoints) return Array.from({ length: y.length }, (_, i) => i);
  const kept = new Set<number>([0, y.length - 1]);
  const buckets = Math.max(1, Math.floor((maxPoints - 2) / 2));
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = Math.floor((bucket * y.length) / buckets);
    const to = Math.floor(((bucket + 1) * y.length) / buckets);
    let low = from;
    let high = from;
    for (let i = from; i < to; i++) {
      const value = Number(y[i]);
      if (!Number.isFinite(value)) continue;
      if (!(Number(y[low]) <= value)) low = i;
      if (!(Number(y[high]) >= value)) high = i;
    }
    kept.add(low).add(high);
  }
  return [...kept].sort((a, b) => a - b);
}

/** Room around the data: 4 % on a linear scale; none on a logarithmic one. */
function yRange(
  values: readonly number[],
  yScale: "linear" | "log",
  yDomain: readonly [number, number] | undefined,
): [number, number] {
  if (yDomain !== undefined) return [yDomain[0], yDomain[1]];
  const usable = yScale === "log" ? values.filter((value) => value > 0) : values;
  const [low, high] = extent(usable);
  if (yScale === "log") return [roundTo(low * 0.9, 3), roundTo(high * 1.1, 3)];
  const room = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1;
  const bottom = low >= 0 && low - room < 0 ? 0 : low - room;
  return [roundTo(bottom, LABEL_DIGITS), roundTo(high + room, LABEL_DIGITS)];
}

/** Heights of baseline labels in pixels, moved apart so that none covers another. */
function labelHeights(
  values: readonly number[],
  [low, high]: readonly [number, number],
  height: number,
  log: boolean,
): number[] {
  const scale = (value: number): number => log ? Math.log(Math.max(value, low)) : value;
  const at = values.map((value) =>
    height * (1 - (scale(value) - scale(low)) / (scale(high) - scale(low) || 1))
  );
  const order = at.map((_, i) => i).sort((a, b) => (at[a] ?? 0) - (at[b] ?? 0));
  let free = -Infinity;
  for (const i of order) {
    at[i] = Math.max(at[i] ?? 0, free);
    free = (at[i] ?? 0) + 14;
  }
  return at.map((y) => roundTo(y, LABEL_DIGITS));
}

function summary(options: LineChartOptions, xLabel: string): string {
  const { series, baselines = [], title } = options;
  const xs = series.flatMap((line) => Array.from(line.x));
  const lines = series.map(({ name, y }) => {
    const values = Array.from(y);
    const first = values.find(Number.isFinite);
    const last = [...values].reverse().find(Number.isFinite);
    if (first === undefined || last === undefined) return `  ${name}: no values`;
    return `  ${name}: first ${numberText(first)}, last ${numberText(last)}, range ${rangeText(values)}`;
  });
  const levels = baselines.map(({ name, value }) => `  ${name} (baseline): ${numberText(value)}`);
  return [`${title ?? "chart"}: ${xLabel} ${rangeText(xs)}`, ...lines, ...levels].join("\n");
}

function baselineLayers(
  baselines: readonly Baseline[],
  domain: readonly [number, number],
  width: number,
  height: number,
  log: boolean,
): object[] {
  if (baselines.length === 0) return [];
  const labelY = labelHeights(baselines.map(({ value }) => value), domain, height, log);
  return baselines.flatMap(({ name, value }, i) => {
    const data = { values: [{ level: datum(value) }] };
    return [
      {
        data,
        mark: { type: "rule", color: FAINT, strokeDash: [2, 3], strokeWidth: 1.2 },
        encoding: { y: { field: "level", type: "quantitative" } },
      },
      {
        data,
        mark: { type: "text", align: "left", baseline: "middle", color: FAINT, fontSize: 11, text: name },
        encoding: { x: { value: width + 6 }, y: { value: labelY[i] ?? 0 } },
      },
    ];
  });
}

/**
 * Makes a line chart.
 *
 * @param options See {@linkcode LineChartOptions}.
 * @returns A chart for `show`.
 * @throws {RangeError} When a series has not one y for each x.
 *
 * @example
 * ```ts
 * import { lineChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chart = lineChart({
 *   series: [{ name: "train", x: [0, 100, 200], y: [10.3, 6.1, 4.2] }],
 *   baselines: [{ name: "chance", value: 10.31 }],
 *   title: "Masked-LM loss",
 *   yLabel: "loss (nats)",
 * });
 * assert.match(chart.text, /train: first 10\.3, last 4\.2/);
 * ```
 */
export function lineChart(options: LineChartOptions): Chart {
  const { series, baselines = [], title, xLabel = "step", yLabel = "", width = 520, height = 260 } = options;
  const { yScale = "linear", yDomain, maxPoints = 300 } = options;
  const values = series.flatMap(({ name, x, y }) => {
    checkLengths("draw a line chart", name, x, y);
    return thin(y, maxPoints).map((i) => ({ series: name, x: datum(x[i]), y: datum(y[i]) }));
  });
  const names = series.map(({ name }) => name);
  const levels = [...values.map(({ y }) => y ?? NaN), ...baselines.map(({ value }) => value)];
  const domain = yRange(levels, yScale, yDomain);
  const inside = baselines.filter(({ value }) => value >= domain[0] && value <= domain[1]);
  const legend = names.length > 1 ? { orient: "top", title: null, symbolType: "stroke" } : null;
  const scaleX = { nice: false, zero: false };
  const colour = { field: "series", type: "nominal", scale: { domain: names, range: colours(names.length) } };
  const dash = names.map((_, i) => series[i]?.dash === true ? [5, 4] : [1, 0]);
  const lines = {
    data: csvData(values),
    mark: {
      type: "line",
      strokeWidth: 2,
      clip: true,
      ...(values.length <= series.length ? { point: true } : {}),
    },
    encoding: {
      x: { field: "x", type: "quantitative", title: xLabel, scale: scaleX, axis: { tickCount: 7 } },
      y: {
        field: "y",
        type: "quantitative",
        title: yLabel === "" ? null : yLabel,
        scale: { type: yScale, domain, nice: false, ...(yScale === "log" ? {} : { zero: false }) },
      },
      color: { ...colour, legend },
      strokeDash: { field: "series", type: "nominal", scale: { domain: names, range: dash }, legend },
    },
  };
  const layer = [lines, ...baselineLayers(inside, domain, width, height, yScale === "log")];
  return chart(
    { ...(title === undefined ? {} : { title }), width, height, layer },
    summary(options, xLabel),
  );
}

/** Rows as CSV inside the specification: a stored notebook would give every object of a list five lines. */
function csvData(rows: readonly { series: string; x: number | null; y: number | null }[]): object {
  const lines = rows.map(({ series, x, y }) => `"${series.replace(/"/g, '""')}",${x ?? ""},${y ?? ""}`);
  const format = { type: "csv", parse: { series: "string", x: "number", y: "number" } };
  return { values: ["series,x,y", ...lines].join("\n"), format };
}

function colours(count: number): string[] {
  return Array.from({ length: count }, (_, i) => PALETTE[i % PALETTE.length] ?? FAINT);
}
