// Bundles that TensorFlow 2.21 wrote (test/peers/tf_checkpoint.py), damage in every byte, and what we write.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CorruptFileError,
  findTfCheckpoint,
  maskedCrc32c,
  type ProtobufWriter,
  protobufWriter,
  readTfCheckpoint,
  type SafetensorsTensor,
  writeTfCheckpoint,
} from "../../lib/formats/mod.ts";
import { readSortedTable, writeSortedTable } from "../../lib/formats/sorted_table.ts";

const golden = new URL("../golden/tf", import.meta.url).pathname;
const index = join(golden, "model.ckpt-7.index");

function inFolder(test: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "albert-tf-"));
  try {
    test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Every variable that can be read. */
function readAll(path: string): Record<string, SafetensorsTensor> {
  const { variables, read } = readTfCheckpoint(path);
  const whole = variables.filter(({ dtype, partitioned }) => dtype !== undefined && !partitioned);
  return Object.fromEntries(whole.map(({ name }) => [name, read(name)]));
}

const tensors: Record<string, SafetensorsTensor> = {
  "bert/pooler/dense/kernel": { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  "bert/pooler/dense/bias": { dtype: "F32", shape: [3], data: Float32Array.of(-1, 0, 1) },
  global_step: { dtype: "I64", shape: [], data: BigInt64Array.of(123n) },
  half: { dtype: "F16", shape: [1], data: Uint16Array.of(0x3c00) },
  empty: { dtype: "F32", shape: [0, 2], data: new Float32Array(0) },
};

Deno.test("readTfCheckpoint() reads what TensorFlow wrote, from two shards", () => {
  const all = readAll(golden);
  const names = Object.keys(all);
  assert.equal(names.length, 9);
  // The script counts all names in order but those of the second half that it adds later.
  const rank = new Map(names.filter((name) => name !== "global_step").map((name, k) => [name, k]));
  for (const [name, { dtype, data }] of Object.entries(all)) {
    if (name === "global_step") assert.deepEqual(data, BigInt64Array.of(7n));
    else if (dtype === "F16") assert.deepEqual(data, Uint16Array.of(0x4500, 0x4520, 0x4540)); // 5, 5.125, 5.25
    else {
      const wish = Float32Array.from({ length: data.length }, (_, i) => (rank.get(name) ?? 0) + i / 8);
      assert.deepEqual(data, wish, name);
    }
  }
  assert.deepEqual(all["bert/pooler/dense/kernel"]?.shape, [8, 8]);
  assert.deepEqual(all["scalar"]?.shape, []);
  assert.deepEqual(all["zero_rows"]?.shape, [0, 4]);
});

Deno.test("readTfCheckpoint() refuses a partitioned variable, text and an unknown name, each by name", () => {
  const { read, variables } = readTfCheckpoint(index);
  assert.throws(() => read("parted"), /Cannot read parted .*stored in parts/);
  assert.throws(() => read("text"), /Cannot read text .*are text/);
  assert.throws(() => read("bert/none"), /Cannot read bert\/none .*no such variable/);
  assert.equal(variables.find(({ name }) => name === "text")?.dtype, undefined);
});

Deno.test("writeSortedTable() gives the bytes of TensorFlow's index for its entries", () => {
  const bytes = new Uint8Array(readFileSync(index));
  assert.deepEqual(writeSortedTable(readSortedTable(bytes, { path: index })), bytes);
});

Deno.test("writeSortedTable() of many blocks is read back, whatever the size of blocks", () => {
  const text = new TextEncoder();
  const entries = Array.from({ length: 700 }, (_, i) => ({
    key: text.encode(`layer_${String(i % 7)}/${"x".repeat(i % 40)}/${i}`),
    value: text.encode("v".repeat(i % 97)),
  }));
  const plain = (list: readonly { key: Uint8Array; value: Uint8Array }[]): string[] =>
    list.map(({ key, value }) => `${new TextDecoder().decode(key)}=${new TextDecoder().decode(value)}`);
  const whole = plain(readSortedTable(writeSortedTable(entries), { path: "a" }));
  assert.deepEqual([...whole].sort(), plain(entries).sort());
  for (const blockSize of [1, 64, 1024]) {
    assert.deepEqual(plain(readSortedTable(writeSortedTable(entries, { blockSize }), { path: "a" })), whole);
  }
});

for (const shards of [1, 2, 7]) {
  Deno.test(`writeTfCheckpoint() is read back from ${shards} shards`, () => {
    inFolder((folder) => {
      writeTfCheckpoint(join(folder, "model.ckpt-123"), tensors, { shards });
      assert.deepEqual(readAll(folder), Object.fromEntries(Object.entries(tensors).sort()));
      assert.equal(readdirSync(folder).length, shards + 2);
      assert.match(
        readFileSync(join(folder, "checkpoint"), "utf8"),
        /^model_checkpoint_path: "model\.ckpt-123"\n/,
      );
    });
  });
}

Deno.test("readTfCheckpoint() refuses a flipped bit in any byte of the index or of the values", () => {
  inFolder((folder) => {
    const wish = readAll(golden);
    let refused = 0;
    cpSync(golden, folder, { recursive: true });
    for (const name of readdirSync(golden).filter((file) => file.startsWith("model"))) {
      const good = readFileSync(join(golden, name));
      for (let at = 0; at < good.length; at += name.endsWith(".index") ? 1 : 5) {
        const bad = Uint8Array.from(good);
        bad[at] = (bad[at] ?? 0) ^ 1 << at % 8;
        writeFileSync(join(folder, name), bad);
        try {
          assert.deepEqual(readAll(folder), wish); // only bytes that say nothing: padding, text, parts
          const footer = name.endsWith(".index") && at >= good.length - 48;
          assert.ok(footer || name.includes("data-00001"), `byte ${at} of ${name} was not noticed`);
        } catch (error) {
          assert.ok(error instanceof CorruptFileError, `byte ${at} of ${name}: ${error}`);
          assert.ok(error.place.path.endsWith(name) || name.endsWith(".index"), error.message);
          refused++;
        }
      }
      writeFileSync(join(folder, name), good);
    }
    assert.ok(refused > 600, `only ${refused} were refused`);
  });
});

Deno.test("readTfCheckpoint() refuses files cut anywhere and a missing shard", () => {
  inFolder((folder) => {
    writeTfCheckpoint(join(folder, "a"), tensors, { shards: 2 });
    const [indexSize, dataSize] = ["a.index", "a.data-00001-of-00002"].map((name) =>
      readFileSync(join(folder, name)).length
    ) as [number, number];
    for (let length = dataSize - 1; length >= 0; length -= 5) {
      truncateSync(join(folder, "a.data-00001-of-00002"), length);
      assert.throws(
        () => readAll(folder),
        (error) =>
          error instanceof CorruptFileError && error.place.path.endsWith("a.data-00001-of-00002") &&
          error.place.byte !== undefined,
      );
    }
    rmSync(join(folder, "a.data-00001-of-00002"));
    assert.throws(() => readAll(folder), /a\.data-00001-of-00002: the file is missing/);
    for (let length = indexSize - 1; length >= 0; length -= 3) {
      truncateSync(join(folder, "a.index"), length);
      assert.throws(() => readTfCheckpoint(folder), CorruptFileError);
    }
  });
});

Deno.test("findTfCheckpoint() takes a prefix, any of its files, or a folder, and says when it must choose", () => {
  const prefix = join(golden, "model.ckpt-7");
  for (const path of [prefix, index, `${prefix}.data-00000-of-00002`, `${prefix}.meta`, golden]) {
    assert.equal(findTfCheckpoint(path), prefix, path);
  }
  inFolder((folder) => {
    assert.equal(findTfCheckpoint(folder), undefined);
    assert.equal(findTfCheckpoint(join(folder, "none")), undefined);
    writeTfCheckpoint(join(folder, "one"), {}, { state: false });
    assert.equal(findTfCheckpoint(folder), join(folder, "one"));
    writeTfCheckpoint(join(folder, "two"), {}, { state: false });
    assert.throws(() => findTfCheckpoint(folder), /it holds one\.index, two\.index; name one/);
    writeFileSync(join(folder, "checkpoint"), 'model_checkpoint_path: "/gone/elsewhere/two"\n');
    assert.equal(findTfCheckpoint(folder), join(folder, "two"));
    writeFileSync(join(folder, "checkpoint"), 'model_checkpoint_path: "three"\n');
    assert.throws(() => findTfCheckpoint(folder), /it names three/);
  });
});

Deno.test("writeTfCheckpoint() refuses values that do not fit and leaves nothing", () => {
  inFolder((folder) => {
    const bad: SafetensorsTensor = { dtype: "F32", shape: [3], data: Float32Array.of(1) };
    assert.throws(
      () => writeTfCheckpoint(join(folder, "a"), { bad }),
      /tensor bad: shape \[3\] needs 3 values/,
    );
    assert.throws(() => writeTfCheckpoint(join(folder, "a"), {}, { shards: 0 }), /0 is no number of shards/);
    assert.deepEqual(readdirSync(folder), []);
  });
});

/** An index with a header and one entry as given, and a data file of 8 bytes. */
function crafted(folder: string, header: Uint8Array, entry: Uint8Array): string {
  const prefix = join(folder, "crafted");
  const entries = [{ key: new Uint8Array(0), value: header }, {
    key: new TextEncoder().encode("w"),
    value: entry,
  }];
  writeFileSync(`${prefix}.index`, writeSortedTable(entries));
  writeFileSync(`${prefix}.data-00000-of-00001`, new Uint8Array(8));
  return prefix;
}

const plainHeader = (): Uint8Array => protobufWriter().varint(1, 1).finish();
const zeros = maskedCrc32c(new Uint8Array(8));

Deno.test("readTfCheckpoint() refuses a header of another byte order, a later version, or no shards", () => {
  inFolder((folder) => {
    const entry = protobufWriter().varint(1, 1).finish();
    const refuses = (header: Uint8Array, pattern: RegExp): void =>
      assert.throws(() => readTfCheckpoint(crafted(folder, header, entry)), pattern);
    refuses(protobufWriter().varint(1, 1).varint(2, 1).finish(), /its values are big-endian/);
    refuses(
      protobufWriter().varint(1, 1).message(3, (version) => version.varint(2, 9)).finish(),
      /reader of version 9/,
    );
    refuses(protobufWriter().varint(2, 0).finish(), /its header counts 0 shards/);
    const bare = [{ key: new TextEncoder().encode("w"), value: entry }];
    writeFileSync(join(folder, "bare.index"), writeSortedTable(bare));
    assert.throws(() => readTfCheckpoint(join(folder, "bare")), /it has no header entry/);
    writeFileSync(join(folder, "text.index"), "x".repeat(100));
    assert.throws(() => readTfCheckpoint(join(folder, "text")), /does not end as an index/);
  });
});

Deno.test("readTfCheckpoint() refuses an entry that does not fit its shape, its file or its shards", () => {
  inFolder((folder) => {
    const entry = (bytes: number, more: (writer: ProtobufWriter) => void = () => {}): Uint8Array => {
      const writer = protobufWriter().varint(1, 1);
      writer.message(2, (shape) => void shape.message(2, (dim) => void dim.varint(1, 2)));
      more(writer);
      return writer.varint(5, bytes).fixed32(6, zeros).finish();
    };
    const read = (value: Uint8Array): SafetensorsTensor =>
      readTfCheckpoint(crafted(folder, plainHeader(), value)).read("w");
    assert.deepEqual(read(entry(8)).data, new Float32Array(2));
    const refuses = (value: Uint8Array, pattern: RegExp): void =>
      assert.throws(
        () => read(value),
        (error) => error instanceof CorruptFileError && pattern.test(error.message),
      );
    refuses(entry(12), /has 12 bytes, F32 \[2\] needs 8/);
    refuses(entry(8, (writer) => writer.varint(4, 1)), /its values end at byte 9, the file has 8/);
    refuses(entry(8, (writer) => writer.varint(4, -1)), /its values end at byte 7/);
    refuses(entry(8, (writer) => writer.varint(3, 1)), /names shard 1 of 1/);
    refuses(entry(8, (writer) => writer.message(2, (shape) => void shape.bool(3, true))), /w is broken: /);
  });
});

Deno.test("readSortedTable() refuses a compressed block and keys out of order", () => {
  const key = (text: string) => ({ key: new TextEncoder().encode(text), value: Uint8Array.of(1) });
  const bytes = writeSortedTable([key("a"), key("b")]);
  // The first block: two entries of 5 bytes, one restart point, its count.
  const size = 2 * 5 + 8;
  const sealed = (change: (block: Uint8Array) => void): Uint8Array => {
    const copy = bytes.slice();
    change(copy);
    new DataView(copy.buffer).setUint32(size + 1, maskedCrc32c(copy, 0, size + 1), true);
    return copy;
  };
  assert.equal(readSortedTable(sealed(() => {}), { path: "a" }).length, 2);
  assert.throws(
    () => readSortedTable(sealed((b) => b[size] = 1), { path: "a" }),
    /a block is compressed \(type 1\)/,
  );
  assert.throws(
    () => readSortedTable(sealed((b) => b[8] = 0x41), { path: "a" }),
    /its keys are not in order/,
  );
  assert.throws(
    () => readSortedTable(sealed((b) => b[0] = 9), { path: "a" }),
    /an entry is longer than its block/,
  );
});

Deno.test("findTfCheckpoint() reads the names that protobuf's text form escapes, and damaged ones without a word of V8", () => {
  inFolder((folder) => {
    writeTfCheckpoint(join(folder, 'm\u00fc"x'), {}, { state: false });
    for (const named of ['m\\303\\274\\"x', 'm\u00fc\\"x']) {
      writeFileSync(join(folder, "checkpoint"), `model_checkpoint_path: "${named}"\n`);
      assert.equal(findTfCheckpoint(folder), join(folder, 'm\u00fc"x'));
    }
    writeFileSync(join(folder, "checkpoint"), 'model_checkpoint_path: "a\tb"\n');
    assert.throws(() => findTfCheckpoint(folder), /^Error: Cannot open .*checkpoint: it names a\tb/);
  });
});

Deno.test("readTfCheckpoint() refuses variables that share bytes", () => {
  inFolder((folder) => {
    const entry = (offset: number): Uint8Array => {
      const writer = protobufWriter().varint(1, 1).message(
        2,
        (shape) => shape.message(2, (dim) => dim.varint(1, 1)),
      );
      return (offset === 0 ? writer : writer.varint(4, offset)).varint(5, 4).finish();
    };
    const index = join(folder, "a.index");
    const write = (second: number): void => {
      const named = [["", plainHeader()], ["a", entry(0)], ["b", entry(second)]] as const;
      const entries = named.map(([name, value]) => ({ key: new TextEncoder().encode(name), value }));
      writeFileSync(index, writeSortedTable(entries));
    };
    write(3);
    assert.throws(() => readTfCheckpoint(folder), /a\.index: b overlaps a at byte 3 of shard 0$/);
    write(4);
    assert.deepEqual(readTfCheckpoint(folder).variables.map(({ name }) => name), ["a", "b"]);
  });
});
