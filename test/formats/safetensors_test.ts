import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import {
  CorruptFileError,
  openSafetensors,
  readSafetensors,
  readSafetensorsFile,
  type SafetensorsTensor,
  writeSafetensors,
} from "../../lib/formats/mod.ts";

const text = new TextEncoder();

/** A file with a given header and a buffer of that many bytes. */
function file(header: string, buffer: number): Uint8Array {
  const json = text.encode(header);
  const bytes = new Uint8Array(8 + json.length + buffer);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const entry = (begin: number, end: number, shape: string = "[1]", dtype: string = "F32"): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;

Deno.test("writeSafetensors() gives the bytes of the reference writer", () => {
  // Made by hand by the rules of the reference: larger types first, then names; compact JSON; padded to 8.
  const bytes = writeSafetensors({
    b: { dtype: "F32", shape: [1], data: Float32Array.of(2) },
    flag: { dtype: "BOOL", shape: [1], data: Uint8Array.of(1) },
    a: { dtype: "F32", shape: [], data: Float32Array.of(1) },
    step: { dtype: "I64", shape: [1], data: BigInt64Array.of(5n) },
  });
  const json = '{"__metadata__":{"format":"pt"},' +
    '"step":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},' +
    '"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},' +
    '"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},' +
    '"flag":{"dtype":"BOOL","shape":[1],"data_offsets":[16,17]}}';
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8, " ");
  const expected = file(padded, 17);
  new DataView(expected.buffer).setBigInt64(8 + padded.length, 5n, true);
  new DataView(expected.buffer).setFloat32(8 + padded.length + 8, 1, true);
  new DataView(expected.buffer).setFloat32(8 + padded.length + 12, 2, true);
  expected[8 + padded.length + 16] = 1;
  assert.deepEqual(bytes, expected);
});

Deno.test("readSafetensors() gives back what was written, for every type, also from a file", () => {
  const tensors: Record<string, SafetensorsTensor> = {
    F64: { dtype: "F64", shape: [2], data: Float64Array.of(1, Math.PI) },
    F32: { dtype: "F32", shape: [2, 1], data: Float32Array.of(NaN, -0) },
    U32: { dtype: "U32", shape: [1], data: Uint32Array.of(2 ** 32 - 1) },
    I32: { dtype: "I32", shape: [], data: Int32Array.of(-7) },
    BF16: { dtype: "BF16", shape: [1], data: Uint16Array.of(0x3f80) },
    F16: { dtype: "F16", shape: [1], data: Uint16Array.of(0x3c00) },
    U16: { dtype: "U16", shape: [1], data: Uint16Array.of(9) },
    I16: { dtype: "I16", shape: [1], data: Int16Array.of(-9) },
    U8: { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) },
    I8: { dtype: "I8", shape: [1], data: Int8Array.of(-1) },
    U64: { dtype: "U64", shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
    I64: { dtype: "I64", shape: [1], data: BigInt64Array.of(-1n) },
    BOOL: { dtype: "BOOL", shape: [1], data: Uint8Array.of(1) },
    "": { dtype: "F32", shape: [0, 3], data: new Float32Array() },
    'quote " é 𝒳 __proto__': { dtype: "F32", shape: [1], data: Float32Array.of(4) },
  };
  const metadata = { format: "pt", title: "a {brace}" };
  const bytes = writeSafetensors(tensors, { metadata });
  assert.deepEqual(readSafetensors(bytes), { tensors, metadata });
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const path = join(folder, "a.safetensors");
  writeFileSync(path, bytes);
  assert.deepEqual(readSafetensorsFile(path), { tensors, metadata });
  writeFileSync(path, bytes.slice(0, -1));
  assert.throws(() => readSafetensorsFile(path), CorruptFileError);
  rmSync(folder, { recursive: true });
});

