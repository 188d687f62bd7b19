/**
 * What `albert inspect` says about a file of records: the reference's log of the first ones, figures over all, damage, and
 * whether the file is what its manifest says.
 */
import { existsSync } from "node:fs";
import {
  checkManifest,
  decodeExample,
  instanceLog,
  readTfrecords,
  recordsSummarizer,
  type RecordsSummary,
} from "../records/mod.ts";
import type { Context } from "./command.ts";

/** Pieces of a tokenizer, as far as records need them. */
export type Pieces = {
  readonly size: number;
  readonly idOf: (piece: string) => number;
  readonly pieceOf: (id: number) => string;
};

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
const list = (shares: readonly number[]): string => shares.map((share) => (share * 100).toFixed(1)).join(" ");

/** The figures as lines. */
export function describeSummary(path: string, summary: RecordsSummary, size: number | undefined): string[] {
  const { records, length, maxSeqLength, predictions, replacements, labels, distinctIds, runLengths } =
    summary;
  const vocabulary = size === undefined ? "" : ` of ${size} (${percent(distinctIds / size)})`;
  return [
    `${path}: ${records} records`,
    `  lengths: ${length.min} to ${length.max} tokens, mean ${
      length.mean.toFixed(1)
    }, of ${maxSeqLength}; padding ${percent(summary.paddingShare)}`,
    `  predictions: mean ${
      predictions.mean.toFixed(2)
    }, at most ${predictions.most}, room for ${predictions.room}; ${percent(summary.maskRate)} of the tokens`,
    `  behind [MASK] ${percent(replacements.mask)}, behind the piece itself ${
      percent(replacements.kept)
    }, behind ` +
    `another ${percent(replacements.random)} (id ${summary.maskId} is [MASK])`,
    `  predicted by tenths of the sequence, %: ${list(summary.maskRateByPosition)}`,
    `  predicted words by pieces of the word (1 to 8 and more), %: ${list(summary.maskRateByWordLength)}`,
    `  runs of predicted words (1 to 8 and more): ${runLengths.join(" ")}`,
    `  labels: ${labels[0]} in order (0), ${labels[1]} swapped or random (1), ${
      percent(labels[1] / Math.max(1, records))
    } are 1`,
    `  different ids: ${distinctIds}${vocabulary}`,
  ];
}

/** Reads the whole file and prints; throws when it is damaged, or differs from its manifest. */
export async function inspectRecords(
  path: string,
  { limit, json, skipDamaged, pieces }: {
    readonly limit: number;
    readonly json: boolean;
    readonly skipDamaged: boolean;
    readonly pieces: Pieces | undefined;
  },
  print: Context["print"],
): Promise<void> {
  const summarizer = recordsSummarizer({ maskId: pieces?.idOf("[MASK]") });
  const instances: unknown[] = [];
  const damage: string[] = [];
  let count = 0;
  let foreign = false; // Examples of another kind: only their shape is shown
  let shape = "";
  const options = skipDamaged ? { onDamaged: (error: Error) => void damage.push(error.message) } : {};
  for await (const { index, byte, data } of readTfrecords(path, options)) {
    const example = decodeExample(data, { path, record: index });
    count++;
    foreign ||= example["input_ids"] === undefined || example["masked_lm_positions"] === undefined;
    const found = Object.entries(example).map(([key, { type, values }]) =>
      `${key}: ${type}[${values.length}]`
    );
    if (!json && found.join(", ") !== shape) {
      print(`record ${index} at byte ${byte}: ${shape = found.join(", ")}`);
    }
    if (!foreign) summarizer.add(example);
    if (index >= limit) continue;
    if (!json) instanceLog(example, pieces?.pieceOf).forEach((line) => print(line));
    else {
      const values = Object.entries(example).map((
        [key, { values }],
      ) => [key, Array.from(values as ArrayLike<unknown>)]);
      instances.push(Object.fromEntries(values));
    }
  }
  const manifest = `${path}.manifest.json`;
  const differs = existsSync(manifest) ? checkManifest(manifest) : undefined;
  const summary = foreign ? { records: count } : summarizer.finish();
  if (json) {
    print(JSON.stringify({ path, ...summary, damaged: damage, manifest: differs ?? null, instances }));
  } else {
    if (!foreign) describeSummary(path, summarizer.finish(), pieces?.size).forEach((line) => print(line));
    damage.forEach((line) => print(`  skipped: ${line}`));
    if (differs?.length === 0) print(`  ${manifest} agrees`);
    print(
      `${path}: ${count} records, ${
        damage.length === 0 ? "every checksum right" : `${damage.length} damaged places skipped`
      }`,
    );
  }
  if (differs !== undefined && differs.length > 0) {
    throw new Error(`Cannot trust ${path}: ${differs.join("; ")}; make the records again`);
  }
}
