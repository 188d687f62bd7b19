import assert from "node:assert/strict";
import { createMaskedLmPredictions, generators, type MaskingConfig } from "../../lib/tasks/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline, listVocabulary } from "./golden_tasks.ts";

type Case = {
  flags: Partial<MaskingConfig>;
  masked_lm_prob: number;
  max_predictions_per_seq: number;
  python_seed: number;
  numpy_seed: number;
  tokens: string[];
  output_tokens: string[];
  masked_lm_positions: number[];
  masked_lm_labels: string[];
  token_boundary: number[];
  after: { python_random: number; numpy_random: number };
};

Deno.test("createMaskedLmPredictions() repeats every golden call, outputs and generators", () => {
  const { cases } = goldenAlbert<{ cases: Case[] }>("masked-lm-cases");
  const vocabulary = listVocabulary(goldenPipeline().vocab_spm);
  assert(cases.length >= 12);
  for (const { flags, masked_lm_prob, max_predictions_per_seq, ...golden } of cases) {
    const random = generators(golden.python_seed, golden.numpy_seed);
    const options = { ...flags, masked_lm_prob, max_predictions_per_seq };
    const masked = createMaskedLmPredictions(golden.tokens, vocabulary, random, options);
    assert.deepEqual(masked, {
      tokens: golden.output_tokens,
      positions: golden.masked_lm_positions,
      labels: golden.masked_lm_labels,
      boundary: golden.token_boundary,
    });
    const after = { python_random: random.python.random(), numpy_random: random.numpy.uniform() };
    assert.deepEqual(after, golden.after, JSON.stringify(flags));
  }
});

Deno.test("createMaskedLmPredictions() draws nothing when masked_lm_prob is 0", () => {
  const random = generators(1, 1);
  const vocabulary = listVocabulary(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "b"]);
  const tokens = ["[CLS]", "b", "▁a", "b", "[SEP]", "b", "[SEP]"];
  const masked = createMaskedLmPredictions(tokens, vocabulary, random, { masked_lm_prob: 0 });
  assert.deepEqual(masked, { tokens, positions: [], labels: [], boundary: [1, 0, 1, 0, 1, 0, 1] });
  assert.deepEqual(random.python.save(), generators(1, 1).python.save());
});

Deno.test("createMaskedLmPredictions() exchanges tokens of equal multiset when do_permutation is on", () => {
  const vocabulary = listVocabulary(
    ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", ..."abcdefghij"].map((p) => p),
  );
  const tokens = ["[CLS]", ..."abcdefghij", "[SEP]"];
  const options = { do_permutation: true, masked_lm_prob: 0.3, do_whole_word_mask: false };
  const masked = createMaskedLmPredictions(tokens, vocabulary, generators(5, 5), options);
  const moved = masked.positions.filter((at) => masked.tokens[at] !== "[MASK]");
  assert(moved.length > 0 && masked.positions.length > 4 && masked.positions.length <= 8);
  for (const [i, at] of masked.positions.entries()) assert.equal(masked.labels[i], tokens[at]);
});
