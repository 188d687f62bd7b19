/**
 * A line chart that grows while training runs: SVG while it moves (a vega-lite slot flickers), the full chart at the end.
 */
import type { Chart } from "./chart.ts";
import { lineChart, type LineChartOptions } from "./line_chart.ts";
import { type LiveOptions, liveSlot } from "./live.ts";
import { throwIfStopped } from "./stop.ts";

/**
 * One point of a live chart.
 *
 * @example
 * ```ts
 * import type { LivePoint } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const point: LivePoint = { x: 10, y: 9.8, series: "train" };
 * assert.equal(point.series, "train");
 * ```
 */
export type LivePoint = {
  /** Where, such as the step. */
  readonly x: number;
  /** What was measured. */
  readonly y: number;
  /** Which line; default `"loss"`. */
  readonly series?: string;
};

/**
 * A chart to which points are added.
 *
 * @example
 * ```ts
 * import { type LiveChart, liveChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const live: LiveChart = liveChart();
 * await live.add({ x: 0, y: 10.3 });
 * assert.match(live.chart().text, /loss: first 10\.3/);
 * ```
 */
export type LiveChart = {
  /** Adds a point and redraws when it is time; await it in the loop, so that the picture is sent. */
  readonly add: (point: LivePoint) => Promise<void>;
  /** The chart of all points so far. */
  readonly chart: () => Chart;
  /** Shows the finished chart in all its forms. */
  readonly done: () => Promise<void>;
};

/**
 * Opens a live chart. In a cell it redraws at most twice a second; headless and in plain processes it shows itself once, at
 * the end.
 *
 * @param options Everything of a line chart but its series.
 * @returns The chart; call `add` for each point and `done` at the end.
 *
 * @example
 * ```ts
 * import { liveChart } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const live = liveChart({ title: "Loss", yLabel: "nats" });
 * for (let step = 0; step < 3; step++) await live.add({ x: step, y: 10 - step });
 * await live.done();
 * assert.match(live.chart().text, /first 10, last 8/);
 * ```
 */
export function liveChart(options: Omit<LineChartOptions, "series"> = {}): LiveChart {
  return makeLiveChart(options, {});
}

/** {@linkcode liveChart} with a given host and clock. */
export function makeLiveChart(options: Omit<LineChartOptions, "series">, live: LiveOptions): LiveChart {
  const slot = liveSlot({ intervalMs: 500, ...live });
  const lines = new Map<string, { x: number[]; y: number[] }>();
  const chart = (): Chart =>
    lineChart({ ...options, series: [...lines].map(([name, { x, y }]) => ({ name, x, y })) });
  let drawing = false;
  return {
    add: async ({ x, y, series = "loss" }) => {
      throwIfStopped();
      const line = lines.get(series) ?? { x: [], y: [] };
      lines.set(series, line);
      line.x.push(x);
      line.y.push(y);
      if (drawing || !slot.isDue()) return;
      drawing = true;
      try {
        const now = chart();
        await slot.update({ "image/svg+xml": await now.toSvg(), "text/plain": now.text });
      } finally {
        drawing = false;
      }
    },
    chart,
    done: async () => {
      await slot.done(await chart().toBundle());
    },
  };
}
