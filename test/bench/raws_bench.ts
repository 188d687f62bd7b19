// Raw files: how good the splitters are on the labelled cases, beside NLTK's algorithm; how fast; how much memory a large
// corpus takes. Flags: --raws_mb=320 (size of the large corpus, made here and removed).
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEmbedded, sentenceSplitter, type SplitterName, trainPunkt, writePunkt } from "../../lib/mod.ts";
import { askNltk } from "../peers/nltk.ts";
import { pythonWith } from "../peers/python.ts";
import { type LabelledCase, labelledCases, scoreSentences, type SentenceScore } from "../text/labelled.ts";
import { inPairs, type Ratio, ratioOf } from "./pairs.ts";

const SETS = [["en", "sotu"], ["de", "handbuch"]] as const;
const noNltk = "skipped, no Python with nltk (ALBERT_NLTK_PYTHON)";

const textsOf = (corpus: "sotu" | "handbuch"): string[] =>
  readEmbedded(corpus).flatMap(({ paragraphs }) => paragraphs);

/** Everything that is measured about raw files. */
export async function* rawsBench(flags: { readonly [name: string]: string }): AsyncGenerator<Ratio | string> {
  const python = pythonWith("nltk");
  yield* scores(python);
  yield* speeds(python);
  yield* memory(Number(flags["raws_mb"] ?? 320));
}

function describe(name: string, { right, cases, precision, recall }: SentenceScore): string {
  const share = (value: number): string => value.toFixed(3);
  return `${name.padEnd(26)} ${String(right).padStart(3)} of ${cases} cases, precision ${
    share(precision)
  }, recall ${share(recall)}`;
}

/** All splitters on the labelled cases; punkt and NLTK with tables from the same corpus. */
function* scores(python: string | undefined): Generator<string> {
  for (const [language, corpus] of SETS) {
    const cases = labelledCases(language);
    const model = trainPunkt(textsOf(corpus));
    const by = (name: SplitterName, trained: boolean) => {
      const split = sentenceSplitter(name, { language, ...(trained ? { model } : {}) });
      return scoreSentences(cases, (text) => split(text));
    };
    yield `sentences, ${language}: ${cases.length} labelled hard cases`;
    yield describe(`  punkt, trained on ${corpus}`, by("punkt", true));
    yield describe("  punkt, its lists alone", by("punkt", false));
    for (const name of ["intl", "clause", "line"] as const) yield describe(`  ${name}`, by(name, false));
    yield python === undefined
      ? `  NLTK's algorithm: ${noNltk}`
      : describe("  NLTK's, the same tables", nltkScore(python, cases, corpus));
  }
}

function nltkScore(
  python: string,
  cases: readonly LabelledCase[],
  corpus: "sotu" | "handbuch",
): SentenceScore {
  const tables = mkdtempSync(join(tmpdir(), "albert-bench-"));
  writePunkt(tables, trainPunkt(textsOf(corpus)));
  const texts = cases.map(({ text }) => text);
  const { sentences } = askNltk(python, { tables, texts });
  rmSync(tables, { recursive: true });
  const found = new Map(texts.map((text, i) => [text, sentences[i] ?? []]));
  return scoreSentences(cases, (text) => found.get(text) ?? []);
}

/** One core, the same text: learning and splitting, ours and NLTK's in turn. */
async function* speeds(python: string | undefined): AsyncGenerator<Ratio | string> {
  const texts = textsOf("sotu");
  const megabytes = texts.reduce((sum, text) => sum + text.length, 0) / 1e6;
  const split = sentenceSplitter("punkt", { model: trainPunkt(texts) });
  const intl = await inPairs(
    `split ${megabytes.toFixed(1)} MB`,
    { name: "punkt", run: () => void texts.forEach((text) => split(text)) },
    { name: "intl", run: () => void texts.forEach(sentenceSplitter("intl")) },
  );
  yield intl;
  yield `punkt splits ${(megabytes / intl.ours).toFixed(1)} MB/s on this machine, now`;
  if (python === undefined) return yield `speed beside NLTK: ${noNltk}`;
  const tables = mkdtempSync(join(tmpdir(), "albert-bench-"));
  const ours: number[][] = [[], []];
  const theirs: number[][] = [[], []];
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const model = trainPunkt(texts);
    ours[0]?.push((performance.now() - start) / 1000);
    theirs[0]?.push(askNltk(python, { tables, texts, train: true }).seconds);
    writePunkt(tables, model);
    const again = performance.now();
    texts.forEach((text) => split(text));
    ours[1]?.push((performance.now() - again) / 1000);
    theirs[1]?.push(askNltk(python, { tables, texts }).seconds);
  }
  rmSync(tables, { recursive: true });
  yield ratioOf("learn Punkt's tables: ours / NLTK", ours[0] ?? [], theirs[0] ?? []);
  yield ratioOf("split: ours / NLTK", ours[1] ?? [], theirs[1] ?? []);
}

/** Speeches again and again, each time with another number in every paragraph, so that no document is a duplicate. */
function makeCorpus(path: string, megabytes: number): void {
  const texts = textsOf("sotu").map((text) => text.split(/(?<=\.) (?=[A-Z])/));
  const file = openSync(path, "w");
  for (let bytes = 0, round = 0; bytes < megabytes * 1e6; round++) {
    for (let from = 0; from < 200; from++) {
      const block = texts.map((sentences, i) =>
        `Copy ${round}.${from}.${i} follows here. ${sentences.slice(from * 3, from * 3 + 3).join(" ")}\n`
      ).join("\n");
      bytes += writeSync(file, `${block}\n`);
    }
  }
  closeSync(file);
}

/** A run in a process of its own: seconds, megabytes of text, peak resident memory in MiB. */
function runRaws(input: string, output: string): { seconds: number; bytes: number; peak: number } {
  const program = `
    import { readFileSync } from "node:fs";
    import { writeRaw } from "${new URL("../../lib/mod.ts", import.meta.url).href}";
    const start = performance.now();
    const { train } = await writeRaw({ input: ${JSON.stringify(input)}, output: ${
    JSON.stringify(output)
  }, shardBytes: 50_000_000, overwrite: true });
    const seconds = (performance.now() - start) / 1000;
    const peak = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) / 1024;
    console.log(JSON.stringify({ seconds, bytes: train.bytes, peak }));`;
  const { stdout, stderr } = spawnSync(Deno.execPath(), ["eval", "--no-check", program], {
    encoding: "utf8",
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Peak memory on a small and a large corpus: the second must not need much more than the first. */
function* memory(megabytes: number): Generator<string> {
  const place = mkdtempSync(join(tmpdir(), "albert-bench-"));
  try {
    for (const size of [megabytes / 8, megabytes]) {
      const input = join(place, "in.txt");
      makeCorpus(input, size);
      const { seconds, bytes, peak } = runRaws(input, join(place, "out/raw.txt"));
      yield `raw files of ${size.toFixed(0)} MB, duplicates looked for, shards of 50 MB: ${
        (bytes / 1e6 / seconds).toFixed(1)
      } MB/s with learning, peak ${peak.toFixed(0)} MiB`;
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
