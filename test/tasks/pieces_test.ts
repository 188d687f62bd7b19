import assert from "node:assert/strict";
import { albertPieces, isStartPiece, isStartWordPiece } from "../../lib/tasks/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenEncoder } from "./golden_tasks.ts";

type Golden = {
  spm_model_base64: string;
  cases: { preprocessed: string; spm_pieces: string[]; encode_pieces: string[] }[];
  start_piece: { piece: string; is_start_piece_sp: boolean; is_start_piece_bert: boolean }[];
};
const golden = goldenAlbert<Golden>("tokenization");

Deno.test("isStartPiece() and isStartWordPiece() agree with the reference's table", () => {
  assert(golden.start_piece.length >= 40);
  for (const row of golden.start_piece) {
    assert.equal(isStartPiece(row.piece), row.is_start_piece_sp, row.piece);
    assert.equal(isStartWordPiece(row.piece), row.is_start_piece_bert, row.piece);
  }
  assert.equal(isStartPiece("\u212a"), false); // the Kelvin sign is a k
});

Deno.test("albertPieces() agrees with the reference when a digit stands before a comma", async () => {
  const encode = await goldenEncoder(golden.spm_model_base64);
  let differ = 0;
  for (const { preprocessed, spm_pieces, encode_pieces } of golden.cases) {
    assert.deepEqual(encode(preprocessed), spm_pieces);
    assert.deepEqual(albertPieces(encode, preprocessed), encode_pieces, preprocessed);
    if (spm_pieces.join() !== encode_pieces.join()) differ++;
  }
  assert(differ >= 8);
});

Deno.test("albertPieces() takes exactly Python's digits for digits", () => {
  const { python_isdigit } = goldenAlbert<{ python_isdigit: [number, number][] }>("unicode-tables");
  const splits = (code: number): boolean =>
    albertPieces((t) => [t], `${String.fromCodePoint(code)},`).length === 2;
  const digits = new Set<number>();
  for (const [first, last] of python_isdigit) for (let code = first; code <= last; code++) digits.add(code);
  for (let code = 1; code < 0x20000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const later = /\p{Nd}/u.test(String.fromCodePoint(code)); // digits that newer Unicode versions add
    assert.equal(splits(code), digits.has(code) || later, code.toString(16));
  }
});
