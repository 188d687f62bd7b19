import assert from "node:assert/strict";
import { loadWordPiece } from "../../lib/tokenizer/wordpiece.ts";
import { goldenAlbert } from "../golden_albert.ts";

type Case = { text: string; basic_lower: string[]; basic_cased: string[]; full_lower: string[] };
type Golden = { wordpiece_vocab: string[]; wordpiece_cases: Case[] };

Deno.test("loadWordPiece() splits and encodes every golden text as the reference does", () => {
  const { wordpiece_vocab, wordpiece_cases } = goldenAlbert<Golden>("tokenization");
  const vocabulary = wordpiece_vocab.join("\n");
  const [lowered, cased] = [loadWordPiece(vocabulary), loadWordPiece(vocabulary, { lower: false })];
  assert.equal(lowered.size, wordpiece_vocab.length);
  assert(wordpiece_cases.length >= 20);
  for (const { text, basic_lower, basic_cased, full_lower } of wordpiece_cases) {
    assert.deepEqual(lowered.words(text), basic_lower, text);
    assert.deepEqual(cased.words(text), basic_cased, text);
    assert.deepEqual(lowered.encode(text), full_lower, text);
  }
});

Deno.test("loadWordPiece() takes Unicode's categories as Python does", () => {
  type Tables = { category_P: [number, number][]; category_Cc_Cf: [number, number][] };
  const tables = goldenAlbert<Tables>("unicode-tables");
  const { words } = loadWordPiece("[UNK]", { lower: false });
  for (const [first, last] of tables.category_P) {
    for (let code = first; code <= last; code++) {
      assert.equal(words(`a${String.fromCodePoint(code)}b`).length, 3, code.toString(16));
    }
  }
  for (const [first, last] of tables.category_Cc_Cf) {
    for (let code = first; code <= last; code++) {
      const expected = [9, 10, 13].includes(code) ? ["a", "b"] : ["ab"];
      assert.deepEqual(words(`a${String.fromCodePoint(code)}b`), expected, code.toString(16));
    }
  }
});

Deno.test("loadWordPiece() keeps the first id of a repeated line and one space for a blank one", () => {
  const { size, pieceOf, idOf } = loadWordPiece("[UNK]\na x\na\n\nb\n");
  assert.equal(size, 4);
  assert.deepEqual([pieceOf(1), pieceOf(2), pieceOf(3)], ["a", " ", "b"]);
  assert.deepEqual([idOf("b"), idOf("c")], [3, 0]);
  assert.throws(() => pieceOf(4), RangeError);
  assert.throws(() => loadWordPiece(""), SyntaxError);
});

Deno.test("loadWordPiece() gives up a word longer than 200 characters", () => {
  const { encode } = loadWordPiece("[UNK]\na\n##a");
  assert.equal(encode("a".repeat(200)).length, 200);
  assert.deepEqual(encode("a".repeat(201)), ["[UNK]"]);
});
