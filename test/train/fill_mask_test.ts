import assert from "node:assert/strict";
import { albertPreset } from "../../lib/config/mod.ts";
import { referenceEngine } from "../../lib/engines/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import { fillMask } from "../../lib/train/mod.ts";

const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁the", "▁sea", ".", "▁."];
const config = albertPreset("tiny", { vocab_size: pieces.length, max_position_embeddings: 12 });
const parameters = initialParameters(config, 1);
const seen: string[] = [];
const tokenizer = {
  encode: (text: string): string[] => {
    seen.push(text);
    return text.trim().split(" ").map((word) => `▁${word}`);
  },
  idOf: (piece: string): number => Math.max(1, pieces.indexOf(piece)),
  pieceOf: (id: number): string => pieces[id] ?? "<unk>",
};
const options = { engine: referenceEngine(), config, parameters, tokenizer };

Deno.test("fillMask() gives candidates for each [MASK], most probable first", async () => {
  const filled = await fillMask("the [MASK] . || [MASK] sea", { ...options, topK: 3 });
  assert.equal(filled.length, 2);
  for (const candidates of filled) {
    assert.equal(candidates.length, 3);
    const probabilities = candidates.map(({ probability }) => probability);
    assert.deepEqual(probabilities, [...probabilities].sort((a, b) => b - a));
    for (const { piece, id } of candidates) assert.equal(piece, pieces[id]);
  }
});

Deno.test("fillMask() prefers what the output bias prefers", async () => {
  const bias = new Float32Array(pieces.length);
  bias[6] = 50;
  const biased = { ...parameters, "cls/predictions/output_bias": bias };
  const [candidates] = await fillMask("the [MASK]", { ...options, parameters: biased });
  assert.equal(candidates?.[0]?.piece, "▁sea");
});

Deno.test("fillMask() prepares the text around [MASK] and never inside it", async () => {
  seen.length = 0;
  const a = await fillMask("THE [MASK].", { ...options, prepare: (text) => text.toLowerCase() });
  assert.deepEqual(seen.map((text) => text.trim()), ["the", "."]);
  // What follows [MASK] without a blank does not start a word: the same as the bare piece.
  const b = await fillMask("the [MASK].", options);
  const c = await fillMask("the [MASK] .", options);
  assert.deepEqual(a, b);
  assert.notDeepEqual(b, c);
});

Deno.test("fillMask() refuses texts without [MASK], too long ones and more than two segments", async () => {
  await assert.rejects(fillMask("the sea", options), /no \[MASK\]/);
  await assert.rejects(
    fillMask(`[MASK] ${"sea ".repeat(12)}`, options),
    /has 15 pieces, the model has 12 positions/,
  );
  await assert.rejects(fillMask("[MASK] || a || b", options), /3 segments/);
});
