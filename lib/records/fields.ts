/**
 * The byte view of one record: which bytes of the frame are length, checksum, name, value or protobuf structure, so
 * that a picture can colour them. Every byte belongs to exactly one span. Facts: the TFRecord frame and
 * `tensorflow/core/example/{example,feature}.proto`.
 */
import { CorruptFileError, fieldBytes, fieldString, fieldVarints, readFields } from "../formats/mod.ts";
import type { ProtobufField } from "../formats/mod.ts";

/**
 * What a span of bytes is: parts of the frame (`"length"`, `"length-crc"`, `"data-crc"`), protobuf tags with their
 * length prefixes (`"tag"`), a feature's name (`"key"`) or its numbers (`"value"`).
 *
 * @example
 * ```ts
 * import type { ByteKind } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const colours: Partial<Record<ByteKind, string>> = { key: "blue", value: "green" };
 * assert.equal(colours.key, "blue");
 * ```
 */
export type ByteKind = "length" | "length-crc" | "tag" | "key" | "value" | "data-crc";

/**
 * A run of bytes with one meaning.
 *
 * @example
 * ```ts
 * import type { ByteSpan } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const span: ByteSpan = { start: 0, end: 8, label: "payload length: 286", kind: "length", field: "" };
 * assert.equal(span.end - span.start, 8);
 * ```
 */
export type ByteSpan = {
  /** First byte. */
  readonly start: number;
  /** Byte behind the last. */
  readonly end: number;
  /** What it says, in words. */
  readonly label: string;
  /** What it is. */
  readonly kind: ByteKind;
  /** Feature it belongs to; empty for the frame and the outer message. */
  readonly field: string;
};

/**
 * Explains every byte of one framed record.
 *
 * @param bytes The frame: 8 bytes length, 4 checksum, the payload (an Example), 4 checksum.
 * @returns Spans in order, without gaps, from 0 to the length of the frame.
 * @throws {CorruptFileError} When the frame is cut or longer than its length says, or the payload is no Example.
 * @example
 * ```ts
 * import { encodeExample, frameRecord, parseExampleFields } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const frame = frameRecord(encodeExample({ input_ids: { type: "int64_list", values: [2, 300, 3] } }));
 * const spans = parseExampleFields(frame);
 * assert.equal(spans.find(({ kind }) => kind === "value")?.label, "3 integers: 2 300 3");
 * assert.equal(spans.at(-1)?.end, frame.length);
 * ```
 */
export function parseExampleFields(bytes: Uint8Array): ByteSpan[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length < 16 ? -1 : view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length + 16 !== bytes.length) {
    const wished = length < 0 ? "at least 16" : String(length + 16);
    throw new CorruptFileError(`Cannot show a record: it has ${bytes.length} bytes, expected ${wished}`, {
      path: "record",
      byte: 0,
    });
  }
  const hex = (at: number): string => `0x${view.getUint32(at, true).toString(16).padStart(8, "0")}`;
  const end = 12 + length;
  const spans: ByteSpan[] = [];
  spans.push({ start: 0, end: 8, label: `payload length: ${length}`, kind: "length", field: "" });
  spans.push({
    start: 8,
    end: 12,
    label: `checksum of the length: ${hex(8)}`,
    kind: "length-crc",
    field: "",
  });
  payloadSpans(bytes.subarray(12, end), 12, spans);
  spans.push({
    start: end,
    end: end + 4,
    label: `checksum of the payload: ${hex(end)}`,
    kind: "data-crc",
    field: "",
  });
  return spans;
}

const LISTS = ["", "bytes_list", "float_list", "int64_list"];

/** A message as spans: `inside` explains a field's content, or declines and the content becomes a value. */
type Inside = (field: ProtobufField, at: number) => boolean;

