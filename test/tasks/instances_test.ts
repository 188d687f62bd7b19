import assert from "node:assert/strict";
import { createInstances, generators } from "../../lib/tasks/mod.ts";
import { goldenPipeline, listVocabulary } from "./golden_tasks.ts";

const golden = goldenPipeline();

for (const [name, run] of Object.entries(golden.configs)) {
  Deno.test(`createInstances() repeats every record and both generators' end state when run as ${name}`, () => {
    const documents = golden[run.documents as `documents_${string}`] ?? assert.fail(run.documents);
    const vocabulary = listVocabulary(run.bert ? golden.vocab_wordpiece : golden.vocab_spm);
    const random = generators(BigInt(run.flags.random_seed), run.numpy_seed);
    const style = run.bert ? "wordpiece" : "sentencepiece";
    const instances = createInstances(documents, vocabulary, random, { ...run.flags, style });
    assert.equal(instances.length, run.n);
    assert.equal(instances.filter((instance) => instance.nextSentenceLabel === 1).length, run.positives);
    assert(run.records.length > 0);
    for (const [i, record] of run.records.entries()) {
      const instance = instances[i] ?? assert.fail(`no instance ${i}`);
      assert.deepEqual(
        {
          input_ids: instance.tokens.map(vocabulary.idOf),
          sep: instance.segmentIds.indexOf(1),
          boundary: instance.tokenBoundary.join(""),
          positions: instance.maskedLmPositions,
          ids: instance.maskedLmLabels.map(vocabulary.idOf),
          label: instance.nextSentenceLabel,
        },
        record,
        `record ${i}`,
      );
    }
    const after = { python_random: random.python.random(), numpy_random: random.numpy.uniform() };
    assert.deepEqual(after, run.after);
  });
}

Deno.test("createInstances() keeps the start of an unknown piece although its id is <unk>", () => {
  const vocabulary = listVocabulary(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"]);
  const documents = [[["▁a", "zz"], ["▁a", "Ω"]]];
  const options = { max_seq_length: 16, dupe_factor: 1, masked_lm_prob: 0 };
  const [instance] = createInstances(documents, vocabulary, generators(), options);
  const boundary = new Map(instance?.tokens.map((token, i) => [token, instance.tokenBoundary[i]]));
  assert.deepEqual([boundary.get("zz"), boundary.get("Ω"), boundary.get("▁a")], [0, 1, 1]);
});

Deno.test("createInstances() names every wrong flag at once", () => {
  const vocabulary = listVocabulary(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]);
  const options = { max_seq_length: 4, dupe_factor: 0, masked_lm_prob: 2 };
  assert.throws(() => createInstances([], vocabulary, generators(), options), (error: unknown) => {
    assert(error instanceof RangeError);
    return ["max_seq_length is 4", "dupe_factor is 0", "masked_lm_prob is 2"].every((part) =>
      error.message.includes(part)
    );
  });
  assert.throws(() => createInstances([[]], vocabulary, generators()), /no document has a sentence/);
});

Deno.test("createInstances() stops when a WordPiece vocabulary lacks a token", () => {
  const vocabulary = listVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
  const run = (): unknown => createInstances([[["x"]]], vocabulary, generators(), { style: "wordpiece" });
  assert.throws(run, /Cannot number the piece "x"/);
});

Deno.test("createInstances() stays inside its limits when flags and documents are random", () => {
  const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "b", "c", "▁d", ".", "e,"];
  const vocabulary = listVocabulary(pieces);
  for (let seed = 0; seed < 60; seed++) {
    const { python } = generators(seed);
    const pick = (least: number, most: number): number => python.randint(least, most);
    const sentence = (): string[] => Array.from({ length: pick(1, 12) }, () => pieces[pick(5, 10)] ?? "");
    const documents = Array.from({ length: pick(1, 5) }, () => Array.from({ length: pick(1, 9) }, sentence));
    const options = {
      max_seq_length: pick(5, 40),
      max_predictions_per_seq: pick(0, 9),
      ngram: pick(1, 6),
      dupe_factor: pick(1, 3),
      do_whole_word_mask: pick(0, 1) === 1,
      do_permutation: pick(0, 1) === 1,
      random_next_sentence: pick(0, 1) === 1,
      masked_lm_prob: python.random(),
      short_seq_prob: python.random(),
    };
    const most = options.max_predictions_per_seq * (options.do_permutation ? 2 : 1);
    for (const made of createInstances(documents, vocabulary, generators(seed), options)) {
      assert(made.tokens.length <= options.max_seq_length && made.tokens.length >= 5);
      assert(made.maskedLmPositions.length <= most);
      assert.equal(new Set(made.maskedLmPositions).size, made.maskedLmPositions.length);
      assert.equal(made.maskedLmLabels.includes("[CLS]") || made.maskedLmLabels.includes("[SEP]"), false);
      assert.equal(made.tokens[0], "[CLS]");
      assert.equal(made.tokens.at(-1), "[SEP]");
    }
  }
});

Deno.test("createInstances() keeps piece numbers whole when the vocabulary is large", () => {
  const pieces = Array.from({ length: 70_000 }, (_, id) => `▁${id}`);
  pieces.splice(0, 5, "<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]");
  const document = [["▁69999", "▁32768"], ["▁65535", "▁65536"]];
  const options = { max_seq_length: 8, dupe_factor: 1, masked_lm_prob: 0, short_seq_prob: 0 };
  const [made] = createInstances([document], listVocabulary(pieces), generators(), options);
  const tokens = made?.tokens.filter((token) => token.startsWith("▁")).sort();
  assert.deepEqual(tokens, ["▁32768", "▁65535", "▁65536", "▁69999"]);
});
