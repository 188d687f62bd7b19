/**
 * Fine-tuning in words: log lines, the result with its intervals, the confusion of labels.
 */
import { table } from "../show/mod.ts";
import type { FinetuneResult, TaskMetrics } from "../train/mod.ts";

const share = (value: number): string => (100 * value).toFixed(1);

/** A share in percent with its interval. */
function withInterval({ intervals }: TaskMetrics, name: string, value: number): string {
  const [low, high] = intervals[name] ?? [NaN, NaN];
  return `${share(value)} % (${share(low)}-${share(high)})`;
}

/** One log line. */
export function describeTaskStep(
  { step, loss, accuracy, learning_rate, gradient_norm, tokens_per_second, evaluation }:
    FinetuneResult["log"][number],
): string {
  const held = evaluation === undefined
    ? ""
    : `, held-out ${evaluation.loss.toFixed(3)} (accuracy ${evaluation.accuracy.toFixed(3)}${
      evaluation.entity_f1 === undefined ? "" : `, entity F1 ${evaluation.entity_f1.toFixed(3)}`
    })`;
  return `step ${step}: loss ${loss.toFixed(3)} (accuracy ${accuracy.toFixed(3)}), rate ${
    learning_rate.toPrecision(3)
  }, ` +
    `gradient norm ${gradient_norm.toFixed(2)}, ${Math.round(tokens_per_second)} tokens/s${held}`;
}

/** The held-out result, a line each; the intervals are 95 %, over examples. */
export function describeResult(metrics: TaskMetrics): string[] {
  const { accuracy, macro_f1, majority, examples, words_cut = 0, entity_f1, entities, labels, confusion } =
    metrics;
  const lines = [
    `held out: ${examples} examples, accuracy ${withInterval(metrics, "accuracy", accuracy)}, ` +
    `macro F1 ${withInterval(metrics, "macro_f1", macro_f1)}; the commonest label alone gives ${
      share(majority)
    } %`,
  ];
  if (words_cut > 0) lines.push(`${words_cut} words were beyond max_seq_length and count as not found`);
  if (entity_f1 !== undefined && entities !== undefined) {
    lines.push(
      `entities: precision ${share(metrics.entity_precision ?? NaN)} %, recall ${
        share(metrics.entity_recall ?? NaN)
      } %, ` + `F1 ${withInterval(metrics, "entity_f1", entity_f1)}`,
    );
    lines.push(...rows(entities.map(({ label, ...scores }) => ({ kind: label, ...percent(scores) }))));
    return lines;
  }
  lines.push(...rows(labels.map(({ label, ...scores }, row) => ({
    "true label": label,
    ...percent(scores),
    ...(labels.length > 12
      ? {}
      : Object.fromEntries(labels.map((other, i) => [`as ${other.label}`, confusion[row]?.[i] ?? 0]))),
  }))));
  return lines;
}

const percent = (
  { precision, recall, f1, support }: Omit<TaskMetrics["labels"][number], "label">,
): Record<string, string | number> => ({
  "precision, %": share(precision),
  "recall, %": share(recall),
  "F1, %": share(f1),
  support,
});

const rows = (cells: readonly Record<string, string | number>[]): string[] =>
  String(table(cells).bundle["text/plain"]).split("\n");
