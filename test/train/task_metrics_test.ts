import assert from "node:assert/strict";
import { pythonRandom } from "../../lib/random.ts";
import { areEntityTags, countEntities, entitiesIn } from "../../lib/train/finetune/entities.ts";
import { type Judged, taskMetrics } from "../../lib/train/finetune/metrics.ts";

const close = (a: number | undefined, b: number, within = 1e-12): void =>
  assert.ok(Math.abs((a ?? NaN) - b) <= within, `${a} is not ${b}`);

Deno.test("entitiesIn() reads B, I, E, S and O as conlleval does", () => {
  const of = (row: string): string =>
    entitiesIn(row.split(" ")).map(({ type, from, to }) => `${type} ${from} ${to}`).join(", ");
  assert.equal(of("B-PER I-PER O B-LOC"), "PER 0 2, LOC 3 4");
  assert.equal(of("I-PER I-PER O"), "PER 0 2"); // an I that follows nothing opens
  assert.equal(of("B-PER B-PER"), "PER 0 1, PER 1 2");
  assert.equal(of("B-PER I-LOC I-LOC"), "PER 0 1, LOC 1 3");
  assert.equal(of("B-PER I-PER E-PER S-PER"), "PER 0 3, PER 3 4");
  assert.equal(of("O O"), "");
});

Deno.test("countEntities() asks for type and both ends", () => {
  const counts = countEntities(
    "B-PER I-PER O B-LOC O B-LOC".split(" "),
    "B-PER O O B-LOC O B-PER".split(" "),
  );
  assert.deepEqual(Object.fromEntries(counts), {
    PER: { wanted: 1, named: 2, right: 0 },
    LOC: { wanted: 2, named: 1, right: 1 },
  });
  assert.equal(areEntityTags(["O", "B-X", "I-X"]), true);
  assert.equal(areEntityTags(["NOUN", "VERB"]), false);
});

Deno.test("taskMetrics() gives accuracy, F1 by label, their mean and the confusion", () => {
  const pairs = [[0, 0], [0, 0], [0, 1], [1, 1], [1, 0], [2, 2]] as const;
  const judged = pairs.map(([truth, guess]): Judged => ({ truth: [truth], guess: [guess], loss: 0.5 }));
  const { accuracy, macro_f1, confusion, labels, majority, loss, intervals } = taskMetrics(judged, [
    "a",
    "b",
    "c",
  ], false);
  close(accuracy, 4 / 6);
  close(majority, 3 / 6);
  close(loss, 0.5);
  assert.deepEqual(confusion, [[2, 1, 0], [1, 1, 0], [0, 0, 1]]);
  close(labels[0]?.f1, 2 / 3);
  close(labels[1]?.f1, 1 / 2);
  close(macro_f1, (2 / 3 + 1 / 2 + 1) / 3);
  const [low = NaN, high = NaN] = intervals["macro_f1"] ?? [];
  assert.ok(low < macro_f1 && macro_f1 < high);
});

Deno.test("taskMetrics() takes for the interval of macro F1 what each example moves it by", () => {
  const pairs = [[0, 0], [0, 0], [0, 0], [0, 1], [1, 1], [1, 0], [2, 2], [2, 1]] as const;
  const judged = pairs.map(([truth, guess]): Judged => ({ truth: [truth], guess: [guess], loss: 0 }));
  const f1Of = (given: readonly Judged[]): number => taskMetrics(given, ["a", "b", "c"], false).macro_f1;
  const often = 2000; // so that one more of an example is a small change
  const many = Array.from({ length: often }, () => judged).flat();
  const squares = judged.reduce((sum, one) => sum + (often * (f1Of([...many, one]) - f1Of(many))) ** 2, 0);
  const [low = NaN, high = NaN] = taskMetrics(judged, ["a", "b", "c"], false).intervals["macro_f1"] ?? [];
  assert.ok(low > 0 && high < 1, "not at an end");
  close((high - low) / 2 / (1.96 * Math.sqrt(squares * 8 / 7)), 1, 0.005);
});

Deno.test("taskMetrics() gives macro F1 the interval that drawing the examples anew gives", () => {
  const random = pythonRandom(1);
  const judged = Array.from({ length: 400 }, (): Judged => {
    const truth = random.random() < 0.7 ? 0 : random.random() < 0.6 ? 1 : 2;
    const guess = random.random() < 0.75 ? truth : Math.floor(random.random() * 3);
    return { truth: [truth], guess: [guess], loss: 0 };
  });
  const { intervals } = taskMetrics(judged, ["a", "b", "c"], false);
  const [low = NaN, high = NaN] = intervals["macro_f1"] ?? [];
  const drawn = Array.from({ length: 400 }, () => {
    const again = judged.map(() => judged[Math.floor(random.random() * judged.length)] as Judged);
    return taskMetrics(again, ["a", "b", "c"], false).macro_f1;
  });
  const mean = drawn.reduce((sum, f1) => sum + f1, 0) / drawn.length;
  const deviation = Math.sqrt(drawn.reduce((sum, f1) => sum + (f1 - mean) ** 2, 0) / drawn.length);
  const ratio = (high - low) / 2 / (1.96 * deviation);
  assert.ok(ratio > 0.85 && ratio < 1.15, `the interval is ${ratio} of the drawn one`);
});

Deno.test("taskMetrics() counts entities, and words that were cut as not found", () => {
  const names = ["O", "B-PER", "I-PER"];
  const judged: Judged[] = [
    { truth: [1, 2, 0], guess: [1, 2, 0], loss: 0 },
    { truth: [0, 1, 1], guess: [1, 1, -1], loss: 0 },
  ];
  const found = taskMetrics(judged, names, true);
  assert.deepEqual([found.words_cut, found.examples], [1, 2]);
  close(found.entity_precision, 2 / 3);
  close(found.entity_recall, 2 / 3);
  close(found.entity_f1, 2 / 3);
  close(found.accuracy, 4 / 6);
  assert.deepEqual(found.entities?.map(({ label, support }) => [label, support]), [["PER", 3]]);
  assert.equal(taskMetrics(judged, ["X", "Y", "Z"], true).entity_f1, undefined);
});
