/**
 * The `.model` file: SentencePiece's ModelProto as a plain object, read and written without losing a byte. Names and
 * numbers are those of sentencepiece_model.proto; a field that is absent stays absent, since its presence is what
 * tells files of different front ends apart. Fields unknown here are kept as they came, after the known ones.
 */
import {
  CorruptFileError,
  fieldNumber,
  fieldString,
  type ProtobufField,
  type ProtobufWriter,
  protobufWriter,
  readFields,
} from "../formats/mod.ts";

/**
 * What kind of piece an entry of the vocabulary is.
 *
 * @example
 * ```ts
 * import type { PieceType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const type: PieceType = "control";
 * assert.equal(type, "control");
 * ```
 */
export type PieceType = "normal" | "unknown" | "control" | "user_defined" | "unused" | "byte";

/**
 * One entry of the vocabulary; its index is its id.
 *
 * @example
 * ```ts
 * import type { Piece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const piece: Piece = { piece: "▁the", score: -3.5, type: "normal" };
 * assert.equal(piece.piece.length, 4);
 * ```
 */
export type Piece = {
  /** Text of the piece; U+2581 stands for a blank. */
  readonly piece: string;
  /** Natural logarithm of the piece's probability, a float32; 0 for pieces that are not normal. */
  readonly score: number;
  /** Kind of the piece. */
  readonly type: PieceType;
};

/**
 * A value of a specification field; lists are arrays of strings.
 *
 * @example
 * ```ts
 * import type { SpecValue } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const symbols: SpecValue = ["[CLS]", "[SEP]"];
 * assert.ok(Array.isArray(symbols));
 * ```
 */
export type SpecValue = number | boolean | string | Uint8Array | readonly string[];

/**
 * A `.model` file as an object: the keys of the specifications are the field names of the proto file.
 *
 * @example
 * ```ts
 * import { parseModel, serializeModel } from "albert-guide";
 * import type { SentencePieceModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const model: SentencePieceModel = {
 *   pieces: [{ piece: "<unk>", score: 0, type: "unknown" }],
 *   trainer_spec: { vocab_size: 1, bos_id: -1 },
 * };
 * assert.deepEqual(parseModel(serializeModel(model)), model);
 * ```
 */
export type SentencePieceModel = {
  /** The vocabulary in id order. */
  readonly pieces: readonly Piece[];
  /** How it was trained, field name to value; lists are arrays of strings. */
  readonly trainer_spec?: Readonly<Record<string, SpecValue>>;
  /** How text is normalized before encoding; `precompiled_charsmap` holds bytes. */
  readonly normalizer_spec?: Readonly<Record<string, SpecValue>>;
  /** How decoded text is rewritten; absent in most models. */
  readonly denormalizer_spec?: Readonly<Record<string, SpecValue>>;
  /** Self-test data and what else the file holds, as raw fields. */
  readonly rest?: readonly { readonly field: number; readonly bytes: Uint8Array }[];
};

type SpecName = "trainer_spec" | "normalizer_spec" | "denormalizer_spec";
type Kind = "int" | "bool" | "float" | "string" | "strings" | "bytes";

const pieceTypes: readonly (PieceType | undefined)[] = [
  undefined,
  "normal",
  "unknown",
  "control",
  "user_defined",
  "unused",
  "byte",
];

/** Field number -> name and kind, ascending. */
const trainerFields: ReadonlyMap<number, readonly [string, Kind]> = fieldTable(
  `1 input strings,2 model_prefix string,3 model_type int,4 vocab_size int,5 accept_language strings,
6 self_test_sample_size int,7 input_format string,10 character_coverage float,11 input_sentence_size int,
12 mining_sentence_size int,13 training_sentence_size int,14 seed_sentencepiece_size int,15 shrinking_factor float,
16 num_threads int,17 num_sub_iterations int,18 max_sentence_length int,19 shuffle_input_sentence bool,
20 max_sentencepiece_length int,21 split_by_unicode_script bool,22 split_by_whitespace bool,23 split_by_number bool,
24 treat_whitespace_as_suffix bool,25 split_digits bool,26 allow_whitespace_only_pieces bool,30 control_symbols strings,
31 user_defined_symbols strings,32 vocabulary_output_piece_score bool,33 hard_vocab_limit bool,34 use_all_vocab bool,
35 byte_fallback bool,36 required_chars string,40 unk_id int,41 bos_id int,42 eos_id int,43 pad_id int,
44 unk_surface string,45 unk_piece string,46 bos_piece string,47 eos_piece string,48 pad_piece string,
49 train_extremely_large_corpus bool,50 enable_differential_privacy bool,51 differential_privacy_noise_level float,
52 differential_privacy_clipping_threshold int,53 pretokenization_delimiter string,54 seed_sentencepieces_file string`,
);

