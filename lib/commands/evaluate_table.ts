/**
 * Evaluations as a person reads them: a table with rows by output_dir, whose last column compares each checkpoint with the
 * step before it, record by record; the bands of one checkpoint; and a chart with intervals.
 */
import { basename, dirname } from "node:path";
import { type Chart, intervalChart, table } from "../show/mod.ts";
import { compareRecords, type DetailedMetrics, type MetricBand } from "../train/mod.ts";

/** One checkpoint and its metrics. */
export type Measured = { readonly path: string; readonly step: number; readonly metrics: DetailedMetrics };

/** The output_dir that a checkpoint belongs to. */
export const folderOf = (path: string): string => /^step-\d+$/.test(basename(path)) ? dirname(path) : path;

const stepOf = ({ path, step }: Measured): string =>
  folderOf(path) === path ? `step ${step}` : basename(path);

type Name = "masked_lm_loss" | "masked_lm_mask_loss" | "masked_lm_mask_accuracy" | "sentence_order_accuracy";

const withHalf = (value: number, half: number, digits: number): string =>
  `${value.toFixed(digits)}${Number.isFinite(half) ? ` ±${half.toFixed(digits)}` : ""}`;

/** A loss with half of its interval. */
function loss({ intervals, ...metrics }: DetailedMetrics, name: Name): string {
  const [low, high] = intervals[name] ?? [NaN, NaN];
  return withHalf(metrics[name], (high - low) / 2, 3);
}

/** A share in percent with its interval, which has two sides of its own. */
const share = (value: number, [low, high]: readonly [number, number]): string => {
  const [middle, from, to] = [value, low, high].map((each) => (100 * each).toFixed(1));
  return `${middle} (${from}-${to})`;
};

const shareOf = ({ intervals, ...metrics }: DetailedMetrics, name: Name): string =>
  share(metrics[name], intervals[name] ?? [NaN, NaN]);

/** Loss on [MASK] positions minus that of another checkpoint, on the same records. */
function change({ metrics }: Measured, other: Measured | undefined): string {
  const [before, after] = [other?.metrics.records, metrics.records];
  if (before === undefined || after === undefined) return "";
  if (before.masks.join() !== after.masks.join()) return "other records";
  const { value, high } = compareRecords(before, after).mask_loss;
  return withHalf(value, high - value, 3);
}

const columns: readonly (readonly [title: string, cell: (one: Measured, before?: Measured) => string])[] = [
  ["MLM loss", ({ metrics }) => loss(metrics, "masked_lm_loss")],
  ["[MASK] loss", ({ metrics }) => loss(metrics, "masked_lm_mask_loss")],
  ["perplexity", ({ metrics }) => metrics.mask_perplexity.toPrecision(4)],
  ["[MASK] right, %", ({ metrics }) => shareOf(metrics, "masked_lm_mask_accuracy")],
  ["SOP right, %", ({ metrics }) => shareOf(metrics, "sentence_order_accuracy")],
  ["loss - step before", change],
];

const widths = columns.map(([title], i) => Math.max(title.length, i === 3 || i === 4 ? 18 : 14));

function line(name: string, cells: readonly string[]): string {
  return `${name.padEnd(14)}${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  ")}`.trimEnd();
}

/** The titles. */
export function tableHeader(): string {
  return line("checkpoint", columns.map(([title]) => title));
}

/** The lines of one checkpoint; a folder is named above its first. */
export function tableRows(one: Measured, above: Measured | undefined): string[] {
  const folder = folderOf(one.path);
  const before = above !== undefined && folderOf(above.path) === folder ? above : undefined;
  return [
    ...(before === undefined ? [`${folder}:`] : []),
    line(`  ${stepOf(one)}`, columns.map(([, cell]) => cell(one, before))),
  ];
}

/** What the numbers mean. */
export const tableNote: string =
  "Losses ± half of the 95 % interval over records, shares with Wilson's; perplexity is that of [MASK] positions; " +
  "the last column compares the same records, so it is clear when its ± is smaller than itself";

/** The last checkpoint of each folder beside that of the first folder. */
export function foldersCompared(measured: readonly Measured[]): string[] {
  const last = [...new Map(measured.map((one) => [folderOf(one.path), one])).values()];
  const [first, ...others] = last;
  return first === undefined
    ? []
    : others.map((one) => `[MASK] loss of ${one.path} - ${first.path}: ${change(one, first)}`);
}

/** Where a checkpoint is good and where not: a table for each kind of band. */
export function bandTables({ metrics }: Measured): string[] {
  const kinds: readonly (readonly [string, readonly MetricBand[] | undefined])[] = [
    ["rank of the piece", metrics.by_piece_frequency],
    ["rank of the word", metrics.by_word_frequency],
    ["letters of the word", metrics.by_word_length],
  ];
  return kinds.flatMap(([title, bands]) => {
    if (bands === undefined) return [];
    const rows = bands.map(({ band, predictions, accuracy, accuracy_interval, loss }) => ({
      [title]: band,
      predictions,
      "[MASK] right, %": share(accuracy, accuracy_interval),
      loss: loss.toFixed(3),
    }));
    const numbers = ["[MASK] right, %", "loss"].map((key) => ({ key, align: "right" as const }));
    const { bundle } = table(rows, { columns: [title, "predictions", ...numbers] });
    return ["", ...String(bundle["text/plain"]).split("\n")];
  });
}

const panels: readonly (readonly [title: string, name: Name, scale: number])[] = [
  ["Loss on [MASK], nats", "masked_lm_mask_loss", 1],
  ["Right on [MASK], %", "masked_lm_mask_accuracy", 100],
  ["Sentence order right, %", "sentence_order_accuracy", 100],
];

/** A chart over the steps: one colour for each output_dir, one panel for each metric. */
export function checkpointsChart(measured: readonly Measured[]): Chart {
  const folders = [...new Set(measured.map(({ path }) => folderOf(path)))];
  return intervalChart({
    title: "Held-out metrics with 95 % intervals",
    panels: panels.map(([title, name, scale]) => ({
      title,
      series: folders.map((folder) => ({
        name: folder,
        points: measured.filter((each) => folderOf(each.path) === folder).map(({ step, metrics }) => {
          const [low, high] = metrics.intervals[name] ?? [NaN, NaN];
          return { x: step, y: scale * metrics[name], low: scale * low, high: scale * high };
        }),
      })),
    })),
  });
}
