import assert from "node:assert/strict";
import {
  createInstances,
  createMaskedLmPredictions,
  generators,
  isStartPieceUnicode,
  type TasksConfig,
} from "../../lib/tasks/mod.ts";
import { goldenPipeline, listVocabulary } from "./golden_tasks.ts";

const golden = goldenPipeline();
const vocabulary = listVocabulary(golden.vocab_spm);
const documents = golden["documents_two_files"] ?? [];
const made = (options: Partial<TasksConfig>): ReturnType<typeof createInstances> =>
  createInstances(documents, vocabulary, generators(), {
    max_seq_length: 48,
    dupe_factor: 4,
    short_seq_prob: 0.5,
    ...options,
  });

Deno.test("isStartPieceUnicode() joins letters, marks and digits of every script to the word before", () => {
  const continuing = ["s", "s,", "'s", "’", "1", "٣", "ß", "ов", "ीय", "한", "é.", "a1b2"];
  const starting = ["▁s", "▁", ",", "'a€", "€", "語", "かな", "ไทย", "ខ្មែ", "\u{1f600}"];
  assert.deepEqual(continuing.filter(isStartPieceUnicode), []);
  assert.deepEqual(starting.filter((piece) => !isStartPieceUnicode(piece)), []);
});

Deno.test("word_starts unicode masks an accented word as a whole, the reference piece by piece", () => {
  const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁gr", "öß", "er"];
  const tokens = ["[CLS]", "▁gr", "öß", "er", "[SEP]", "▁gr", "[SEP]"];
  const boundary = (word_starts: "reference" | "unicode"): number[] =>
    createMaskedLmPredictions(tokens, listVocabulary(pieces), generators(), { word_starts }).boundary;
  assert.deepEqual(boundary("reference"), [1, 1, 1, 0, 1, 1, 1]);
  assert.deepEqual(boundary("unicode"), [1, 1, 0, 0, 1, 1, 1]);
});

Deno.test("single_sentence split makes both segments of one sentence, skip leaves such chunks out", () => {
  const random = (list: readonly { readonly pair: string }[]): number =>
    list.filter(({ pair }) => pair === "random").length;
  const reference = made({});
  const alone = random(reference);
  assert(alone > 10);
  const split = made({ single_sentence: "split" });
  assert.equal(random(split), 0);
  assert.equal(random(made({ single_sentence: "skip" })), 0);
  const one = createInstances(
    [[["▁a", "▁b", "▁c"]], [["▁d"]]],
    listVocabulary(["[CLS]", "[SEP]", "[MASK]"], 0),
    {
      ...generators(),
    },
    { max_seq_length: 16, dupe_factor: 20, short_seq_prob: 0, masked_lm_prob: 0, single_sentence: "split" },
  );
  assert.equal(one.length, 20, "a sentence of one piece cannot be cut");
  for (const { tokens, pair } of one) {
    const sep = tokens.indexOf("[SEP]");
    const [a, b] = [tokens.slice(1, sep), tokens.slice(sep + 1, -1)];
    assert.deepEqual(pair === "next" ? [...a, ...b] : [...b, ...a], ["▁a", "▁b", "▁c"]);
  }
  assert.equal(new Set(one.map(({ pair }) => pair)).size, 2);
});

Deno.test("mask_budget prob reaches the share that masked_lm_prob names", () => {
  const rate = (options: Partial<TasksConfig>): number => {
    const list = made({ max_seq_length: 256, max_predictions_per_seq: 5, short_seq_prob: 0, ...options });
    const sum = (of: (one: (typeof list)[number]) => number): number =>
      list.reduce((all, one) => all + of(one), 0);
    return sum((one) => one.maskedLmPositions.length) / sum((one) => one.tokens.length);
  };
  assert(rate({}) < 0.05);
  assert(Math.abs(rate({ mask_budget: "prob" }) - 0.15) < 0.01);
  assert(Math.abs(rate({ mask_budget: "prob", masked_lm_prob: 0.3 }) - 0.3) < 0.02);
});

Deno.test("the choices are named when another word is given", () => {
  const wrong = { word_starts: "x", mask_budget: "y", single_sentence: "z" } as unknown as Partial<
    TasksConfig
  >;
  assert.throws(
    () => made(wrong),
    /word_starts is x, expected reference or unicode; mask_budget is y.*; single_sentence is z, expected random or split/,
  );
});
