/**
 * Held-out metrics of a fine-tuned model from what is true and what was guessed: accuracy, F1 by label and their mean,
 * confusion; for tags of entities also F1 over entities. Intervals are 95 %, over examples: Wilson's for shares, and for
 * means of F1 the delta method, since each F1 is a ratio of sums over examples.
 */
import { addRecord, aroundShare, emptyRatio } from "../ratio.ts";
import { areEntityTags, countEntities } from "./entities.ts";

/**
 * Precision, recall and F1 of one label or one kind of entity.
 *
 * @example
 * ```ts
 * import type { LabelScore } from "albert-guide";
 *
 * const score: LabelScore = { label: "Genesis", precision: 0.5, recall: 1, f1: 2 / 3, support: 4 };
 * ```
 */
export type LabelScore = {
  readonly label: string;
  /** Share of the guesses of this label that are right; 0 when it is never guessed. */
  readonly precision: number;
  /** Share of the true ones that are found. */
  readonly recall: number;
  /** 2PR / (P + R). */
  readonly f1: number;
  /** True ones. */
  readonly support: number;
};

/**
 * Held-out metrics of a fine-tuned model.
 *
 * @example
 * ```ts
 * import type { TaskMetrics } from "albert-guide";
 *
 * const best = ({ entity_f1, accuracy }: TaskMetrics): number => entity_f1 ?? accuracy;
 * ```
 */
export type TaskMetrics = {
  /** Mean cross entropy, nats; of tags per word. */
  readonly loss: number;
  /** Share of labels, or of words' tags, that are right. */
  readonly accuracy: number;
  /** Mean of the F1 of the labels that are there or guessed. */
  readonly macro_f1: number;
  /** What always guessing the commonest label would give. */
  readonly majority: number;
  /** Examples. */
  readonly examples: number;
  /** With tags: words that were beyond the longest sequence; they count as guessed `O`, or as wrong where there is no `O`. */
  readonly words_cut?: number;
  /** 95 % intervals of accuracy, macro_f1 and entity_f1. */
  readonly intervals: { readonly [name: string]: readonly [number, number] };
  /** Scores by label, in the order of the labels. */
  readonly labels: readonly LabelScore[];
  /** How often each label (row) is taken for each (column). */
  readonly confusion: readonly (readonly number[])[];
  /** With tags of entities: precision, recall and F1 over whole entities, as seqeval counts them. */
  readonly entity_precision?: number;
  readonly entity_recall?: number;
  readonly entity_f1?: number;
  /** The same by kind. */
  readonly entities?: readonly LabelScore[];
};

/** What is true and what was guessed of one example, as numbers of labels; −1 guesses nothing, where a word was cut. */
export type Judged = {
  readonly truth: readonly number[];
  readonly guess: readonly number[];
  readonly loss: number;
};

const ratio = (a: number, b: number): number => b === 0 ? 0 : a / b;

function scoreOf(label: string, wanted: number, named: number, right: number): LabelScore {
  return {
    label,
    precision: ratio(right, named),
    recall: ratio(right, wanted),
    f1: ratio(2 * right, wanted + named),
    support: wanted,
  };
}

const interval = (value: number, half: number): [number, number] => [
  Math.max(0, value - half),
  Math.min(1, value + half),
];

/** The mean of F1 over labels and its interval: each example's part in every F1, linearised, is one draw. */
function macroF1(judged: readonly Judged[], scores: readonly LabelScore[], used: readonly number[]) {
  const value = used.reduce((sum, label) => sum + (scores[label]?.f1 ?? 0), 0) / used.length;
  const weight = scores.map(() => 0); // of each label: true ones and guesses
  for (const { truth, guess } of judged) {
    for (const each of [...truth, ...guess]) if (each >= 0) weight[each] = (weight[each] ?? 0) + 1;
  }
  const share = (label: number): number => 1 / (used.length * (weight[label] ?? NaN));
  const squares = judged.reduce((sum, { truth, guess }) => {
    let part = 0;
    truth.forEach((label, i) => {
      const other = guess[i] ?? -1;
      if (label === other) part += 2 * share(label);
      for (const each of [label, other]) if (each >= 0) part -= (scores[each]?.f1 ?? 0) * share(each);
    });
    return sum + part * part;
  }, 0);
  const n = judged.length;
  return { value, interval: interval(value, n < 2 ? NaN : 1.96 * Math.sqrt(squares * n / (n - 1))) };
}

