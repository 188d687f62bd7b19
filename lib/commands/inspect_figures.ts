/**
 * The figures of record files as a person reads them: lines of text, or a chart of small panels.
 */
import type { RecordsSummary } from "../records/mod.ts";
import { type BarPanel, barPanels, type Chart } from "../show/mod.ts";

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
const list = (shares: readonly number[]): string => shares.map((share) => (share * 100).toFixed(1)).join(" ");
const shareOf = (counts: readonly number[]): number[] => {
  const all = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / Math.max(1, all));
};
/** Names of the entries of a list whose last one holds all that is longer. */
const upTo = (counts: readonly number[]): string[] =>
  counts.map((_, i) => i + 1 === counts.length ? `${i + 1}+` : String(i + 1));

/** What the shares would be by the reference's rule; `undefined` where it has none. */
const RULE = { mask: 0.8, kept: 0.1, random: 0.1 };

/**
 * The figures as lines.
 *
 * @param path The file, named in the first line.
 * @param summary Its figures.
 * @param size Pieces in the vocabulary, where known.
 */
export function describeSummary(path: string, summary: RecordsSummary, size: number | undefined): string[] {
  const { records, length, maxSeqLength, bandWidth, predictions, replacements, labels, distinctIds } =
    summary;
  const vocabulary = size === undefined ? "" : ` of ${size} (${percent(distinctIds / size)})`;
  const unlabelled = records - labels[0] - labels[1];
  const bands = bandWidth === 1 ? "each" : `in bands of ${bandWidth}`;
  return [
    `${path}: ${records} records`,
    `  lengths: ${length.min} to ${length.max} tokens, mean ${length.mean.toFixed(1)}, of ${maxSeqLength}; ` +
    `padding ${percent(summary.paddingShare)}`,
    `  records by length, ${bands}: ${summary.lengths.join(" ")}`,
    `  predictions: mean ${predictions.mean.toFixed(2)}, at most ${predictions.most}, room for ` +
    `${predictions.room}; ${percent(summary.maskRate)} of the tokens`,
    `  predicted by position, ${bands}, %: ${list(summary.maskRateByPosition)}`,
    ...(summary.wordLengths.every((count) => count === 0) ? ["  words: the records do not mark them"] : [
      `  words by pieces (${upTo(summary.wordLengths).join(" ")}): ${summary.wordLengths.join(" ")}`,
      `  those with a prediction, %: ${list(summary.maskRateByWordLength)}`,
      `  runs of predicted words (1 to 8 and more): ${summary.runLengths.join(" ")}`,
    ]),
    `  behind [MASK] ${percent(replacements.mask)}, behind the piece itself ${percent(replacements.kept)}, ` +
    `behind another ${percent(replacements.random)} ` +
    (summary.maskId < 0 ? "(no [MASK] was seen)" : `(id ${summary.maskId} is [MASK])`),
    `  labels: ${labels[0]} in order (0), ${labels[1]} swapped or random (1), ` +
    `${percent(labels[1] / Math.max(1, records))} are 1` +
    (unlabelled === 0 ? "" : `; ${unlabelled} have neither`),
    `  different ids: ${distinctIds}${vocabulary}`,
  ];
}

/**
 * The figures as panels of bars.
 *
 * @param title Written above.
 * @param summary The figures of a file.
 * @param size Pieces in the vocabulary, where known.
 */
export function summaryChart(title: string, summary: RecordsSummary, size: number | undefined): Chart {
  const { records, bandWidth, replacements, labels, wordLengths, distinctIds } = summary;
  const bars = (
    names: readonly (string | number)[],
    shares: readonly number[],
    expected?: readonly number[],
  ) =>
    names.map((label, i) => ({
      label,
      value: 100 * (shares[i] ?? 0),
      ...(expected?.[i] === undefined ? {} : { expected: 100 * expected[i] }),
    }));
  const kinds = ["mask", "kept", "random"] as const;
  const words: BarPanel[] = wordLengths.every((count) => count === 0) ? [] : [
    {
      title: "Words predicted, by pieces, %",
      bars: bars(upTo(wordLengths), summary.maskRateByWordLength),
    },
    {
      title: "Runs of predicted words, %",
      bars: bars(upTo(summary.runLengths), shareOf(summary.runLengths)),
    },
  ];
  const covered = size === undefined ? [] : [["ids used", distinctIds / size] as const];
  const shares = [["padding", summary.paddingShare], ["predicted", summary.maskRate], ...covered] as const;
  return barPanels({
    title,
    panels: [
      {
        title: "Records, by tokens, %",
        bars: bars(summary.lengths.map((_, i) => i * bandWidth + 1), shareOf(summary.lengths)),
      },
      {
        title: "Predicted, by position, %",
        bars: bars(summary.maskRateByPosition.map((_, i) => i * bandWidth), summary.maskRateByPosition),
      },
      ...words,
      {
        title: "What stands at a prediction, %",
        bars: bars(
          ["[MASK]", "itself", "another"],
          kinds.map((kind) => replacements[kind]),
          kinds.map((kind) => RULE[kind]),
        ),
      },
      {
        title: "Labels, %",
        bars: bars(["0 in order", "1 swapped"], labels.map((count) => count / Math.max(1, records))),
      },
      { title: "Shares, %", bars: bars(shares.map(([name]) => name), shares.map(([, share]) => share)) },
    ],
  });
}
