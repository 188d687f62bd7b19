/**
 * Bar charts with one panel per group, and histograms. The bars of a panel are the guesses for one masked word: name on the
 * left, probability at the end of the bar.
 */
import { type Chart, chart, datum, extent, rangeText } from "./chart.ts";
import { LABEL_DIGITS, numberText, roundTo } from "./numbers.ts";
import { clip, columns, INK, PALETTE } from "./svg.ts";

/**
 * One panel of a bar chart.
 *
 * @example
 * ```ts
 * import { barChart, type BarGroup } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const group: BarGroup = { title: "The [MASK] sat.", bars: [{ label: "▁cat", value: 0.4, highlight: true }] };
 * assert.match(barChart({ groups: [group] }).text, /▁cat +0\.4/);
 * ```
 */
export type BarGroup = {
  /** Heading of the panel, such as the sentence with its mask; default none. */
  readonly title?: string;
  /** The bars from top to bottom; `highlight` draws one in another colour. */
  readonly bars: readonly { readonly label: string; readonly value: number; readonly highlight?: boolean }[];
};

/**
 * What a bar chart shows.
 *
 * @example
 * ```ts
 * import { barChart, type BarChartOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: BarChartOptions = { groups: [{ bars: [{ label: "MLM", value: 0.8 }] }], title: "Share" };
 * assert.match(barChart(options).text, /^Share/);
 * ```
 */
export type BarChartOptions = {
  /** The panels from top to bottom. */
  readonly groups: readonly BarGroup[];
  /** Title above all panels; default none. */
  readonly title?: string;
  /** Name of the value axis; default `""`. */
  readonly xLabel?: string;
  /** Width of a plot in pixels; default 360. */
  readonly width?: number;
  /** Height of one bar with its gap in pixels; default 20. */
  readonly barHeight?: number;
  /** Right end of the value axis; default the largest value. */
  readonly maximum?: number;
};

/** Labels made different from each other, since they are positions on an axis. */
export function distinct(labels: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return labels.map((label) => {
    const count = (seen.get(label) ?? 0) + 1;
    seen.set(label, count);
    return count === 1 ? label : `${label} (${count})`;
  });
}

type BarLayout = {
  readonly xLabel: string;
  readonly width: number;
  readonly barHeight: number;
  readonly domain: readonly [number, number];
  readonly labelWidth: number;
};

/** A bar and its value for every row of the data. */
function barLayers({ xLabel, width, barHeight, domain, labelWidth }: BarLayout): Record<string, unknown> {
  const axis = { minExtent: labelWidth, labelLimit: 400, ticks: false, domain: false, labelFontSize: 12 };
  return {
    width,
    height: { step: barHeight },
    encoding: {
      y: { field: "label", type: "nominal", sort: null, title: null, axis },
      x: {
        field: "value",
        type: "quantitative",
        title: xLabel === "" ? null : xLabel,
        scale: { domain, nice: false },
        axis: { tickCount: 5, grid: false },
      },
    },
    layer: [
      {
        mark: { type: "bar", cornerRadiusEnd: 2 },
        encoding: {
          color: {
            field: "kind",
            legend: null,
            scale: { domain: ["no", "yes"], range: ["#7fb0e6", PALETTE[1]] },
          },
        },
      },
      {
        mark: { type: "text", align: "left", dx: 4, color: INK },
        encoding: { text: { field: "value", type: "quantitative", format: ".4~r" } },
      },
    ],
  };
}

/** Bars with their values written beside them: one panel, or one per group. */
function barsSpec(
  groups: readonly BarGroup[],
  options: BarLayout,
): Record<string, unknown> {
  const titles = distinct(groups.map(({ title = "" }) => title));
  const values = groups.flatMap(({ bars }, group) => {
    const labels = distinct(bars.map(({ label }) => label));
    return bars.map((
      { value, highlight },
      i,
    ) => [titles[group], labels[i] ?? "", datum(value), highlight === true ? "yes" : "no"]);
  });
  const rows = [["group", "label", "value", "kind"], ...values];
  const csv = rows.map((row) => row.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(",")).join(
    "\n",
  );
  const layers = barLayers(options);
  const data = { values: csv, format: { type: "csv" } };
  if (groups.every(({ title }) => title === undefined)) return { data, ...layers };
  const header = {
    title: null,
    labelOrient: "top",
    labelAnchor: "start",
    labelFontSize: 13,
    labelLimit: 900,
  };
  return {
    data,
    facet: { row: { field: "group", sort: titles, header } },
    spec: layers,
    resolve: { scale: { y: "independent" } },
  };
}

/**
 * Makes a chart of horizontal bars, one panel per group, all on one scale.
 *
 * @param options See {@linkcode BarChartOptions}.
 * @returns A chart for `show`.
 *
 * @example
 * ```ts
 * import { barChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chart = barChart({
 *   groups: [{ title: "lengths", bars: [{ label: "short", value: 90 }, { label: "full", value: 10 }] }],
 *   xLabel: "instances",
 * });
 * assert.equal(chart.text, "lengths\n  short  90\n  full   10");
 * ```
 */