function entityScores(judged: readonly Judged[], names: readonly string[]) {
  const kinds = new Map<string, { wanted: number; named: number; right: number }>();
  const draws = emptyRatio();
  for (const { truth, guess } of judged) {
    const text = (numbers: readonly number[]): string[] => numbers.map((label) => names[label] ?? "O");
    const counts = countEntities(text(truth), text(guess));
    let [right, either] = [0, 0];
    for (const [kind, { wanted, named, right: hits }] of counts) {
      const sum = kinds.get(kind) ?? { wanted: 0, named: 0, right: 0 };
      kinds.set(kind, { wanted: sum.wanted + wanted, named: sum.named + named, right: sum.right + hits });
      right += hits;
      either += wanted + named;
    }
    addRecord(draws, 2 * right, either);
  }
  const rows = [...kinds].sort(([a], [b]) => a < b ? -1 : 1);
  const sum = (part: "wanted" | "named" | "right"): number =>
    rows.reduce((all, [, row]) => all + row[part], 0);
  const whole = scoreOf("all", sum("wanted"), sum("named"), sum("right"));
  return {
    entity_precision: whole.precision,
    entity_recall: whole.recall,
    entity_f1: whole.f1,
    entities: rows.map(([kind, { wanted, named, right }]) => scoreOf(kind, wanted, named, right)),
    interval: aroundShare(draws),
  };
}

/** The metrics of judged examples. */
export function taskMetrics(given: readonly Judged[], names: readonly string[], tags: boolean): TaskMetrics {
  const cut = given.reduce((sum, { guess }) => sum + guess.filter((label) => label < 0).length, 0);
  const outside = names.indexOf("O");
  const judged = given.map((one) => ({
    ...one,
    guess: one.guess.map((label) => label < 0 ? outside : label),
  }));
  const confusion = names.map(() => names.map(() => 0));
  const support = names.map(() => 0);
  const right = emptyRatio();
  let [loss, words] = [0, 0];
  for (const { truth, guess, loss: own } of judged) {
    loss += own;
    words += truth.length;
    truth.forEach((label, i) => {
      const other = guess[i] ?? -1;
      support[label] = (support[label] ?? 0) + 1;
      const row = confusion[label];
      if (row !== undefined && other >= 0) row[other] = (row[other] ?? 0) + 1;
    });
    addRecord(right, truth.filter((label, i) => label === guess[i]).length, truth.length);
  }
  const column = (i: number): number => confusion.reduce((sum, row) => sum + (row[i] ?? 0), 0);
  const labels = names.map((name, i) => scoreOf(name, support[i] ?? 0, column(i), confusion[i]?.[i] ?? 0));
  const used = names.flatMap((_, i) => (support[i] ?? 0) + column(i) > 0 ? [i] : []);
  const macro = macroF1(judged, labels, used);
  const { interval: around, ...entities } = tags && areEntityTags(names)
    ? entityScores(judged, names)
    : { interval: undefined };
  return {
    loss: loss / (words - cut),
    accuracy: right.y / right.w,
    macro_f1: macro.value,
    ...entities,
    majority: Math.max(...support) / right.w,
    examples: judged.length,
    ...(tags ? { words_cut: cut } : {}),
    intervals: {
      accuracy: aroundShare(right),
      macro_f1: macro.interval,
      ...(around === undefined ? {} : { entity_f1: around }),
    },
    labels,
    confusion,
  };
}
