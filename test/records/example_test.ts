import assert from "node:assert/strict";
import { CorruptFileError, type ProtobufWriter, protobufWriter } from "../../lib/formats/mod.ts";
import { decodeExample, encodeExample, type Example, type Feature } from "../../lib/records/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";

type Golden = { example: Record<string, [string, ...number[]]>; serialized_example_base64: string };

/** The golden Example and its bytes. */
function goldenExample(): { example: Example; bytes: Uint8Array } {
  const golden = goldenAlbert<Golden>("tfrecord");
  const entries = Object.entries(golden.example).map(([key, [type, ...values]]) => [key, { type, values }]);
  const bytes = new Uint8Array(Buffer.from(golden.serialized_example_base64, "base64"));
  return { example: Object.fromEntries(entries), bytes };
}

/** An Example whose one feature is written by the callback. */
const oneFeature = (fill: (feature: ProtobufWriter) => void): Uint8Array =>
  protobufWriter().message(
    1,
    (features) => features.message(1, (entry) => entry.string(1, "a").message(2, fill)),
  ).finish();

Deno.test("encodeExample() writes the golden bytes whatever the order of the keys", () => {
  const { example, bytes } = goldenExample();
  assert.deepEqual(encodeExample(example), bytes);
  assert.deepEqual(encodeExample(Object.fromEntries(Object.entries(example).reverse())), bytes);
});

Deno.test("decodeExample() reads the golden bytes", () => {
  const { example, bytes } = goldenExample();
  assert.deepEqual(decodeExample(bytes), example);
});

Deno.test("decodeExample() returns what encodeExample() wrote when values are at the borders", () => {
  const integers: (number | bigint)[] = [
    0,
    127,
    128,
    16383,
    16384,
    2 ** 31,
    2 ** 53 - 1,
    2n ** 63n - 1n,
    -1,
    -(2n ** 63n),
  ];
  const example: Example = {
    integers: { type: "int64_list", values: integers },
    none: { type: "int64_list", values: [] },
    floats: { type: "float_list", values: [0.5, -2, Infinity] },
    no_floats: { type: "float_list", values: [] },
    texts: { type: "bytes_list", values: [new Uint8Array(0), Uint8Array.of(1, 2), new Uint8Array(300)] },
    unset: { type: "unset", values: [] },
    "\u{1f600}": { type: "int64_list", values: [1] },
    "\uffff": { type: "int64_list", values: [1] },
  };
  const bytes = encodeExample(example);
  assert.deepEqual(decodeExample(bytes), example);
  assert.equal(Object.keys(decodeExample(bytes)).at(-1), "\u{1f600}"); // by bytes: 0xF0 stands behind 0xEF
  for (let length = 0; length < 40000; length = length * 3 + 1) { // every size of a length prefix
    const long: Example = { a: { type: "int64_list", values: new Int32Array(length) } };
    assert.equal(decodeExample(encodeExample(long))["a"]?.values.length, length);
  }
});

Deno.test("decodeExample() takes unpacked and split lists, repeated keys and unknown fields", () => {
  const int64 = (values: number[]): Feature => ({ type: "int64_list", values });
  const read = (fill: (feature: ProtobufWriter) => void): Feature | undefined =>
    decodeExample(oneFeature(fill))["a"];
  assert.deepEqual(read((f) => f.message(3, (list) => list.varint(1, 1).varint(1, -2))), int64([1, -2]));
  assert.deepEqual(
    read((f) => f.message(3, (list) => list.packedVarints(1, [1, 2]).varint(1, 3))),
    int64([1, 2, 3]),
  );
  assert.deepEqual(
    read((f) => f.message(3, (l) => l.varint(1, 1)).message(3, (l) => l.varint(1, 2))),
    int64([1, 2]),
  );
  assert.deepEqual(
    read((f) => f.message(2, (l) => l.float(1, 9)).message(3, (l) => l.varint(1, 2))),
    int64([2]),
  );
  const floats = read((f) => f.message(2, (list) => list.float(1, 0.5).packedFloats(1, [2]).varint(7, 1)));
  assert.deepEqual(floats, { type: "float_list", values: [0.5, 2] });
  const entry = (value: number) => (e: ProtobufWriter): void =>
    void e.message(2, (f) => f.message(3, (l) => l.varint(1, value))).string(1, "k"); // the value first
  const twice = protobufWriter().varint(9, 1).message(1, (f) => f.message(1, entry(1)).message(1, entry(2)))
    .finish();
  assert.deepEqual(decodeExample(twice), { k: int64([2]) });
  assert.deepEqual(decodeExample(new Uint8Array(0)), {});
  assert.deepEqual(Object.keys(decodeExample(oneFeature(() => {}))), ["a"]);
  assert.deepEqual(Object.keys(decodeExample(encodeExample({ ["__proto__"]: int64([1]) }))), ["__proto__"]);
});

Deno.test("decodeExample() names record, file and byte when the message is broken", () => {
  const wrongWire = oneFeature((feature) => feature.message(3, (list) => list.float(1, 1)));
  const source = { path: "x.tfrecord", record: 7, offset: 1000 };
  assert.throws(() => decodeExample(wrongWire, source), (error: unknown) => {
    assert(error instanceof CorruptFileError);
    assert.deepEqual([error.place.record, error.place.path], [7, "x.tfrecord"]);
    assert.match(error.message, /^Cannot read record 7 of x\.tfrecord: a list is malformed at byte 10\d\d$/);
    return true;
  });
  assert.throws(
    () => decodeExample(protobufWriter().varint(1, 5).finish(), source),
    /no message at byte 1000/,
  );
});

Deno.test("decodeExample() ends in an Example or a CorruptFileError when any byte is changed", () => {
  const { bytes } = goldenExample();
  let broken = 0;
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ flip;
      try {
        decodeExample(damaged);
      } catch (error) {
        assert(error instanceof CorruptFileError, String(error));
        assert(error.place.byte !== undefined && error.place.byte <= bytes.length);
        broken++;
      }
    }
  }
  assert(broken > 100);
});
