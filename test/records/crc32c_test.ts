import assert from "node:assert/strict";
import { crc32c, maskedCrc32c } from "../../lib/records/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";

Deno.test("crc32c() and maskedCrc32c() agree with every golden vector", () => {
  const { crc32c: vectors } = goldenAlbert<{ crc32c: [string, number, number][] }>("tfrecord");
  assert(vectors.length >= 7);
  for (const [hex, plain, masked] of vectors) {
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
    assert.deepEqual([crc32c(bytes), maskedCrc32c(bytes)], [plain, masked], hex);
  }
});

Deno.test("crc32c() gives the bitwise definition's sum for every length and offset", () => {
  const bytes = Uint8Array.from({ length: 70 }, (_, i) => (i * 151 + 7) & 255);
  for (let start = 0; start < 9; start++) {
    for (let end = start; end <= bytes.length; end++) {
      let expected = -1;
      for (let at = start; at < end; at++) {
        expected ^= bytes[at] ?? 0;
        for (let bit = 0; bit < 8; bit++) expected = (expected >>> 1) ^ ((expected & 1) ? 0x82f63b78 : 0);
      }
      assert.equal(crc32c(bytes, start, end), ~expected >>> 0, `${start}..${end}`);
    }
  }
});