const normalizerFields: ReadonlyMap<number, readonly [string, Kind]> = fieldTable(
  `1 name string,2 precompiled_charsmap bytes,3 add_dummy_prefix bool,4 remove_extra_whitespaces bool,
5 escape_whitespaces bool,6 normalization_rule_tsv string`,
);

function fieldTable(list: string): ReadonlyMap<number, readonly [string, Kind]> {
  return new Map(
    list.split(",").map((entry) => {
      const [number = "", name = "", kind = ""] = entry.trim().split(" ");
      return [Number(number), [name, kind as Kind]];
    }),
  );
}

/**
 * Reads a `.model` file.
 *
 * @param bytes Content of the file.
 * @param options `path` is named in errors.
 * @returns The model; `serializeModel` of it gives the same bytes.
 * @throws {CorruptFileError} When the bytes are not a SentencePiece model; the message says why.
 * @example
 * ```ts
 * import { parseModel, serializeModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = serializeModel({ pieces: [{ piece: "a", score: -1, type: "normal" }] });
 * assert.equal(parseModel(bytes).pieces[0]?.piece, "a");
 * assert.throws(() => parseModel(new TextEncoder().encode("{}")), /not a SentencePiece model/);
 * ```
 */
export function parseModel(bytes: Uint8Array, options: { readonly path?: string } = {}): SentencePieceModel {
  const { path = "the model" } = options;
  try {
    return readModel(bytes, path);
  } catch (error) {
    if (error instanceof ModelMismatch || error instanceof CorruptFileError) {
      const byte = error instanceof CorruptFileError ? error.place.byte ?? 0 : error.byte;
      const reason = error.message.replace(/^Cannot read [^:]*: /, "");
      throw new CorruptFileError(
        `Cannot load ${path}: it is not a SentencePiece model, or it is damaged (${reason}); ` +
          "give the .model file that spm_train or trainUnigramFiles wrote",
        { path, byte },
      );
    }
    throw error;
  }
}

class ModelMismatch extends Error {
  readonly byte: number;
  constructor(message: string, byte: number) {
    super(message);
    this.byte = byte;
  }
}

function readModel(bytes: Uint8Array, path: string): SentencePieceModel {
  const pieces: Piece[] = [];
  const rest: { field: number; bytes: Uint8Array }[] = [];
  const specs: { -readonly [K in SpecName]?: Record<string, SpecValue> } = {};
  for (const field of readFields(bytes, { path })) {
    if (!(field.value instanceof Uint8Array) || field.wireType !== 2) {
      throw new ModelMismatch(`field ${field.field} is not a message at byte ${field.start}`, field.start);
    }
    const source = { path, offset: field.valueStart };
    if (field.field === 1) pieces.push(readPiece(field.value, source));
    else if (field.field === 2) specs.trainer_spec = readSpec(field.value, trainerFields, source);
    else if (field.field === 3) specs.normalizer_spec = readSpec(field.value, normalizerFields, source);
    else if (field.field === 5) specs.denormalizer_spec = readSpec(field.value, normalizerFields, source);
    else rest.push({ field: field.field, bytes: field.value.slice() });
  }
  if (pieces.length === 0) throw new ModelMismatch("it has no pieces", bytes.length);
  return { pieces, ...specs, ...(rest.length > 0 ? { rest } : {}) };
}

function readPiece(bytes: Uint8Array, source: { path: string; offset: number }): Piece {
  let piece = "";
  let score = 0;
  let type: PieceType = "normal";
  for (const field of readFields(bytes, source)) {
    if (field.field === 1 && field.wireType === 2) piece = fieldString(field);
    else if (field.field === 2 && field.wireType === 5) score = floatOf(field);
    else if (field.field === 3 && field.wireType === 0) {
      const known = typeof field.value === "bigint" ? undefined : pieceTypes[fieldNumber(field)];
      if (known === undefined) throw new ModelMismatch(`unknown piece type ${field.value}`, source.offset);
      type = known;
    } else {throw new ModelMismatch(
        `unexpected field ${field.field} in a piece at byte ${source.offset}`,
        source.offset,
      );}
  }
  if (piece === "") throw new ModelMismatch(`an empty piece at byte ${source.offset}`, source.offset);
  return { piece, score, type };
}

