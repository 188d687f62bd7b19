import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { protobufWriter } from "../../lib/formats/mod.ts";
import {
  createRecords,
  decodeExample,
  type Example,
  instanceLog,
  readTfrecords,
  recordsSummarizer,
  type RecordsSummary,
} from "../../lib/records/mod.ts";
import { isStartPiece, type TasksConfig } from "../../lib/tasks/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

const golden = goldenPipeline();
const tokenizer = loadSentencePiece(
  new Uint8Array(
    Buffer.from(goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64, "base64"),
  ),
);

async function examplesOf(flags: Partial<TasksConfig>): Promise<Example[]> {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/raw.txt`, golden.input_files["corpus.txt"] ?? "");
  const files = { input_file: `${folder}/raw.txt`, output_file: `${folder}/a.tfrecord` };
  await createRecords({ max_predictions_per_seq: 10, dupe_factor: 3, ...flags, ...files, tokenizer });
  const examples: Example[] = [];
  for await (const { data } of readTfrecords(files.output_file)) examples.push(decodeExample(data));
  return examples;
}

function summarized(examples: readonly Example[], maskId?: number): RecordsSummary {
  const summarizer = recordsSummarizer({ maskId });
  examples.forEach(summarizer.add);
  return summarizer.finish();
}

/** A record as a person would write it on paper. */
type Paper = {
  readonly ids: number[];
  readonly shown: string[];
  readonly text: string[];
  readonly hidden: boolean[];
};

function onPaper(example: Example): Paper {
  const list = (key: string): number[] => Array.from(example[key]?.values as ArrayLike<number>, Number);
  const ids = list("input_ids").slice(0, list("input_mask").lastIndexOf(1) + 1);
  const shown = ids.map((id) => tokenizer.pieceOf(id));
  const [text, hidden] = [[...shown], shown.map(() => false)];
  for (let i = 0; i < list("masked_lm_weights").filter((weight) => weight === 1).length; i++) {
    const at = list("masked_lm_positions")[i] ?? -1;
    text[at] = tokenizer.pieceOf(list("masked_lm_ids")[i] ?? -1);
    hidden[at] = true;
  }
  return { ids, shown, text, hidden };
}

/** Words by the rule for pieces and not by `token_boundary`: each is its pieces' hidden flags. */
function wordsOf({ text, hidden }: Paper): boolean[][] {
  const words: boolean[][] = [];
  text.forEach((piece, at) => {
    if (piece === "[CLS]" || piece === "[SEP]") return;
    if (words.length === 0 || isStartPiece(piece)) words.push([]);
    words.at(-1)?.push(hidden[at] ?? false);
  });
  return words;
}

const count = <T>(items: readonly T[], wanted: (item: T) => boolean): number => items.filter(wanted).length;

/** Every figure again, one pass over everything for each number. */
function slowly(examples: readonly Example[], length: number): RecordsSummary {
  const papers = examples.map(onPaper);
  const wordsBy = papers.map(wordsOf);
  const words = wordsBy.flat();
  const places = papers.flatMap(({ shown, text, hidden }) =>
    shown.map((now, at) => ({ now, then: text[at], hidden: hidden[at] === true, at }))
  );
  const predictions = places.filter(({ hidden }) => hidden);
  const width = Math.ceil(length / 16);
  const bands = Array.from({ length: Math.ceil(length / width) }, (_, i) => i);
  const eight = [1, 2, 3, 4, 5, 6, 7, 8];
  const ofLength = (n: number) => words.filter((word) => n === 8 ? word.length >= 8 : word.length === n);
  const lengths = papers.map(({ ids }) => ids.length);
  const runs = wordsBy.flatMap((each) =>
    each.map((word) => word.includes(true) ? "x" : " ").join("").split(" ").filter((run) => run !== "")
  );
  const labelled = (label: number) =>
    count(examples, (each) => Number(each["next_sentence_labels"]?.values[0]) === label);
  const perRecord = papers.map(({ hidden }) => count(hidden, (each) => each));
  const share = (part: number, whole: number) => part / Math.max(1, whole);
  return {
    records: examples.length,
    length: {
      min: [...lengths].sort((a, b) => a - b)[0] ?? 0,
      max: [...lengths].sort((a, b) => b - a)[0] ?? 0,
      mean: places.length / examples.length,
    },
    maxSeqLength: length,
    bandWidth: width,
    lengths: bands.map((band) => count(lengths, (n) => n > band * width && n <= (band + 1) * width)),
    paddingShare: (examples.length * length - places.length) / (examples.length * length),
    predictions: {
      mean: predictions.length / examples.length,
      most: [...perRecord].sort((a, b) => b - a)[0] ?? 0,
      room: examples[0]?.["masked_lm_weights"]?.values.length ?? 0,
    },
    maskRate: predictions.length / places.length,
    maskRateByPosition: bands.map((band) => {
      const inside = places.filter(({ at }) => at >= band * width && at < (band + 1) * width);
      return share(count(inside, ({ hidden }) => hidden), inside.length);
    }),
    wordLengths: eight.map((n) => ofLength(n).length),
    maskRateByWordLength: eight.map((n) =>
      share(count(ofLength(n), (word) => word.includes(true)), ofLength(n).length)
    ),
    replacements: {
      mask: share(
        count(predictions, ({ now, then }) => now === "[MASK]" && then !== now),
        predictions.length,
      ),
      kept: share(count(predictions, ({ now, then }) => now === then), predictions.length),
      random: share(
        count(predictions, ({ now, then }) => now !== "[MASK]" && now !== then),
        predictions.length,
      ),
    },
    maskId: 4,
    runLengths: eight.map((n) => count(runs, (run) => n === 8 ? run.length >= 8 : run.length === n)),
    labels: [labelled(0), labelled(1)],
    distinctIds: count(
      Array.from({ length: tokenizer.size }, (_, id) => tokenizer.pieceOf(id)),
      (piece) => papers.some(({ text }) => text.includes(piece)),
    ),
  };
}

const runs: Record<string, Partial<TasksConfig>> = {
  "64 tokens": { max_seq_length: 64 },
  "40 tokens and short ones": { max_seq_length: 40, short_seq_prob: 0.5 },
  "single pieces": { max_seq_length: 64, do_whole_word_mask: false, ngram: 1 },
  "long n-grams": {
    max_seq_length: 128,
    ngram: 6,
    favor_shorter_ngram: false,
    masked_lm_prob: 0.4,
    max_predictions_per_seq: 60,
  },
  "exchanged pieces": { max_seq_length: 64, do_permutation: true },
  "random segments": { max_seq_length: 16, random_next_sentence: true, max_predictions_per_seq: 3 },
  "no masks": { max_seq_length: 32, masked_lm_prob: 0 },
};

for (const [name, flags] of Object.entries(runs)) {
  Deno.test(`recordsSummarizer() gives what a slow count over the texts gives for ${name}`, async () => {
    const examples = await examplesOf(flags);
    assert.deepEqual(summarized(examples, 4), slowly(examples, flags.max_seq_length ?? 0));
    const found = summarized(examples).maskId; // what it takes for [MASK] when it is not told
    assert.equal(found, flags.masked_lm_prob === 0 ? -1 : 4);
  });
}

/** The same features as another writer may put them: keys in any order, lists unpacked, a key that is replaced later. */
function oddly(example: Example, turn: number): Uint8Array {
  const keys = Object.keys(example);
  const turned = [...keys.slice(turn % keys.length), ...keys.slice(0, turn % keys.length)];
  return protobufWriter().message(1, (features) => {
    features.message(
      1,
      (entry) => entry.string(1, "input_ids").message(2, (f) => f.message(3, (l) => l.varint(1, 7))),
    );
    for (const key of turned) {
      const { type, values } = example[key] ?? { type: "unset", values: [] };
      features.message(
        1,
        (entry) =>
          entry.string(1, key).message(
            2,
            (feature) =>
              feature.message(type === "float_list" ? 2 : 3, (list) => {
                for (const value of Array.from(values as ArrayLike<number>)) {
                  if (type === "float_list") {
                    list.float(1, value);
                  } else list.varint(1, value);
                }
              }),
          ),
      );
    }
  }).finish();
}

Deno.test("recordsSummarizer() and instanceLog() do not depend on key order, packing or replaced keys", async () => {
  const examples = await examplesOf({ max_seq_length: 64 });
  const odd = examples.map((example, i) => decodeExample(oddly(example, i)));
  assert.notDeepEqual(Object.keys(odd[1] ?? {}), Object.keys(odd[2] ?? {}));
  assert.deepEqual(summarized(odd, 4), summarized(examples, 4));
  const { pieceOf } = tokenizer;
  odd.forEach((example, i) =>
    assert.deepEqual(instanceLog(example, pieceOf), instanceLog(examples[i] ?? {}, pieceOf))
  );
});

Deno.test("recordsSummarizer() counts records without labels, words or equal lengths for what they are", () => {
  const int64 = (...values: number[]) => ({ type: "int64_list", values }) as const;
  const record = (length: number, more: Example = {}): Example => ({
    input_ids: int64(...Array.from({ length: length + 2 }, (_, i) => i < length ? 10 + i : 0)),
    input_mask: int64(...Array.from({ length: length + 2 }, (_, i) => i < length ? 1 : 0)),
    segment_ids: int64(...Array.from({ length: length + 2 }, () => 0)),
    masked_lm_positions: int64(1, 0),
    masked_lm_ids: int64(11, 0),
    masked_lm_weights: { type: "float_list", values: [1, 0] },
    ...more,
  });
  const found = summarized([record(4), record(9, { next_sentence_labels: int64(1) }), record(2)]);
  assert.deepEqual(found.labels, [0, 1]);
  assert.deepEqual(found.wordLengths, [0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([found.maxSeqLength, found.length], [6, { min: 2, mean: 5, max: 9 }]);
  assert.deepEqual(found.lengths, [0, 1, 0, 1, 0, 0, 0, 0, 1]); // a longer record than the first
  assert.deepEqual([found.paddingShare, found.replacements.kept, found.maskId], [6 / 21, 1, -1]);
  assert.equal(summarized([]).records, 0);
});
