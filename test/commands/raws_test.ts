import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArguments } from "../../lib/commands/command.ts";
import { describeRun, raws } from "../../lib/commands/raws.ts";
import { readPunkt } from "../../lib/text/mod.ts";

/** Runs the command; gives what it printed. */
async function albertRaws(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const { values, positionals } = parseArguments(raws, args);
  await raws.run(values, positionals, {
    print: (line = "") => void lines.push(line),
    onProgress: () => {},
    endProgress: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return lines;
}

function workspace(): { readonly folder: string; readonly input: string; readonly output: string } {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const text = Array.from({ length: 60 }, (_, i) => `Mr. Hall had ${i % 50} cats.  He fed them.\n`).join(
    "\n",
  );
  writeFileSync(`${folder}/in.txt`, text);
  return { folder, input: `--input=${folder}/in.txt`, output: `--output=${folder}/raw.txt` };
}

Deno.test("albert raws says what it left out and cleaned, and writes report, chart and punkt's tables", async () => {
  const { folder, input, output } = workspace();
  const files = [`--report=${folder}/r.json`, `--chart=${folder}/r.svg`, `--punkt_output=${folder}/punkt`];
  const lines = await albertRaws(input, output, ...files);
  assert.match(lines[0] ?? "", /raw\.txt: 50 documents, 100 sentences of 4\.0 words/);
  assert.deepEqual(lines.slice(1), [
    "left out of 60 documents: 10 with the text of an earlier one",
    "cleaned: 60 runs of white space",
    "words a sentence: 1-4: 50 %, 5-9: 50 %, 10-19: 0 %, 20-39: 0 %, 40-99: 0 %, 100+: 0 %",
  ]);
  const report = JSON.parse(readFileSync(`${folder}/r.json`, "utf8"));
  assert.deepEqual(report.dropped, { empty: 0, short: 0, duplicate: 10 });
  assert.match(readFileSync(`${folder}/r.svg`, "utf8"), /^<svg .*Length of sentences/s);
  assert.ok(readPunkt(`${folder}/punkt`).orthography.has("hall"));
});

Deno.test("albert raws writes shards, keeps duplicates and reads a named format when told so", async () => {
  const { folder, input, output } = workspace();
  const lines = await albertRaws(input, output, "--clean=control,blank", "--shard_bytes=1000");
  assert.match(lines[0] ?? "", /raw-\*\.txt: 60 documents, 120 sentences .* in 3 shards/);
  assert.equal(readdirSync(folder).filter((name) => name.startsWith("raw-")).length, 3);
  await assert.rejects(albertRaws(input, output, "--shard_bytes=1000"), /3 shards lie there/);
  await albertRaws(input, output, "--shard_bytes=1000", "--overwrite");
  await assert.rejects(albertRaws(input, output, "--input_format=jsonl"), { name: "CorruptFileError" });
});

Deno.test("albert raws refuses what does not go together and writes nothing", async () => {
  const { folder, input, output } = workspace();
  const wrong: [string[], RegExp][] = [
    [[output], /either --input or --corpus/],
    [[input, output, "--corpus=kjv"], /either --input or --corpus/],
    [[input, output, "--clean=html"], /--clean=html: "html" is no step; choose of control, invisible/],
    [[input, output, "--splitter=intl", `--punkt_output=${folder}/p`], /needs --splitter=punkt/],
    [["--corpus=kjv", output], /give --held_out_output/],
    [
      ["--corpus=kjv", output, `--held_out_output=${folder}/h`, "--shard_bytes=5000"],
      /shard_bytes is for --input/,
    ],
  ];
  for (const [args, message] of wrong) {
    await assert.rejects(albertRaws(...args), (error: Error) => {
      assert.match(error.message, message);
      return error.name === "UsageError";
    });
  }
  await assert.rejects(albertRaws(input, output, "--train_punkt_mb=0", "--shard_bytes=7"), RangeError);
  assert.equal(existsSync(`${folder}/raw.txt`), false);
});

Deno.test("describeRun() names only what happened", () => {
  const part = { path: "a", documents: 1, sentences: 1, words: 1, bytes: 1, longestBytes: 1, sha256: "" };
  const lines = describeRun({
    train: part,
    documents: 9,
    dropped: { empty: 1, short: 2, duplicate: 0 },
    cleaning: { control: 0, invisible: 0, blank: 0 },
    cutSentences: 3,
    sentenceWords: [0, 1, 0, 0, 0, 3],
    resumed: 4,
  });
  assert.deepEqual(lines.map((line) => line.slice(0, 40)), [
    "went on after document 4, where the run ",
    "left out of 9 documents: 1 without a sen",
    "3 sentences were too long and were cut a",
    "words a sentence: 1-4: 25 %, 5-9: 75 %, ",
  ]);
});