function floatOf(field: ProtobufField): number {
  const value = field.value as Uint8Array;
  return new DataView(value.buffer, value.byteOffset, 4).getFloat32(0, true);
}

function readSpec(
  bytes: Uint8Array,
  table: ReadonlyMap<number, readonly [string, Kind]>,
  source: { path: string; offset: number },
): Record<string, SpecValue> {
  const spec: Record<string, SpecValue> = {};
  for (const field of readFields(bytes, source)) {
    const entry = table.get(field.field);
    if (entry === undefined) continue;
    const [name, kind] = entry;
    const wire = kind === "int" || kind === "bool" ? 0 : kind === "float" ? 5 : 2;
    if (wire !== field.wireType) {
      throw new ModelMismatch(`field ${name} has wire type ${field.wireType}, expected ${wire}`, field.start);
    }
    if (typeof field.value === "bigint") {
      throw new ModelMismatch(`field ${name} is ${field.value} at byte ${field.start}`, field.start);
    }
    if (kind === "int") spec[name] = fieldNumber(field);
    else if (kind === "bool") spec[name] = fieldNumber(field) !== 0;
    else if (kind === "float") spec[name] = floatOf(field);
    else if (kind === "bytes") spec[name] = (field.value as Uint8Array).slice();
    else if (kind === "string") spec[name] = fieldString(field);
    else spec[name] = [...(spec[name] as readonly string[] | undefined ?? []), fieldString(field)];
  }
  return spec;
}

/**
 * Writes a `.model` file: pieces, then the specifications, fields ascending, as protobuf's C++ library does.
 *
 * @param model The model.
 * @returns Content of the file.
 * @throws {TypeError} When a specification holds a field that the format does not know.
 * @example
 * ```ts
 * import { serializeModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = serializeModel({ pieces: [{ piece: "a", score: 0, type: "unknown" }] });
 * assert.deepEqual([...bytes], [10, 10, 10, 1, 97, 21, 0, 0, 0, 0, 24, 2]);
 * ```
 */
export function serializeModel(model: SentencePieceModel): Uint8Array {
  const out = protobufWriter();
  for (const { piece, score, type } of model.pieces) {
    out.message(1, (inner) => {
      inner.string(1, piece).float(2, score);
      if (type !== "normal") inner.varint(3, pieceTypes.indexOf(type));
    });
  }
  const { trainer_spec, normalizer_spec, denormalizer_spec, rest = [] } = model;
  if (trainer_spec) out.message(2, (inner) => writeSpec(inner, trainer_spec, trainerFields));
  if (normalizer_spec) out.message(3, (inner) => writeSpec(inner, normalizer_spec, normalizerFields));
  for (const { field, bytes } of rest) if (field < 5) out.bytes(field, bytes);
  if (denormalizer_spec) out.message(5, (inner) => writeSpec(inner, denormalizer_spec, normalizerFields));
  for (const { field, bytes } of rest) if (field >= 5) out.bytes(field, bytes);
  return out.finish();
}

function writeSpec(
  out: ProtobufWriter,
  spec: Readonly<Record<string, SpecValue>>,
  table: ReadonlyMap<number, readonly [string, Kind]>,
): void {
  const left = new Set(Object.keys(spec));
  for (const [number, [name, kind]] of table) {
    const value = spec[name];
    if (!left.delete(name) || value === undefined) continue;
    if (kind === "int") out.varint(number, value as number);
    else if (kind === "bool") out.bool(number, value as boolean);
    else if (kind === "float") out.float(number, value as number);
    else if (kind === "bytes") out.bytes(number, value as Uint8Array);
    else if (kind === "string") out.string(number, value as string);
    else for (const item of value as readonly string[]) out.string(number, item);
  }
  const [unknown] = left;
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot write the model: its specification has a field "${unknown}" that the format lacks`,
    );
  }
}
