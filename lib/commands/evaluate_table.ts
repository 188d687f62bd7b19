/**
 * Several evaluations beside each other: a table whose last column compares each checkpoint with the one above, record by
 * record, and a chart with intervals.
 */
import { basename, dirname } from "node:path";
import { type Chart, intervalChart } from "../show/mod.ts";
import { compareRecords, type DetailedMetrics } from "../train/mod.ts";

/** One checkpoint and its metrics. */
export type Measured = { readonly path: string; readonly step: number; readonly metrics: DetailedMetrics };

type Name = "masked_lm_loss" | "masked_lm_mask_loss" | "masked_lm_mask_accuracy" | "sentence_order_accuracy";

/** A metric times `scale` with half of its interval. */
function spread(
  { intervals, ...metrics }: DetailedMetrics,
  name: Name,
  scale: number,
  digits: number,
): string {
  const [low, high] = intervals[name] ?? [NaN, NaN];
  return withHalf(scale * metrics[name], scale * (high - low) / 2, digits);
}

const withHalf = (value: number, half: number, digits: number): string =>
  `${value.toFixed(digits)}${Number.isFinite(half) ? ` ±${half.toFixed(digits)}` : ""}`;

/** Loss on [MASK] positions minus that of the checkpoint above, on the same records. */
function change({ metrics }: Measured, above: Measured | undefined): string {
  const [before, after] = [above?.metrics.records, metrics.records];
  if (before === undefined || after === undefined) return "";
  if (before.masks.join() !== after.masks.join()) return "other records";
  const { value, high } = compareRecords(before, after).mask_loss;
  return withHalf(value, high - value, 3);
}

const columns: readonly (readonly [title: string, cell: (one: Measured, above?: Measured) => string])[] = [
  ["MLM loss", ({ metrics }) => spread(metrics, "masked_lm_loss", 1, 3)],
  ["[MASK] loss", ({ metrics }) => spread(metrics, "masked_lm_mask_loss", 1, 3)],
  ["perplexity", ({ metrics }) => metrics.mask_perplexity.toPrecision(4)],
  ["[MASK] right, %", ({ metrics }) => spread(metrics, "masked_lm_mask_accuracy", 100, 1)],
  ["SOP right, %", ({ metrics }) => spread(metrics, "sentence_order_accuracy", 100, 1)],
  ["loss - row above", change],
];

const widths = columns.map(([title]) => Math.max(title.length, 14));

function line(name: string, cells: readonly string[], width: number): string {
  return `${name.padEnd(width)}  ${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  ")}`
    .trimEnd();
}

/** The titles; `width` is that of the longest path. */
export function tableHeader(width: number): string {
  return line("checkpoint", columns.map(([title]) => title), width);
}

/** One checkpoint. */
export function tableRow(measured: Measured, width: number, above?: Measured): string {
  return line(measured.path, columns.map(([, cell]) => cell(measured, above)), width);
}

/** What the numbers mean. */
export const tableNote: string =
  "±: half of the 95 % interval over records; perplexity is that of [MASK] positions; " +
  "the last column compares the same records, so it is clear when its ± is smaller than itself";

const panels: readonly (readonly [title: string, name: Name, scale: number])[] = [
  ["Loss on [MASK], nats", "masked_lm_mask_loss", 1],
  ["Right on [MASK], %", "masked_lm_mask_accuracy", 100],
  ["Sentence order right, %", "sentence_order_accuracy", 100],
];

/** A chart over the steps: one colour for each output_dir, one panel for each metric. */
export function checkpointsChart(measured: readonly Measured[]): Chart {
  const folderOf = ({ path }: Measured): string => /^step-\d+$/.test(basename(path)) ? dirname(path) : path;
  const folders = [...new Set(measured.map(folderOf))];
  return intervalChart({
    title: "Held-out metrics with 95 % intervals",
    panels: panels.map(([title, name, scale]) => ({
      title,
      series: folders.map((folder) => ({
        name: folder,
        points: measured.filter((each) => folderOf(each) === folder).map(({ step, metrics }) => {
          const [low, high] = metrics.intervals[name] ?? [NaN, NaN];
          return { x: step, y: scale * metrics[name], low: scale * low, high: scale * high };
        }),
      })),
    })),
  });
}