export function barChart(options: BarChartOptions): Chart {
  const { groups, title, xLabel = "", width = 360, barHeight = 20, maximum } = options;
  const all = groups.flatMap(({ bars }) => bars.map(({ value }) => value));
  const [low, high] = extent([0, ...all]);
  const domain: [number, number] = [
    roundTo(low, LABEL_DIGITS),
    roundTo(maximum ?? (high || 1), LABEL_DIGITS),
  ];
  const labelColumns = Math.max(
    4,
    ...groups.flatMap(({ bars }) => bars.map(({ label }) => columns(label) + 1)),
  );
  const labelWidth = Math.min(400, Math.ceil(labelColumns * 7));
  const text = [
    ...(title === undefined ? [] : [title]),
    ...groups.flatMap((group) => {
      const widest = Math.max(0, ...group.bars.map(({ label }) => columns(label)));
      return [
        ...(group.title === undefined ? [] : [group.title]),
        ...group.bars.map(({ label, value, highlight }) =>
          `  ${label}${" ".repeat(widest - columns(label))}  ${numberText(value, LABEL_DIGITS)}${
            highlight === true ? "  <" : ""
          }`
        ),
      ];
    }),
  ].join("\n");
  const spec = barsSpec(groups, { xLabel, width, barHeight, domain, labelWidth });
  return chart({ ...(title === undefined ? {} : { title }), ...spec }, text);
}

/**
 * One sentence with a mask, and the pieces a model offers for it.
 *
 * @example
 * ```ts
 * import { type MaskGuess, topPieces } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const guess: MaskGuess = { sentence: "A [MASK].", pieces: [{ piece: "▁dog", probability: 0.25 }] };
 * assert.match(topPieces([guess]).text, /▁dog  0\.25/);
 * ```
 */
export type MaskGuess = {
  /** The sentence, its mask written `[MASK]`. */
  readonly sentence: string;
  /** Pieces with their probabilities, the likeliest first. */
  readonly pieces: readonly { readonly piece: string; readonly probability: number }[];
  /** The piece that stood there, drawn in another colour; default none. */
  readonly truth?: string;
};

/**
 * Draws the likeliest pieces for masked words, one panel a sentence.
 *
 * @param guesses The sentences with their pieces.
 * @param options See the fields.
 * @param options.count How many pieces of each are drawn; default 5.
 * @param options.title Title above all panels; default none.
 * @returns A chart for `show`.
 *
 * @example
 * ```ts
 * import { topPieces } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chart = topPieces([{
 *   sentence: "The capital of France is [MASK].",
 *   pieces: [{ piece: "▁paris", probability: 0.71 }, { piece: "▁lyon", probability: 0.05 }],
 *   truth: "▁paris",
 * }]);
 * assert.match(chart.text, /▁paris  0\.71  </);
 * ```
 */
export function topPieces(
  guesses: readonly MaskGuess[],
  { count = 5, title }: { readonly count?: number; readonly title?: string } = {},
): Chart {
  const groups = guesses.map(({ sentence, pieces, truth }) => ({
    title: clip(sentence, 76),
    bars: pieces.slice(0, count).map(({ piece, probability }) => ({
      label: piece,
      value: probability,
      highlight: piece === truth,
    })),
  }));
  return barChart({ groups, xLabel: "probability", ...(title === undefined ? {} : { title }) });
}

/**
 * Counts values in bins of equal width and draws the counts.
 *
 * @param values What is counted; what is not finite is left out.
 * @param options See the fields.
 * @param options.bins Number of bins; default 20.
 * @param options.title Title above the chart; default none.
 * @param options.xLabel Name of the value axis; default `"value"`.
 * @param options.yLabel Name of the count axis; default `"count"`.
 * @param options.width Width of the plot in pixels; default 520.
 * @param options.height Height of the plot in pixels; default 220.
 * @returns A chart for `show`.
 *
 * @example
 * ```ts
 * import { histogram } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chart = histogram([1, 1, 2, 5], { bins: 2, xLabel: "pieces" });
 * assert.equal(chart.text, "chart: 4 values, pieces 1 to 5\n  1 to 3  3\n  3 to 5  1");
 * ```
 */
export function histogram(
  values: ArrayLike<number>,
  { bins = 20, title, xLabel = "value", yLabel = "count", width = 520, height = 220 }: {
    readonly bins?: number;
    readonly title?: string;
    readonly xLabel?: string;
    readonly yLabel?: string;
    readonly width?: number;
    readonly height?: number;
  } = {},
): Chart {
  if (!Number.isInteger(bins) || bins < 1) {
    throw new RangeError(`Cannot draw a histogram: bins is ${bins}, give a whole number of 1 or more`);
  }
  const finite = Array.from(values).filter(Number.isFinite);
  const [low, high] = extent(finite);
  const step = (high - low) / bins || 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of finite) {
    const bin = Math.min(bins - 1, Math.floor((value - low) / step));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const rows = counts.map((count, i) => ({
    from: datum(low + i * step),
    to: datum(low + (i + 1) * step),
    count,
  }));
  const widest = Math.max(...rows.map(({ from, to }) => `${from} to ${to}`.length));
  const text = [
    `${title ?? "chart"}: ${finite.length} values, ${xLabel} ${rangeText(finite)}`,
    ...rows.map(({ from, to, count }) => `  ${`${from} to ${to}`.padEnd(widest)}  ${count}`),
  ].join("\n");
  return chart({
    ...(title === undefined ? {} : { title }),
    width,
    height,
    data: { values: rows },
    mark: { type: "bar", color: PALETTE[0], binSpacing: 1 },
    encoding: {
      x: {
        field: "from",
        type: "quantitative",
        bin: { binned: true, step },
        title: xLabel,
        scale: { zero: false },
      },
      x2: { field: "to" },
      y: { field: "count", type: "quantitative", title: yLabel },
    },
  }, text);
}
