/**
 * What all charts share: a vega-lite specification (schema v5, which JupyterLab has built in), the SVG made from it here, and
 * a summary in words. JupyterLab takes the first, static viewers the second, terminals the third.
 */
import type { Bundle } from "./bundle.ts";
import { DATA_DIGITS, numberText, roundTo } from "./numbers.ts";
import { CHART_CONFIG, vegaLiteToSvg } from "./vega.ts";

const SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json";

/**
 * A chart: give it to `show`, or ask for its parts.
 *
 * @example
 * ```ts
 * import { type Chart, lineChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const chart: Chart = lineChart({ series: [{ name: "loss", x: [0, 1], y: [10.3, 9.8] }] });
 * const svg = await chart.toSvg();
 * assert.ok(svg.startsWith("<svg ") && svg.includes("viewBox="));
 * ```
 */
export type Chart = {
  /** The vega-lite specification, a plain JSON object. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** What the chart says, in words and numbers. */
  readonly text: string;
  /** Draws the chart as SVG; the same bytes in every runtime. */
  readonly toSvg: () => Promise<string>;
  /** All forms: vega-lite, SVG, text. */
  readonly toBundle: () => Promise<Bundle>;
};

/**
 * Makes a chart of a vega-lite specification of your own, for what `lineChart` and its relatives do not draw.
 *
 * @param spec The specification without `$schema`; `config` is ours unless it has one. Round its data, or two runtimes may
 *   store different bytes.
 * @param text What the chart says, in words; its first line also describes the SVG.
 * @returns A chart for `show`.
 *
 * @example
 * ```ts
 * import { chart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const dots = chart({
 *   data: { values: [{ rank: 1, count: 900 }, { rank: 2, count: 450 }] },
 *   mark: "point",
 *   encoding: { x: { field: "rank", type: "quantitative" }, y: { field: "count", type: "quantitative" } },
 * }, "counts by rank");
 * assert.match(await dots.toSvg(), /aria-label="counts by rank"/);
 * ```
 */
export function chart(spec: Readonly<Record<string, unknown>>, text: string): Chart {
  const full = { $schema: SCHEMA, config: CHART_CONFIG, ...spec };
  const toSvg = (): Promise<string> => vegaLiteToSvg(full, text.split("\n")[0] ?? "chart");
  return {
    spec: full,
    text,
    toSvg,
    toBundle: async () => ({
      "application/vnd.vegalite.v5+json": full,
      "image/svg+xml": await toSvg(),
      "text/plain": text,
    }),
  };
}

/** A data value: rounded, and `null` when it cannot be drawn. */
export function datum(value: number | undefined): number | null {
  if (value === undefined || !Number.isFinite(value)) return null;
  const rounded = roundTo(value, DATA_DIGITS);
  return rounded === 0 ? 0 : rounded; // JSON has no -0
}

/** `"a to b"` of what is finite, for summaries. */
export function rangeText(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return "no values";
  const [low, high] = extent(finite);
  return low === high ? numberText(low) : `${numberText(low)} to ${numberText(high)}`;
}

/** Smallest and largest of what is finite; `[0, 1]` when nothing is. */
export function extent(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? [0, 1] : [low, high];
}

/** Throws when two columns that belong together differ in length. */
export function checkLengths(action: string, name: string, x: ArrayLike<number>, y: ArrayLike<number>): void {
  if (x.length === y.length) return;
  throw new RangeError(
    `Cannot ${action}: "${name}" has ${x.length} x values and ${y.length} y values, give one y for each x`,
  );
}