function payloadSpans(payload: Uint8Array, base: number, spans: ByteSpan[]): void {
  let feature = "";
  const add = (start: number, end: number, label: string, kind: ByteKind): void => {
    if (end > start) spans.push({ start, end, label, kind, field: feature });
  };
  const message = (
    bytes: Uint8Array,
    at: number,
    name: (f: ProtobufField) => string,
    inside: Inside,
  ): void => {
    for (const field of readFields(bytes, { path: "record", offset: at })) {
      const size = field.end - field.valueStart;
      add(at + field.start, at + field.valueStart, `${name(field)}, ${size} bytes`, "tag");
      if (inside(field, at + field.valueStart)) continue;
      add(at + field.valueStart, at + field.end, `unknown field ${field.field}`, "value");
    }
  };
  const isMessage = (field: ProtobufField, number: number): boolean =>
    field.field === number && field.wireType === 2;

  const list = (field: ProtobufField, at: number): boolean => {
    if (field.wireType !== 2 || field.field > 3) return false;
    const kind = field.field;
    message(fieldBytes(field), at, () => "values", (values, valuesAt) => {
      if (values.field !== 1) return false;
      add(valuesAt, valuesAt + values.end - values.valueStart, valueLabel(kind, values), "value");
      return true;
    });
    return true;
  };
  const part = (field: ProtobufField, at: number): boolean => {
    if (isMessage(field, 1)) {
      add(at, at + field.end - field.valueStart, `name: ${fieldString(field)}`, "key");
      return true;
    }
    if (!isMessage(field, 2)) return false;
    message(fieldBytes(field), at, (inner) => LISTS[inner.field] ?? `field ${inner.field}`, list);
    return true;
  };
  const entry = (field: ProtobufField, at: number): boolean => {
    if (!isMessage(field, 1)) return false;
    message(fieldBytes(field), at, (inner) => inner.field === 1 ? "name" : "feature", part);
    feature = "";
    return true;
  };
  const entryName = (field: ProtobufField): string => {
    if (isMessage(field, 1)) {
      for (const inner of readFields(fieldBytes(field))) {
        if (isMessage(inner, 1)) feature = fieldString(inner);
      }
    }
    return "map entry";
  };
  message(payload, base, () => "features", (field, at) => {
    if (!isMessage(field, 1)) return false;
    message(fieldBytes(field), at, entryName, entry);
    return true;
  });
}

function valueLabel(kind: number, field: ProtobufField): string {
  const shown = (values: readonly (number | bigint)[], what: string): string => {
    const some = values.slice(0, 8).join(" ");
    const more = values.length > 8 ? " ..." : "";
    return `${values.length} ${values.length === 1 ? what : `${what}s`}: ${some}${more}`;
  };
  const { value } = field;
  if (kind === 3 && field.wireType !== 1 && field.wireType !== 5) {
    return shown(fieldVarints(field), "integer");
  }
  if (kind === 2 && value instanceof Uint8Array && value.length % 4 === 0) {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    return shown(Array.from({ length: value.length / 4 }, (_, i) => view.getFloat32(i * 4, true)), "float");
  }
  return `${field.end - field.valueStart} bytes`;
}

/**
 * One span per feature: names, tags and values of a feature belong together, so that a picture colours by feature.
 *
 * @param spans What `parseExampleFields` returned.
 * @returns Spans in order, without gaps; those of the frame stay as they are. The kind is the feature's name.
 * @example
 * ```ts
 * import { encodeExample, frameRecord, parseExampleFields, spansByFeature } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const frame = frameRecord(encodeExample({ input_ids: { type: "int64_list", values: [2, 300, 3] } }));
 * const spans = spansByFeature(parseExampleFields(frame));
 * assert.deepEqual(spans.map(({ kind }) => kind), ["frame", "frame", "frame", "input_ids", "frame"]);
 * assert.match(spans[3]?.label ?? "", /input_ids: 3 integers: 2 300 3/);
 * ```
 */
export function spansByFeature(
  spans: readonly ByteSpan[],
): { readonly start: number; readonly end: number; readonly label: string; readonly kind: string }[] {
  const merged: { start: number; end: number; label: string; kind: string }[] = [];
  for (const { start, end, label, kind, field } of spans) {
    const last = merged[merged.length - 1];
    const value = kind === "value" ? `${field}: ${label}` : field;
    if (field === "") merged.push({ start, end, label, kind: "frame" });
    else if (last?.kind !== field) merged.push({ start, end, label: value, kind: field });
    else merged[merged.length - 1] = { ...last, end, label: kind === "value" ? value : last.label };
  }
  return merged;
}
