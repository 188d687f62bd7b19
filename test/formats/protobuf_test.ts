import assert from "node:assert/strict";
import {
  fieldBytes,
  fieldFloat,
  fieldNumber,
  fieldString,
  protobufWriter,
  readFields,
} from "../../lib/formats/mod.ts";
import { CorruptFileError } from "../../lib/formats/mod.ts";

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

Deno.test("protobufWriter() writes the documented bytes when given each type", () => {
  assert.equal(hex(protobufWriter().varint(1, 150).finish()), "089601");
  assert.equal(hex(protobufWriter().string(2, "testing").finish()), "120774657374696e67");
  assert.equal(hex(protobufWriter().varint(1, -1).finish()), "08ffffffffffffffffff01");
  assert.equal(hex(protobufWriter().packedVarints(6, [3, 270, 86942]).finish()), "3206038e029ea705");
  assert.equal(hex(protobufWriter().float(3, 1).finish()), "1d0000803f");
  assert.equal(hex(protobufWriter().double(3, 1).finish()), "19000000000000f03f");
  assert.equal(hex(protobufWriter().fixed32(3, 0xfffffffe).finish()), "1dfeffffff");
  assert.equal(hex(protobufWriter().bool(16, true).finish()), "800101");
  assert.equal(hex(protobufWriter().packedFloats(1, [1, 0]).finish()), "0a080000803f00000000");
  assert.equal(hex(protobufWriter().message(3, (inner) => inner.varint(1, 150)).finish()), "1a03089601");
});

Deno.test("readFields() returns what protobufWriter() wrote when values sit at every size border", () => {
  const values: (number | bigint)[] = [
    0,
    1,
    127,
    128,
    16383,
    16384,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 49 - 1,
  ];
  values.push(2 ** 49, 2 ** 53 - 1, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -1, -(2 ** 53 - 1), -(2n ** 63n));
  for (const value of values) {
    const fields = [...readFields(protobufWriter().varint(5, value).finish())];
    assert.equal(fields.length, 1);
    assert.equal(fields[0]?.value, value, String(value));
  }
});

Deno.test("readFields() gives field, content and place when a message mixes wire types", () => {
  const bytes = protobufWriter().string(1, "ä").float(2, 0.5).double(3, 0.1).bytes(4, Uint8Array.of(9))
    .finish();
  const [text, float, double, raw] = [...readFields(bytes)];
  assert(text && float && double && raw);
  assert.equal(fieldString(text), "ä");
  assert.equal(fieldFloat(float), 0.5);
  assert.equal(fieldFloat(double), 0.1);
  assert.deepEqual(fieldBytes(raw), Uint8Array.of(9));
  assert.deepEqual([text.start, text.valueStart, text.end], [0, 2, 4]);
  assert.throws(() => fieldNumber(text), TypeError);
  assert.throws(() => fieldString(float), /wire type is 5, expected length-delimited/);
  assert.throws(() => fieldFloat(text), TypeError);
});

Deno.test("readFields() reports the byte when a message is cut anywhere", () => {
  const bytes = protobufWriter().varint(1, 300).string(2, "abc").float(3, 1).double(4, 2).finish();
  const borders = new Set([0, ...[...readFields(bytes)].map((field) => field.end)]);
  for (let cut = 0; cut < bytes.length; cut++) {
    const read = (): unknown => [...readFields(bytes.subarray(0, cut), { path: "x.model", offset: 10 })];
    if (borders.has(cut)) read();
    else {
      assert.throws(read, (error: unknown) => {
        assert(error instanceof CorruptFileError);
        assert.equal(error.place.path, "x.model");
        assert(error.place.byte !== undefined && error.place.byte >= 10 && error.place.byte <= 10 + cut);
        return /Cannot read x\.model: .* at byte \d+/.test(error.message);
      });
    }
  }
});

Deno.test("readFields() refuses groups, field 0 and over-long varints", () => {
  assert.throws(() => [...readFields(Uint8Array.of(0x0b))], /wire type 3/);
  assert.throws(() => [...readFields(Uint8Array.of(0x00, 1))], /field number 0/);
  assert.throws(() => [...readFields(new Uint8Array(12).fill(0xff))], /longer than ten bytes/);
  const overflow = Uint8Array.of(8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2);
  assert.throws(() => [...readFields(overflow)], /more than 64 bits/);
});

Deno.test("readFields() never fails in an undocumented way when bytes are random", () => {
  let state = 1;
  const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from({ length: next() % 24 }, () => next() & 255);
    try {
      for (const field of readFields(bytes)) assert(field.end <= bytes.length);
    } catch (error) {
      assert(error instanceof CorruptFileError, String(error));
    }
  }
});

Deno.test("protobufWriter() refuses numbers that do not fit", () => {
  assert.throws(() => protobufWriter().varint(0, 1), RangeError);
  assert.throws(() => protobufWriter().varint(1, 0.5), RangeError);
  assert.throws(() => protobufWriter().varint(1, 2n ** 64n), RangeError);
});
