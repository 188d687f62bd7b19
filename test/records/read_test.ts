import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  encodeExample,
  type Example,
  readRecords,
  type RecordArrays,
  tfrecordWriter,
} from "../../lib/records/mod.ts";

const folder = (): string => mkdtempSync(`${tmpdir()}/albert-`);
const lengths = { maxSeqLength: 4, maxPredictionsPerSeq: 2 };
const int64 = (...values: number[]) => ({ type: "int64_list", values }) as const;
const tiny: Example = {
  input_ids: int64(2, 300000, 3, 0),
  input_mask: int64(1, 1, 1, 0),
  segment_ids: int64(0, 0, 1, 0),
  token_boundary: int64(1, 0, 1, 0),
  masked_lm_positions: int64(1, 0),
  masked_lm_ids: int64(200, 0),
  masked_lm_weights: { type: "float_list", values: [1, 0] },
  next_sentence_labels: int64(1),
};

async function readOne(example: Example | Uint8Array): Promise<RecordArrays> {
  const path = `${folder()}/one.tfrecord`;
  const writer = tfrecordWriter(path);
  writer.write(example instanceof Uint8Array ? example : encodeExample(example));
  writer.commit();
  for await (const record of readRecords([path], lengths)) return record;
  return assert.fail("no record");
}

Deno.test("readRecords() gives typed arrays in every layout that protobuf allows", async () => {
  const expected = {
    input_ids: Int32Array.of(2, 300000, 3, 0),
    input_mask: Int32Array.of(1, 1, 1, 0),
    segment_ids: Int32Array.of(0, 0, 1, 0),
    token_boundary: Int32Array.of(1, 0, 1, 0),
    masked_lm_positions: Int32Array.of(1, 0),
    masked_lm_ids: Int32Array.of(200, 0),
    masked_lm_weights: Float32Array.of(1, 0),
    next_sentence_labels: Int32Array.of(1),
  };
  assert.deepEqual(await readOne(tiny), expected);
  assert.deepEqual(await readOne({ ...tiny, more: int64(1) }), expected); // the general reader
  const bytes = encodeExample(tiny);
  const twice = new Uint8Array([...bytes, ...encodeExample({ next_sentence_labels: int64(0) })]);
  assert.deepEqual(await readOne(twice), { ...expected, next_sentence_labels: Int32Array.of(0) });
  const missing = new Uint8Array([...encodeExample({ ...tiny, input_ids: int64(9, 9, 9, 9) }), ...bytes]);
  assert.deepEqual(await readOne(missing), expected); // the last value of every key counts
  const { token_boundary: _, ...without } = tiny;
  assert.deepEqual(await readOne(without), { ...expected, token_boundary: undefined });
});

Deno.test("readRecords() names key, record, file and flag when a record does not fit", async () => {
  const rejects = (example: Example, message: RegExp): Promise<void> =>
    assert.rejects(readOne(example), message);
  await rejects(
    { ...tiny, segment_ids: int64(0, 1) },
    /record 0 of .*one\.tfrecord: segment_ids has 2 values, expected 4; set max_seq_length to 2/,
  );
  await rejects(
    { ...tiny, masked_lm_ids: int64(1, 2, 3, 4) },
    /masked_lm_ids has 4 values, expected 2; set max_predictions_per_seq to 4/,
  );
  await rejects(
    { ...tiny, next_sentence_labels: int64(0, 1) },
    /next_sentence_labels has 2 values, expected 1/,
  );
  await rejects(
    { ...tiny, masked_lm_weights: int64(1, 0) },
    /masked_lm_weights is a int64_list, expected a float_list/,
  );
  await rejects({ ...tiny, input_ids: int64(1, 2, 3, 2 ** 40) }, /input_ids holds 1099511627776/);
  const { input_mask: _, ...without } = tiny;
  await rejects(without, /it has no input_mask \(it has input_ids, /);
});

Deno.test("readRecords() reads records with no prediction at all", async () => {
  const path = `${folder()}/none.tfrecord`;
  const writer = tfrecordWriter(path);
  const none = { masked_lm_positions: int64(), masked_lm_ids: int64() };
  writer.write(encodeExample({ ...tiny, ...none, masked_lm_weights: { type: "float_list", values: [] } }));
  writer.commit();
  for await (const record of readRecords([path], { maxSeqLength: 4, maxPredictionsPerSeq: 0 })) {
    assert.equal(record.masked_lm_weights.length, 0);
  }
});

Deno.test("readRecords() with `wanted` passes over the others by their headers, in plain and compressed files", async () => {
  for (const compression of ["none", "gzip"] as const) {
    const place = folder();
    const paths = [0, 1].map((file) => {
      const path = `${place}/${file}.tfrecord`;
      const writer = tfrecordWriter(path, compression === "none" ? {} : { compression });
      for (let i = 0; i < 4; i++) {
        // A payload that is no record: whoever decodes it fails.
        writer.write(
          i % 2 === 0
            ? Uint8Array.of(1, 2, 3)
            : encodeExample({ ...tiny, masked_lm_ids: int64(4 * file + i, 0) }),
        );
      }
      writer.commit();
      return path;
    });
    const seen: (number | undefined)[] = [];
    for await (const record of readRecords(paths, lengths, { wanted: (n) => n === 3 || n === 5 })) {
      seen.push(record?.masked_lm_ids[0]);
    }
    assert.deepEqual(
      seen,
      [undefined, undefined, undefined, 3, undefined, 5, undefined, undefined],
      compression,
    );
  }
});
