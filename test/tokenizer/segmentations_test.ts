import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { CorruptFileError, loadSentencePiece, parseModel, pythonRandom, serializeModel } from "albert-guide";
import type { Piece, SentencePiece } from "albert-guide";

type Case = {
  readonly model: string;
  readonly pieces: readonly string[][];
  readonly ids: readonly number[][];
  readonly decoded: readonly string[];
  readonly best?: readonly string[][][];
};
type Golden = { readonly texts: readonly string[]; readonly cases: { readonly [name: string]: Case } };

// Made by test/peers/model_types.py with SentencePiece 0.2.1.
const golden = JSON.parse(
  gunzipSync(readFileSync(new URL("../golden/spm/model_types.json.gz", import.meta.url))).toString("utf8"),
) as Golden;
const load = (name: string): SentencePiece =>
  loadSentencePiece(new Uint8Array(Buffer.from((golden.cases[name] as Case).model, "base64")));

for (const [name, { pieces, ids, decoded }] of Object.entries(golden.cases)) {
  Deno.test(`encode() and decode() equal sentencepiece's for a model of type ${name}`, () => {
    const tokenizer = load(name);
    golden.texts.forEach((text, i) => {
      assert.deepEqual(tokenizer.encode(text), pieces[i], text);
      assert.deepEqual(Array.from(tokenizer.encodeIds(text)), ids[i], text);
      assert.equal(tokenizer.decode(ids[i] as number[]), decoded[i], text);
      const places = tokenizer.encodeWithOffsets(text);
      assert.deepEqual(places.map(({ id }) => id), ids[i], text);
      assert.ok(places.every(({ begin, end }, k) => begin <= end && begin >= (places[k - 1]?.begin ?? 0)));
    });
  });
}

for (const name of ["unigram", "unigram_bytes"]) {
  Deno.test(`nBest() lists sentencepiece's twenty best segmentations for ${name}, in its order`, () => {
    const tokenizer = load(name);
    golden.texts.forEach((text, i) => {
      const found = tokenizer.nBest(text.slice(0, 50), 20);
      assert.deepEqual(found.map(({ pieces }) => pieces), golden.cases[name]?.best?.[i], text);
      assert.ok(found.every(({ score }, k) => k === 0 || score <= (found[k - 1]?.score ?? 0) + 1e-3));
    });
  });
}

const normal = (piece: string, score: number): Piece => ({ piece, score, type: "normal" });
const small = (type = 1): SentencePiece =>
  loadSentencePiece(serializeModel({
    pieces: [
      { piece: "<unk>", score: 0, type: "unknown" },
      normal("▁", -2),
      normal("a", -1.5),
      normal("▁a", -1),
      normal("aa", -2.5),
      normal("▁aa", -3),
    ],
    trainer_spec: { model_type: type },
    normalizer_spec: { name: "identity" },
  }));

