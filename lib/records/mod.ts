/**
 * Records: instances as tf.Example messages in TFRecord files, written and read.
 *
 * @module
 */
export { crc32c, frameRecord, maskedCrc32c } from "../formats/mod.ts";
export { decodeExample, encodeExample, type Example, type ExampleSource, type Feature } from "./example.ts";
export { type RecordCompression } from "./compression.ts";
export { type TfrecordWriter, tfrecordWriter } from "./tfrecord.ts";
export { indexTfrecords, type ReadOptions, readTfrecords, type TfRecord } from "./tfrecord_read.ts";
export { type ByteKind, type ByteSpan, parseExampleFields, spansByFeature } from "./fields.ts";
export { readRecords, type RecordArrays, type RecordLengths } from "./read.ts";
export {
  RECORDS_DEFAULTS,
  type RecordsConfig,
  type RecordsOptions,
  type RecordsReport,
  type RecordsTokenizer,
  type ReportedFile,
} from "./config.ts";
export { createRecords, type RecordsRun } from "./create.ts";
export { finishRecords } from "./finish.ts";
export { expandPatterns } from "./inputs.ts";
export type { RecordsMaker } from "./made_by.ts";
export { checkManifest, piecesHash, readManifest, type RecordsManifest } from "./manifest.ts";
export { recordBytes } from "./size.ts";
export { type Shard, shardOf } from "./shard_environment.ts";
export {
  type InterleaveOptions,
  type InterleavePosition,
  interleaveTfrecords,
  type RecordPlace,
} from "./interleave.ts";
export { instanceLog, type RecordsSummarizer, recordsSummarizer, type RecordsSummary } from "./summary.ts";