const broken: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["the file is shorter than a length", new Uint8Array(7), /a header length takes 8/],
  ["the header is too long", Uint8Array.of(1, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, 0x7b), /at most 100000000/],
  ["the length is beyond 2^53", new Uint8Array(16).fill(255), /at most 100000000/],
  [
    "the header ends after the file",
    Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d),
    /the file only 2 more/,
  ],
  ["the header is empty", new Uint8Array(8), /the header is empty/],
  ["the header is no UTF-8", Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), /no UTF-8/],
  ["the header starts with a blank", file(" {}", 0), /does not start with \{/],
  ["the header starts with a byte order mark", file("\ufeff{}", 0), /does not start with \{/],
  ["the header is no JSON", file('{"a"}', 0), /no JSON/],
  ["a name stands twice", file(`{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4), /the key a stands twice/],
  [
    "a name stands twice in disguise",
    file(`{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4),
    /a stands twice/,
  ],
  ["a key of an entry stands twice", file('{"a":{"dtype":"U8","dtype":"U8"}}', 0), /dtype stands twice/],
  ["the metadata holds a number", file('{"__metadata__":{"a":1}}', 0), /no map of text to text/],
  ["the metadata is a list", file('{"__metadata__":["a"]}', 0), /no map of text to text/],
  ["an entry is no object", file('{"a":5}', 0), /no entry of dtype/],
  [
    "an entry has another key",
    file('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}}', 1),
    /unknown key x/,
  ],
  ["the dtype is unknown", file(`{"a":${entry(0, 4, "[1]", "F31")}}`, 4), /unknown dtype F31/],
  ["the shape is negative", file(`{"a":${entry(0, 4, "[-1]")}}`, 4), /no shape of whole numbers/],
  ["the shape is a fraction", file(`{"a":${entry(0, 4, "[1.5]")}}`, 4), /no shape of whole numbers/],
  ["the shape overflows", file(`{"a":${entry(0, 4, "[4294967296,4294967296]")}}`, 4), /too large to count/],
  ["there are three offsets", file('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1,2]}}', 1), /no pair/],
  ["the end comes before the begin", file(`{"a":${entry(4, 0)}}`, 4), /before its begin/],
  ["the shape needs more bytes", file(`{"a":${entry(0, 4, "[2]")}}`, 4), /has 4 bytes, F32 \[2\] needs 8/],
  ["tensors overlap", file(`{"a":${entry(0, 4)},"b":${entry(2, 6)}}`, 6), /tensor b overlaps/],
  ["there is a hole", file(`{"a":${entry(0, 4)},"b":${entry(5, 9)}}`, 9), /1 bytes before tensor b/],
  ["the buffer is cut", file(`{"a":${entry(0, 4)}}`, 3), /the file ends after 3/],
  ["bytes are left over", file(`{"a":${entry(0, 4)}}`, 5), /1 bytes at the end belong to no tensor/],
];

for (const [title, bytes, message] of broken) {
  Deno.test(`readSafetensors() refuses a file when ${title}`, () => {
    assert.throws(() => readSafetensors(bytes, { path: "x.safetensors" }), (error) => {
      assert.ok(error instanceof CorruptFileError, String(error));
      assert.match(error.message, message);
      assert.equal(error.place.path, "x.safetensors");
      return true;
    });
  });
}

Deno.test("readSafetensors() gives only CorruptFileError for damaged bytes", () => {
  const good = writeSafetensors({ w: { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } });
  for (let at = 0; at < good.length; at++) {
    for (const flip of [1, 32, 128]) {
      const bad = good.slice();
      bad[at] = (bad[at] ?? 0) ^ flip;
      try {
        readSafetensors(bad);
      } catch (error) {
        assert.ok(error instanceof CorruptFileError, `${error}`);
      }
    }
    assert.throws(() => readSafetensors(good.slice(0, at)), CorruptFileError);
  }
});

Deno.test("writeSafetensors() refuses values that do not fit", () => {
  const write = (dtype: string, shape: number[], data: Float32Array, name: string = "w") => () =>
    writeSafetensors({ [name]: { dtype, shape, data } as SafetensorsTensor });
  assert.throws(write("F32", [3], new Float32Array(2)), /needs 3 values, 2 are given/);
  assert.throws(write("F64", [2], new Float32Array(2)), /8 bytes a value/);
  assert.throws(write("F31", [2], new Float32Array(2)), TypeError);
  assert.throws(write("F32", [-2], new Float32Array(2)), /is no shape/);
  assert.throws(write("F32", [2], new Float32Array(2), "__metadata__"), /reserved/);
});

Deno.test("readSafetensors() gives each tensor its own memory when it is handed a Buffer at an odd place", () => {
  const bytes = writeSafetensors({ w: { dtype: "F32", shape: [1], data: Float32Array.of(5) } });
  const odd = Buffer.from(new Uint8Array(bytes.length + 3).buffer, 3, bytes.length);
  odd.set(bytes);
  const { tensors } = readSafetensors(odd);
  odd.fill(0);
  assert.deepEqual(tensors["w"]?.data, Float32Array.of(5));
});

/** A model in two files with an index, in a folder of its own. */
function inParts(change: (map: Record<string, string>) => void = () => {}): string {
  const folder = mkdtempSync(join(tmpdir(), "albert-parts-"));
  const tensor = (value: number): SafetensorsTensor => ({
    dtype: "F32",
    shape: [1],
    data: Float32Array.of(value),
  });
  writeFileSync(join(folder, "1.safetensors"), writeSafetensors({ a: tensor(1), b: tensor(2) }));
  writeFileSync(join(folder, "2.safetensors"), writeSafetensors({ c: tensor(3) }));
  const weight_map = { a: "1.safetensors", b: "1.safetensors", c: "2.safetensors" };
  change(weight_map);
  const path = join(folder, "model.safetensors.index.json");
  writeFileSync(path, JSON.stringify({ metadata: { total_size: 12 }, weight_map }));
  return path;
}

Deno.test("openSafetensors() reads a model in several files by its index, one tensor at a time", () => {
  const path = inParts();
  const { tensors, read } = openSafetensors(path);
  assert.deepEqual(Object.keys(tensors), ["a", "b", "c"]);
  assert.ok(tensors["c"]?.file.endsWith("2.safetensors"));
  assert.deepEqual(read("c").data, Float32Array.of(3));
  assert.deepEqual(readSafetensorsFile(path).tensors["b"]?.data, Float32Array.of(2));
  assert.throws(() => read("d"), /Cannot read d from .*there is no such tensor/);
  rmSync(dirname(path), { recursive: true });
});

Deno.test("openSafetensors() refuses an index that promises what is not there or points elsewhere", () => {
  for (
    const [change, pattern] of [
      [
        (map: Record<string, string>) => void (map["d"] = "2.safetensors"),
        /says that d is in it, and it is not/,
      ],
      [(map: Record<string, string>) => void (map["a"] = "../1.safetensors"), /no name of a file beside it/],
      [(map: Record<string, string>) => void (map["a"] = "/etc/passwd"), /no name of a file beside it/],
    ] as const
  ) {
    const path = inParts(change);
    assert.throws(
      () => openSafetensors(path),
      (error) => error instanceof CorruptFileError && pattern.test(error.message),
    );
    rmSync(dirname(path), { recursive: true });
  }
  const path = inParts();
  assert.throws(
    () => openSafetensors(`${path}.none`),
    /^Error: Cannot read safetensors .*none: there is no such file$/,
  );
  rmSync(join(dirname(path), "2.safetensors"));
  assert.throws(() => openSafetensors(path), /index\.json: c is in 2\.safetensors, which is missing$/);
  writeFileSync(path, "{}");
  assert.throws(() => openSafetensors(path), /it has no weight_map/);
  writeFileSync(path, "{");
  assert.throws(() => openSafetensors(path), /it is no JSON/);
  rmSync(dirname(path), { recursive: true });
});

Deno.test("writeSafetensors() sorts types as the reference library does, signed bytes before unsigned ones", () => {
  // The order that safetensors 0.8 wrote (test/peers/safetensors_copy.py), largest alignment first.
  const order = ["I64", "F64", "F32", "I32", "BF16", "F16", "I16", "I8", "U8", "BOOL"] as const;
  const arrays = {
    I64: BigInt64Array,
    F64: Float64Array,
    F32: Float32Array,
    I32: Int32Array,
    I16: Int16Array,
  };
  const tensors = Object.fromEntries(order.map((dtype, i): [string, SafetensorsTensor] => {
    const Values = {
      ...arrays,
      BF16: Uint16Array,
      F16: Uint16Array,
      I8: Int8Array,
      U8: Uint8Array,
      BOOL: Uint8Array,
    }[dtype];
    return [`t${9 - i}`, { dtype, shape: [1], data: new Values(1) }];
  }));
  const bytes = writeSafetensors(tensors);
  const header = new TextDecoder().decode(
    bytes.subarray(8, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))),
  );
  const { __metadata__: _, ...entries } = JSON.parse(header) as Record<string, { readonly dtype: string }>;
  assert.deepEqual(Object.values(entries).map(({ dtype }) => dtype), order);
});

Deno.test("openSafetensors() reads one tensor beyond 2^32 bytes of a sparse file of 5 GB without loading the rest", () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-sparse-"));
  try {
    const path = join(folder, "large.safetensors");
    const large = 5_000_000_000;
    const head = file(`{"a":${entry(0, large, "[5000000000]", "U8")},"b":${entry(large, large + 4)}}`, 0);
    writeFileSync(path, head);
    truncateSync(path, head.length + large + 4);
    const handle = openSync(path, "r+");
    writeSync(handle, new Uint8Array(Float32Array.of(7).buffer), 0, 4, head.length + large);
    closeSync(handle);
    const before = process.memoryUsage().rss;
    const { tensors, read } = openSafetensors(path);
    assert.equal(tensors["a"]?.bytes, large);
    assert.deepEqual(read("b").data, Float32Array.of(7));
    assert.ok(process.memoryUsage().rss - before < 1e9, "the large tensor was loaded");
    truncateSync(path, head.length + large);
    assert.throws(() => openSafetensors(path), CorruptFileError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