Deno.test("sample() draws each segmentation as often as its weight says", () => {
  const tokenizer = small();
  const all = tokenizer.nBest("aaa", 100);
  assert.equal(all.length, 6);
  const { random } = pythonRandom(11);
  for (const [nbest_size, alpha] of [[-1, 0.5], [-1, 0], [3, 0.8]] as const) {
    const pool = nbest_size < 0 ? all : all.slice(0, nbest_size);
    const weights = pool.map(({ score }) => Math.exp(alpha * score));
    const sum = weights.reduce((a, b) => a + b, 0);
    const draws = 6000;
    const counts = new Map<string, number>();
    for (let k = 0; k < draws; k++) {
      const drawn = tokenizer.sample("aaa", { random, nbest_size, alpha }).pieces.join(" ");
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    assert.equal(counts.size, pool.length);
    pool.forEach(({ pieces }, k) => {
      const share = (weights[k] as number) / sum;
      const error = Math.sqrt(share * (1 - share) / draws);
      assert.ok(Math.abs((counts.get(pieces.join(" ")) ?? 0) / draws - share) < 4 * error, pieces.join(" "));
    });
  }
});

Deno.test("sample() repeats with its seed and gives the best segmentation for one candidate", () => {
  const tokenizer = load("unigram");
  const text = golden.texts[0] as string;
  const three = (seed: number): string[] => {
    const { random } = pythonRandom(seed);
    return [1, 2, 3].map(() => tokenizer.sample(text, { random }).pieces.join(" "));
  };
  assert.deepEqual(three(5), three(5));
  assert.notDeepEqual(three(5), three(6));
  const { random } = pythonRandom(1);
  assert.deepEqual(tokenizer.sample(text, { random, nbest_size: 1 }).pieces, tokenizer.encode(text));
  assert.equal(
    tokenizer.decode(tokenizer.sample(text, { random, alpha: 0 }).ids),
    tokenizer.decode(tokenizer.encodeIds(text)),
  );
});

Deno.test("sample() leaves out merges of a BPE model: none at 0, all at 1", () => {
  const tokenizer = load("bpe");
  const text = golden.texts[1] as string;
  const { random } = pythonRandom(2);
  assert.deepEqual(tokenizer.sample(text, { random, alpha: 0 }).pieces, tokenizer.encode(text));
  const single = tokenizer.sample(text, { random, alpha: 1 }).pieces;
  assert.ok(single.every((piece) => piece === "the" || Array.from(piece).length === 1));
  const some = tokenizer.sample(text, { random, alpha: 0.3 }).pieces;
  assert.ok(some.length > tokenizer.encode(text).length && some.length < single.length);
  assert.equal(some.join(""), single.join(""));
});

Deno.test("encode() takes apart what a BPE model marks unused", () => {
  const source = parseModel(new Uint8Array(Buffer.from((golden.cases["bpe"] as Case).model, "base64")));
  const unused = source.pieces.map((each) =>
    each.piece === "▁and" ? { ...each, type: "unused" as const } : each
  );
  const tokenizer = loadSentencePiece(serializeModel({ ...source, pieces: unused }));
  assert.ok(load("bpe").encode("and").includes("▁and"));
  assert.ok(!tokenizer.encode("and").includes("▁and"));
  assert.equal(tokenizer.encode("and").join(""), "▁and");
});

Deno.test("nBest() and sample() refuse what they cannot do", () => {
  const { random } = pythonRandom(1);
  assert.throws(() => small().nBest("a", 0), /must be 1 to 1024/);
  assert.throws(() => small().sample("a", { random, nbest_size: 513 }), /-1 \(all\) to 512, it is 513/);
  assert.throws(() => small().sample("a", { random, alpha: -1 }), /alpha must be 0 or more/);
  assert.throws(() => load("bpe").nBest("a", 2), /a BPE model has one/);
  assert.throws(() => load("word").sample("a", { random }), /a word model cuts a text in one way/);
  assert.throws(() => small(7), CorruptFileError);
});

Deno.test("encode() and nBest() score a user-defined symbol as the version asked for does", () => {
  const model = serializeModel({
    pieces: [
      { piece: "<unk>", score: 0, type: "unknown" },
      ...[normal("▁", -1), normal("日", -0.1), normal("本x", -0.6), normal("x", -1), normal("本", -1)],
      { piece: "日本", score: 0, type: "user_defined" },
    ],
    normalizer_spec: { name: "identity" },
  });
  // As 0.1.97 and 0.2.1, and as 0.2.2 and 0.2.3: there it counts 0.5 (six bytes), in the lattice 0.1 (two characters).
  const [old, newer] = (["0.2.0", "0.2.2"] as const).map((spm_version) =>
    loadSentencePiece(model, { spm_version })
  );
  assert.deepEqual(old?.encode("日本x"), ["▁", "日", "本x"]);
  assert.deepEqual(newer?.encode("日本x"), ["▁", "日本", "x"]);
  const scores = newer?.nBest("日本x", 2).map(({ score }) => score.toFixed(4));
  assert.deepEqual(scores, ["-1.7000", "-1.9000"]);
});

Deno.test("nBest() gives the score of the best segmentation also when only one is asked for", () => {
  const [one] = small().nBest("aaa", 1);
  assert.deepEqual(one?.pieces, small().encode("aaa"));
  assert.equal(one?.score, small().nBest("aaa", 2)[0]?.score);
  assert.ok((one?.score ?? 0) < -1);
});

Deno.test("encode() of a word model parts words before blanks although they were suffixes in training", () => {
  const tokenizer = loadSentencePiece(serializeModel({
    pieces: [
      { piece: "<unk>", score: 0, type: "unknown" },
      ...[normal("a", -1), normal("▁", -2), normal("▁b", -3)],
    ],
    trainer_spec: { model_type: 3, treat_whitespace_as_suffix: true },
    normalizer_spec: { name: "identity" },
  }));
  assert.deepEqual(tokenizer.encode("a b"), ["a", "▁b", "▁"]); // as SentencePiece 0.1.97 to 0.2.3
});

Deno.test("encodeIds() of a word model stays right when more words came than it remembers", () => {
  const tokenizer = loadSentencePiece(serializeModel({
    pieces: [
      { piece: "<unk>", score: 0, type: "unknown" },
      ...[normal("▁a", -1), normal("▁7", -2), normal(`▁${"b".repeat(99)}`, -3)],
    ],
    trainer_spec: { model_type: 3 },
    normalizer_spec: { name: "identity" },
  }));
  assert.deepEqual([...tokenizer.encodeIds(`a ${"b".repeat(99)} ${"b".repeat(98)} 7`)], [1, 3, 0, 2]);
  const numbers = Array.from({ length: 200_000 }, (_, k) => String(k));
  for (let from = 0; from < numbers.length; from += 1000) {
    const ids = tokenizer.encodeIds(`a ${numbers.slice(from, from + 1000).join(" a ")} 7`);
    assert.deepEqual([ids.filter((id) => id === 1).length, ids.at(-1)], [1000, 2]);
    assert.equal(ids.filter((id) => id === 2).length, from === 0 ? 2 : 1);
  }
});
