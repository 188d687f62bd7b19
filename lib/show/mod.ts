/**
 * Everything a person looks at: `show` for both kernels and plain scripts, tables, charts, figures, pictures, progress.
 * Pictures are pure functions from data to bundles, so a test compares them byte for byte.
 *
 * @module
 */
export {
  barChart,
  type BarChartOptions,
  type BarGroup,
  histogram,
  type MaskGuess,
  topPieces,
} from "./bar_chart.ts";
export { type BarPanel, barPanels, type BarPanelsOptions } from "./bar_panels.ts";
export { type Bundle, html, type Showable } from "./bundle.ts";
export { type ByteField, recordBytesPicture } from "./bytes_picture.ts";
export { type Chart, chart } from "./chart.ts";
export { graphPicture } from "./graph_picture.ts";
export { guardKernel } from "./guard.ts";
export {
  intervalChart,
  type IntervalChartOptions,
  type IntervalPanel,
  type IntervalPoint,
} from "./interval_chart.ts";
export { type Baseline, lineChart, type LineChartOptions, type LineSeries } from "./line_chart.ts";
export { type MaskPanel, maskStrips } from "./mask_strips.ts";
export { ngramsPicture, type NgramVisit } from "./ngrams_picture.ts";
export { instancePicture, type PictureInstance, piecesPicture } from "./pieces_picture.ts";
export { type SegmentChunk, segmentsPicture } from "./segments_picture.ts";
export { bundleFor, show, type ShowOptions } from "./show.ts";
export { type Column, table, type TableOptions } from "./table.ts";
export {
  attentionFigure,
  type AttentionMap,
  figure,
  type FigureOptions,
  type HeatmapTrace,
  type Scatter3dTrace,
} from "./figure.ts";
export { sentenceMap } from "./sentence_map.ts";
export { programListing } from "./listing.ts";
export { type LiveChart, liveChart, type LivePoint } from "./live_chart.ts";
export { type ProgressDisplay, progressDisplay } from "./progress_display.ts";
