import assert from "node:assert/strict";
import { pythonRandom } from "../../lib/random.ts";
import { encodeText } from "../../lib/train/finetune/examples.ts";
import { encodingOf } from "../../lib/train/finetune/predict.ts";
import { centredVectors, nearestVectors, principalComponents, sentenceVectors } from "../../lib/train/mod.ts";
import { encodeSequence, sequenceParameters } from "../../lib/train/sequence.ts";
import { typesOf } from "../../lib/train/step.ts";
import { compile } from "../../lib/tensor/mod.ts";
import { openTestEngine } from "../engine.ts";
import { config, model, tokenizer } from "./finetune_words.ts";

const engine = await openTestEngine();
const encoding = encodingOf(tokenizer, true);
const options = { engine, config, parameters: model.parameters, ...encoding };
const texts = ["Red", "the cat is red", "the dog is blue the cow is red", "green", "is"];

Deno.test("sentenceVectors() is the mean of the last layer over the pieces, whatever stands beside a text", async () => {
  const { values, dimension, size } = await sentenceVectors(texts, { ...options, batchSize: 2 });
  assert.deepEqual([dimension, size, values.length], [config.hidden_size, 5, 5 * config.hidden_size]);
  for (const [row, text] of texts.entries()) {
    const { ids } = encodeText({ text }, encoding, config.max_position_embeddings);
    const type = { dtype: "int32", shape: [1, ids.length] } as const;
    const weights = sequenceParameters(config);
    const program = await compile(
      ({ parameters, ...inputs }) => ({ last: encodeSequence(parameters, inputs, config) }),
      { parameters: typesOf(weights), inputIds: type, inputMask: type, segmentIds: type },
      { engine },
    );
    const parameters = Object.fromEntries(
      weights.map(({ name }) => [name, model.parameters[name] as Float32Array]),
    );
    const { last } = await program.run({
      parameters,
      inputIds: Int32Array.from(ids),
      inputMask: new Int32Array(ids.length).fill(1),
      segmentIds: new Int32Array(ids.length),
    });
    const layer = await last.data();
    for (let i = 0; i < dimension; i++) {
      let mean = 0;
      for (let piece = 0; piece < ids.length; piece++) {
        mean += (layer[piece * dimension + i] ?? 0) / ids.length;
      }
      assert.ok(Math.abs(mean - (values[row * dimension + i] ?? NaN)) < 1e-5, text);
    }
  }
});

Deno.test("sentenceVectors() refuses no text and lengths that the model lacks", async () => {
  await assert.rejects(sentenceVectors([], options), /there is no text/);
  await assert.rejects(sentenceVectors(texts, { ...options, maxSeqLength: 13 }), /must be 3 to 12, it is 13/);
});

const random = pythonRandom(5);
const vectorsOf = (size: number, dimension: number) => ({
  values: Float32Array.from({ length: size * dimension }, () => random.random() - 0.5),
  dimension,
  size,
});

Deno.test("nearestVectors() finds what sorting all cosines finds, in blocks of any size", () => {
  const [queries, corpus] = [vectorsOf(4, 7), vectorsOf(100, 7)];
  corpus.values.set(corpus.values.slice(0, 7), 50 * 7); // 0 and 50 are the same
  const row = ({ values, dimension }: typeof corpus, i: number) =>
    values.subarray(i * dimension, (i + 1) * dimension);
  const cosine = (a: Float32Array, b: Float32Array): number => {
    let [ab, aa, bb] = [0, 0, 0];
    a.forEach((x, i) => {
      ab += x * (b[i] ?? 0);
      aa += x * x;
      bb += (b[i] ?? 0) ** 2;
    });
    return ab / Math.sqrt(aa * bb);
  };
  for (const blockSize of [1, 7, 256]) {
    const found = nearestVectors(queries, corpus, { topK: 60, blockSize });
    for (const [q, list] of found.entries()) {
      const all = Array.from({ length: 100 }, (_, i) => cosine(row(queries, q), row(corpus, i)));
      const sorted = [...all].sort((a, b) => b - a).slice(0, 60);
      list.forEach(({ index, similarity }, i) => {
        assert.ok(Math.abs(similarity - (sorted[i] ?? NaN)) < 1e-6);
        assert.ok(Math.abs(similarity - (all[index] ?? NaN)) < 1e-6);
      });
      const place = (index: number): number => list.findIndex((each) => each.index === index);
      if (place(50) >= 0) assert.equal(place(50), place(0) + 1);
    }
  }
  assert.throws(
    () => nearestVectors(vectorsOf(1, 6), corpus),
    /queries have 6 values a vector, the corpus 7/,
  );
  assert.throws(() => nearestVectors(queries, corpus, { topK: 0 }), /topK must be a whole number from 1/);
});

Deno.test("centredVectors() takes the mean away, and queries lose that of the corpus", () => {
  const corpus = vectorsOf(20, 3);
  const { values, mean } = centredVectors(corpus);
  for (let i = 0; i < 3; i++) {
    let sum = 0;
    for (let row = 0; row < 20; row++) sum += values[row * 3 + i] ?? NaN;
    assert.ok(Math.abs(sum) < 1e-5);
  }
  const query = { values: Float32Array.from(mean), dimension: 3, size: 1 };
  assert.deepEqual([...centredVectors(query, mean).values], [0, 0, 0]);
  assert.throws(() => centredVectors(corpus, new Float32Array(2)), /mean of 2/);
});

Deno.test("principalComponents() gives axes without correlation, largest first, that keep all variance together", () => {
  const vectors = vectorsOf(200, 6);
  for (let row = 0; row < 200; row++) {
    for (let i = 0; i < 6; i++) {
      vectors.values[row * 6 + i] = (vectors.values[row * 6 + i] ?? 0) * (i + 1) +
        (i > 0 ? 0.5 * (vectors.values[row * 6] ?? 0) : 0) + 10;
    }
  }
  const { axes, variance } = principalComponents(vectors, 6);
  const product = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, x, i) => sum + x * (b[i] ?? NaN), 0) / 200;
  const own = axes.map((axis) => product(axis, axis));
  assert.deepEqual(own, [...own].sort((a, b) => b - a));
  axes.forEach((a, i) => axes.slice(0, i).forEach((b) => assert.ok(Math.abs(product(a, b)) < 1e-4)));
  const { values } = centredVectors(vectors);
  const total = values.reduce((sum, x) => sum + x * x, 0) / 200;
  const sum = own.reduce((all, each) => all + each, 0);
  assert.ok(Math.abs(sum / total - 1) < 1e-5);
  variance.forEach((share, i) => assert.ok(Math.abs(share - (own[i] ?? NaN) / total) < 1e-5));
  assert.throws(() => principalComponents(vectorsOf(1, 3)), /3 principal components of 1 vectors/);
  assert.throws(() => principalComponents(vectorsOf(5, 2), 3), /of 5 vectors of 2 values/);
});
