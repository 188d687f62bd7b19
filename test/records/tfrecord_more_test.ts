import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gunzipSync, gzipSync, inflateSync } from "node:zlib";
import {
  indexTfrecords,
  type InterleaveOptions,
  type InterleavePosition,
  interleaveTfrecords,
  readTfrecords,
  type RecordCompression,
  tfrecordWriter,
} from "../../lib/records/mod.ts";

const folder = (): string => mkdtempSync(`${tmpdir()}/albert-`);
const sizes = [0, 1, 700_000, 17, 400_000, 2_300_000, 5, 300];
const payload = (i: number): Uint8Array =>
  Uint8Array.from({ length: sizes[i] ?? 0 }, (_, at) => (at * 7 + i) & 255);

function write(path: string, compression: RecordCompression): Uint8Array {
  const writer = tfrecordWriter(path, { compression });
  for (const i of sizes.keys()) writer.write(payload(i));
  writer.commit();
  assert.equal(writer.bytes(), readFileSync(path).length);
  return new Uint8Array(readFileSync(path));
}

for (const compression of ["gzip", "zlib"] as const) {
  Deno.test(`tfrecordWriter() writes ${compression} that node:zlib unpacks to the plain file`, async () => {
    const place = folder();
    const plain = write(`${place}/plain`, "none");
    const packed = write(`${place}/packed`, compression);
    assert(packed.length < plain.length / 10);
    const unpacked = compression === "gzip" ? gunzipSync(packed) : inflateSync(packed);
    assert(Buffer.from(unpacked).equals(plain));
    const index = await indexTfrecords(`${place}/packed`);
    assert.deepEqual(index, await indexTfrecords(`${place}/plain`));
    for (const path of [`${place}/packed`, `${place}/plain`]) {
      const seen: number[] = [];
      const options = { record: 3, byte: index[3] ?? 0, end: index[6] ?? 0 };
      for await (const { index, data } of readTfrecords(path, options)) {
        assert(Buffer.from(data).equals(payload(index)));
        seen.push(index);
      }
      assert.deepEqual(seen, [3, 4, 5]);
    }
    writeFileSync(`${place}/cut`, packed.subarray(0, packed.length - 20));
    await assert.rejects(
      indexTfrecords(`${place}/cut`),
      new RegExp(`${compression}-compressed file is damaged or cut`),
    );
  });
}

Deno.test("readTfrecords() reads an empty compressed file, and a plain one whose length looks like gzip", async () => {
  const place = folder();
  writeFileSync(`${place}/empty`, gzipSync(new Uint8Array(0)));
  assert.equal((await indexTfrecords(`${place}/empty`)).length, 0);
  const writer = tfrecordWriter(`${place}/odd`);
  writer.write(new Uint8Array(0x8b1f));
  writer.commit();
  assert.deepEqual([...await indexTfrecords(`${place}/odd`)], [0]);
});

Deno.test("readTfrecords() skips damaged records when told so, calls back for each, and loses no other", async () => {
  const path = `${folder()}/a`;
  const count = 20;
  const writer = tfrecordWriter(path);
  for (let i = 0; i < count; i++) writer.write(new Uint8Array(40).fill(i + 1));
  writer.commit();
  const whole = new Uint8Array(readFileSync(path));
  const read = async (bytes: Uint8Array): Promise<{ values: number[]; errors: string[] }> => {
    writeFileSync(path, bytes);
    const [values, errors]: [number[], string[]] = [[], []];
    const onDamaged = (error: Error): void => void errors.push(error.message);
    for await (const { data } of readTfrecords(path, { onDamaged })) values.push((data[0] ?? 0) - 1);
    return { values, errors };
  };
  for (let at = 0; at < whole.length; at += 3) {
    const bytes = whole.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 16;
    const { values, errors } = await read(bytes);
    const hit = Math.floor(at / 56);
    assert.deepEqual(
      values,
      Array.from({ length: count }, (_, i) => i).filter((i) => i !== hit),
      `byte ${at}`,
    );
    assert.equal(errors.length, 1);
  }
  const { values, errors } = await read(whole.subarray(0, whole.length - 5));
  assert.equal(values.length, count - 1);
  assert.match(errors.join(), /record 19 .*it was cut/);
});

Deno.test("interleaveTfrecords() hands out each record once an epoch, in an order by seed, and goes on from any position", async () => {
  const place = folder();
  const counts = [7, 0, 31, 12, 5, 20];
  const paths = counts.map((count, file) => {
    const writer = tfrecordWriter(`${place}/${file}`, { compression: file === 3 ? "gzip" : "none" });
    for (let i = 0; i < count; i++) writer.write(Uint8Array.of(file, i));
    writer.commit();
    return `${place}/${file}`;
  });
  const total = 75;
  const read = async (
    most: number,
    options: InterleaveOptions,
  ): Promise<{ name: string; at: InterleavePosition }[]> => {
    const seen: { name: string; at: InterleavePosition }[] = [];
    for await (const { data, index, position } of interleaveTfrecords(paths, options)) {
      assert.equal(data[1], index);
      seen.push({ name: data.join(), at: JSON.parse(JSON.stringify(position())) });
      if (seen.length === most) break;
    }
    return seen;
  };
  const names = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);
  const once = await read(Infinity, { seed: 5, shuffleBuffer: 16 });
  assert.equal(new Set(names(once)).size, total);
  assert.equal(once.length, total);
  assert.deepEqual(names(await read(Infinity, { seed: 5, shuffleBuffer: 16 })), names(once));
  assert.notDeepEqual(names(await read(Infinity, { seed: 6, shuffleBuffer: 16 })), names(once));
  assert.equal(
    new Set(names(once).slice(0, 16).map((name) => name.split(",")[0])).size >= 4,
    true,
    "files are mixed",
  );
  const long = await read(3 * total, { seed: 5, shuffleBuffer: 16, repeat: true });
  for (const from of [0, 1, 20, 59, 74, 75, 100, 149, 160]) {
    const at = long[from]?.at ?? assert.fail();
    const rest = await read(40, { seed: 5, shuffleBuffer: 16, repeat: true, position: at });
    assert.deepEqual(names(rest), names(long.slice(from + 1, from + 41)), `from ${from}`);
  }
  await assert.rejects(
    read(1, { position: { ...long[3]?.at ?? assert.fail(), buffer: [[0, 90, 4000]] } }),
    /no record at byte/,
  );
  await assert.rejects(interleaveTfrecords([paths[1] ?? ""]).next(), /there is none in/);
});
