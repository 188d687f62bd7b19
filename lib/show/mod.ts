/**
 * Everything a person looks at: `show` for both kernels and plain scripts, tables, charts, figures, pictures, progress.
 * Pictures are pure functions from data to bundles, so a test compares them byte for byte.
 *
 * @module
 */
export { type Bundle, html, type Showable } from "./bundle.ts";
export { type Chart } from "./chart.ts";
export { guardKernel } from "./guard.ts";
export { type Baseline, lineChart, type LineChartOptions, type LineSeries } from "./line_chart.ts";
export { bundleFor, show, type ShowOptions } from "./show.ts";
