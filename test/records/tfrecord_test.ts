import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { CorruptFileError } from "../../lib/formats/mod.ts";
import { frameRecord, parseExampleFields, readTfrecords, tfrecordWriter } from "../../lib/records/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";

const golden = goldenAlbert<{ file_base64: string; serialized_example_base64: string }>("tfrecord");
const goldenFile = new Uint8Array(Buffer.from(golden.file_base64, "base64"));
const goldenPayload = new Uint8Array(Buffer.from(golden.serialized_example_base64, "base64"));
const folder = (): string => mkdtempSync(`${tmpdir()}/albert-`);

async function readAll(path: string): Promise<Uint8Array[]> {
  const records: Uint8Array[] = [];
  for await (const { index, data } of readTfrecords(path)) {
    assert.equal(index, records.length);
    records.push(data);
  }
  return records;
}

/** Reads damaged bytes and returns the error and how many records came before it. */
async function damage(path: string, bytes: Uint8Array): Promise<{ error: CorruptFileError; before: number }> {
  writeFileSync(path, bytes);
  let before = 0;
  try {
    for await (const _ of readTfrecords(path)) before++;
  } catch (error) {
    assert(error instanceof CorruptFileError, String(error));
    return { error, before };
  }
  return assert.fail(`damage not seen in ${bytes.length} bytes`);
}

Deno.test("tfrecordWriter() writes the golden file, readTfrecords() reads it", async () => {
  const path = `${folder()}/deep/a.tfrecord`;
  const writer = tfrecordWriter(path);
  for (const data of [goldenPayload, new Uint8Array(0), Uint8Array.of(0, 1, 2)]) writer.write(data);
  assert.deepEqual([writer.records(), writer.bytes(), existsSync(path)], [3, goldenFile.length, false]);
  assert.match(writer.commit(), /^[0-9a-f]{64}$/);
  assert.deepEqual(new Uint8Array(readFileSync(path)), goldenFile);
  assert.deepEqual(await readAll(path), [goldenPayload, new Uint8Array(0), Uint8Array.of(0, 1, 2)]);
});

Deno.test("tfrecordWriter() leaves nothing behind when discarded", () => {
  const place = folder();
  const writer = tfrecordWriter(`${place}/a.tfrecord`);
  writer.write(new Uint8Array(10));
  writer.discard();
  assert.deepEqual(readdirSync(place), []);
});

Deno.test("readTfrecords() returns every record when they cross the borders of blocks", async () => {
  const path = `${folder()}/big.tfrecord`;
  const writer = tfrecordWriter(path);
  const sizes = [0, 1, 700_000, 400_000, 3_000_000, 5, (1 << 20) - 16, 1 << 20, 17];
  for (const [i, size] of sizes.entries()) writer.write(new Uint8Array(size).fill(i + 1));
  writer.commit();
  const records = await readAll(path);
  assert.deepEqual(records.map((data) => data.length), sizes);
  assert(records.every((data, i) => data.every((byte) => byte === i + 1)));
});

Deno.test("readTfrecords() reports every changed byte with its record", async () => {
  const path = `${folder()}/a.tfrecord`;
  const starts = [0, 16 + goldenPayload.length, 32 + goldenPayload.length, goldenFile.length];
  for (let at = 0; at < goldenFile.length; at++) {
    const damaged = goldenFile.slice();
    damaged[at] = (damaged[at] ?? 0) ^ (1 << at % 8);
    const { error, before } = await damage(path, damaged);
    const record = starts.findLastIndex((start) => start <= at);
    assert.deepEqual([before, error.place.record], [record, record], `byte ${at}`);
    const [from, to] = [starts[record] ?? 0, starts[record + 1] ?? 0];
    assert(error.place.byte !== undefined && error.place.byte >= from && error.place.byte < to);
    const what = at - from < 12 ? "length" : "data";
    assert.match(
      error.message,
      new RegExp(`^Cannot read record ${record} of .*: ${what} checksum is 0x.{8}, expected`),
    );
  }
});

Deno.test("readTfrecords() reports a cut at every byte with record and size", async () => {
  const path = `${folder()}/a.tfrecord`;
  const borders = [0, 16 + goldenPayload.length, 32 + goldenPayload.length];
  for (let size = 0; size < goldenFile.length; size++) {
    const cut = goldenFile.subarray(0, size);
    if (borders.includes(size)) {
      writeFileSync(path, cut);
      assert.equal((await readAll(path)).length, borders.indexOf(size));
      continue;
    }
    const { error, before } = await damage(path, cut);
    const record = borders.findLastIndex((start) => start <= size);
    assert.deepEqual([before, error.place.record, error.place.byte], [record, record, size]);
    assert.match(error.message, new RegExp(`file ends at byte ${size}; it was cut`));
  }
});

Deno.test("readTfrecords() says what a foreign file is", async () => {
  const path = `${folder()}/a.tfrecord`;
  const text = new TextEncoder().encode("this is a text and no TFRecord file");
  assert.match((await damage(path, text)).error.message, /record 0 .*is it a TFRecord file\?/);
  const gzip = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  assert.match((await damage(path, gzip)).error.message, /gzip-compressed/);
  await assert.rejects(readAll(`${path}.missing`), /Cannot read .*missing: there is no such file/);
});

Deno.test("parseExampleFields() explains every byte of the golden record once", () => {
  const frame = goldenFile.subarray(0, 16 + goldenPayload.length);
  assert.deepEqual(frameRecord(goldenPayload), frame);
  const spans = parseExampleFields(frame);
  let at = 0;
  for (const { start, end } of spans) {
    assert.equal(start, at);
    assert(end > start);
    at = end;
  }
  assert.equal(at, frame.length);
  assert.deepEqual(spans.filter(({ kind }) => kind === "key").map(({ field }) => field), [
    "input_ids",
    "input_mask",
    "masked_lm_ids",
    "masked_lm_positions",
    "masked_lm_weights",
    "next_sentence_labels",
    "segment_ids",
    "token_boundary",
  ]);
  const value = (field: string): string | undefined =>
    spans.find((span) => span.kind === "value" && span.field === field)?.label;
  assert.equal(value("masked_lm_ids"), "3 integers: 92 263 0");
  assert.equal(value("masked_lm_weights"), "3 floats: 1 1 0");
  assert.equal(value("next_sentence_labels"), "1 integer: 1");
  assert.equal(spans[0]?.label, "payload length: 286");
  assert.equal(spans[2]?.field, ""); // the outer message
  assert.equal(spans[3]?.field, "input_ids"); // its map entry
  assert.throws(() => parseExampleFields(frame.subarray(0, 50)), CorruptFileError);
  assert.throws(() => parseExampleFields(new Uint8Array(3)), /at least 16/);
});
