/**
 * What `albert inspect` says about a file of records: the reference's log of the first ones, figures over all, damage, and
 * whether the file is what its manifest says.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../formats/mod.ts";
import {
  decodeExample,
  type Example,
  instanceLog,
  readTfrecords,
  recordsSummarizer,
  type RecordsSummary,
} from "../records/mod.ts";
import type { TaskVocabulary } from "../tasks/mod.ts";
import { type Context, UsageError } from "./command.ts";
import { describeSummary, summaryChart } from "./inspect_figures.ts";
import { compareWithManifest, type ManifestCheck } from "./inspect_manifest.ts";

/** Without one of these a record is not one of ALBERT's; `token_boundary` may be missing, BERT's script has none. */
const NEEDED = [
  "input_ids",
  "input_mask",
  "segment_ids",
  "masked_lm_positions",
  "masked_lm_ids",
  "masked_lm_weights",
  "next_sentence_labels",
];

/** How records are shown. */
export type InspectOptions = {
  /** Records shown in full. */
  readonly limit: number;
  /** One line of JSON instead of text. */
  readonly json: boolean;
  /** Go on behind damage. */
  readonly skipDamaged: boolean;
  /** To show tokens, and to check that the records were made with it. */
  readonly tokenizer?: TaskVocabulary | undefined;
  /** Where the figures are drawn. */
  readonly chart?: string | undefined;
};

/**
 * The SVG file for the chart of a record file: the one that was named, or one in the folder that was named.
 *
 * @throws {UsageError} When one picture was named for several files.
 */
export function chartFile(chart: string, path: string, files: number): string {
  if (!chart.endsWith(".svg")) return join(chart, `${basename(path)}.svg`);
  if (files === 1) return chart;
  throw new UsageError(
    `Cannot draw ${files} files into ${chart}: name a folder for --chart, it gets a picture of each`,
  );
}

/** Names, types and lengths in one order, whatever the order in the file. */
function shapeOf(example: Example): string {
  return Object.entries(example).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, { type, values }]) => `${key}: ${type}[${values.length}]`).join(", ");
}

const plainValues = (example: Example): Record<string, unknown[]> =>
  Object.fromEntries(
    Object.entries(example).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, { values }]) => [key, Array.from(values as ArrayLike<unknown>, plainValue)]),
  );

/** JSON has no big integers and no bytes. */
const plainValue = (value: unknown): unknown =>
  typeof value === "bigint" ? String(value) : value instanceof Uint8Array ? Array.from(value) : value;

type Read = {
  readonly records: number;
  /** Figures; undefined when the records are of another kind. */
  readonly summary: RecordsSummary | undefined;
  readonly damage: readonly string[];
  readonly first: readonly Example[];
};

async function readAll(
  path: string,
  { limit, json, skipDamaged, tokenizer }: InspectOptions,
  { print, onProgress }: Pick<Context, "print" | "onProgress">,
): Promise<Read> {
  const summarizer = recordsSummarizer({ maskId: tokenizer?.idOf("[MASK]") });
  const damage: string[] = [];
  const first: Example[] = [];
  const total = statSync(path).size;
  let records = 0;
  let foreign: string | undefined; // why the records are of another kind
  let shape = "";
  const options = skipDamaged ? { onDamaged: (error: Error) => void damage.push(error.message) } : {};
  for await (const { index, byte, data } of readTfrecords(path, options)) {
    const example = decodeExample(data, { path, record: index, offset: byte + 12 });
    records++;
    const lacking = NEEDED.filter((key) => example[key] === undefined);
    if (lacking.length > 0) foreign ??= `record ${index} at byte ${byte} has no ${lacking.join(", ")}`;
    const found = shapeOf(example);
    if (!json && found !== shape) print(`record ${index} at byte ${byte}: ${shape = found}`);
    if (foreign === undefined) summarizer.add(example);
    if (first.length < limit) {
      first.push(example);
      if (!json) instanceLog(example, tokenizer?.pieceOf).forEach((line) => print(line));
    }
    if (records % 2048 === 0) {
      onProgress({ stage: "inspect", done: Math.min(byte, total), total, unit: "bytes" });
    }
  }
  if (records >= 2048) onProgress({ stage: "inspect", done: total, total, unit: "bytes" });
  if (foreign !== undefined && !json) print(`no figures, these are no records of ALBERT: ${foreign}`);
  return { records, summary: foreign === undefined ? summarizer.finish() : undefined, damage, first };
}

function printText(
  path: string,
  { records, summary, damage }: Read,
  check: ManifestCheck | undefined,
  size: number | undefined,
  print: Context["print"],
): void {
  if (summary !== undefined) describeSummary(path, summary, size).forEach((line) => print(line));
  damage.forEach((line) => print(`  skipped: ${line}`));
  if (check === undefined) print("  no manifest beside it names this file");
  else if (check.differs.length === 0) print(`  ${check.manifest} agrees`);
  check?.notes.forEach((line) => print(`  note: ${line}`));
  print(
    `${path}: ${records} records, ${
      damage.length === 0 ? "every checksum right" : `${damage.length} damaged places skipped`
    }`,
  );
}

/** Reads the whole file and prints; throws when it is damaged, or differs from its manifest. */
export async function inspectRecords(
  path: string,
  options: InspectOptions,
  context: Pick<Context, "print" | "onProgress" | "endProgress">,
): Promise<void> {
  const { json, tokenizer, chart } = options;
  const { print } = context;
  const read = await readAll(path, options, context);
  await context.endProgress();
  const { records, summary, damage, first } = read;
  const check = compareWithManifest(path, read, tokenizer);
  const size = tokenizer?.size ?? check?.vocabularySize;
  if (json) {
    const manifest = check === undefined
      ? null
      : { path: check.manifest, differs: check.differs, notes: check.notes };
    const vocabulary = { vocabularySize: size ?? null };
    const instances = first.map(plainValues);
    print(JSON.stringify({ path, records, ...summary, ...vocabulary, damaged: damage, manifest, instances }));
  } else printText(path, read, check, size, print);
  if (chart !== undefined) {
    if (summary === undefined) {
      throw new Error(`Cannot draw ${path}: its records are not ALBERT's, so there are no figures`);
    }
    const folder = join(chart, "..");
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
    writeFileAtomic(
      chart,
      await summaryChart(`${basename(path)}: ${records} records`, summary, size).toSvg(),
    );
    if (!json) print(`  chart: ${chart}`);
  }
  if (check !== undefined && check.differs.length > 0) {
    throw new Error(`Cannot trust ${path}: ${check.differs.join("; ")}; make the records again`);
  }
}
