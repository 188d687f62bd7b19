import assert from "node:assert/strict";
import { pythonRandom } from "../../lib/random.ts";
import { instanceEncoder } from "../../lib/records/encode_instance.ts";
import { instancePacking } from "../../lib/records/packed_instance.ts";
import { type PieceTable, pieceTable, type StoredInstance, TASKS_DEFAULTS } from "../../lib/tasks/mod.ts";

/** A table of so many pieces, with two numbers beyond them: an unknown piece that starts a word and one that does not. */
function tableOf(size: number): PieceTable {
  const specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"];
  const idOf = (piece: string): number => {
    const at = specials.indexOf(piece);
    if (at >= 0) return at;
    const number = Number(piece.slice(1));
    return number < size && piece.startsWith("▁") ? number : 1;
  };
  const pieceOf = (id: number): string => specials[id] ?? `▁${id}`;
  const table = pieceTable({ size, idOf, pieceOf }, { keepUnknown: false });
  assert.deepEqual([table.idOf("▁x"), table.idOf("x")], [size, size + 1]);
  return table;
}

for (
  const [size, max_seq_length] of [[6, 5], [127, 32], [30_000, 128], [65_531, 511], [65_536, 511], [
    65_537,
    64,
  ], [
    70_000,
    65_537,
  ]] as const
) {
  Deno.test(`instancePacking() gives back what it packed: ${size} pieces, ${max_seq_length} tokens`, () => {
    const table = tableOf(size);
    const config = {
      ...TASKS_DEFAULTS,
      max_seq_length,
      max_predictions_per_seq: Math.min(20, max_seq_length),
    };
    const packing = instancePacking(config, table);
    const direct = instanceEncoder(config, table);
    const unpacked = instanceEncoder(config);
    const { randint } = pythonRandom(size);
    for (
      const length of new Set([
        5,
        Math.max(5, max_seq_length >> 1),
        Math.max(5, max_seq_length - 1),
        max_seq_length,
      ])
    ) {
      const count = randint(1, Math.min(length, 20));
      const some = (n: number, most: number): Int32Array =>
        Int32Array.from({ length: n }, () => randint(0, most));
      const given: StoredInstance = {
        length,
        sep: randint(2, length - 1),
        pair: (["next", "swapped", "random"] as const)[length % 3] ?? "next",
        count,
        tokens: some(max_seq_length, size + 1),
        boundary: Uint8Array.from(some(max_seq_length, 1)),
        positions: some(20, length - 1),
        labels: some(20, size + 1),
      };
      given.tokens.set([size, 0, size + 1, size - 1], 1);
      given.labels[0] = size + 1;
      const bytes = packing.pack(given);
      assert.equal(bytes.length % 4, 0);
      const { tokens, boundary, positions, labels, ...rest } = packing.unpack(bytes.slice());
      assert.deepEqual(rest, { length, sep: given.sep, pair: given.pair, count });
      const ids = (numbers: Int32Array, n: number): number[] =>
        [...numbers.subarray(0, n)].map(table.recordId);
      assert.deepEqual([...tokens.subarray(0, length)], ids(given.tokens, length));
      assert.deepEqual([...labels.subarray(0, count)], ids(given.labels, count));
      assert.deepEqual(positions.subarray(0, count), given.positions.subarray(0, count));
      assert.deepEqual(boundary.subarray(0, length), given.boundary.subarray(0, length));
      const record = direct.encode(given).slice();
      assert.equal(direct.sizeOf(given), record.length);
      assert.deepEqual(unpacked.encode(packing.unpack(bytes.slice())), record);
    }
  });
}
