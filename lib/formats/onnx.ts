/**
 * ONNX files: a graph of operators with its weights, written by hand. Facts: onnx.proto3 of the ONNX project (field
 * numbers, element types), its IR and operator-set versions. Weights are never copied: a file is a list of pieces.
 */
import { protobufWriter, writeVarint } from "./protobuf.ts";

/** Element types by their number in TensorProto.DataType. */
export const onnxTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
} as const;

/**
 * The name of an ONNX element type.
 *
 * @example
 * ```ts
 * import type { OnnxType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ids: OnnxType = "int64";
 * assert.equal(ids, "int64");
 * ```
 */
export type OnnxType = keyof typeof onnxTypes;

/**
 * The value of an attribute: a bigint is an int, a number a float, a list of numbers is ints, a Float32Array floats.
 *
 * @example
 * ```ts
 * import type { OnnxAttribute } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const axis: OnnxAttribute = -1n;
 * const epsilon: OnnxAttribute = 1e-12;
 * assert.notEqual(typeof axis, typeof epsilon);
 * ```
 */
export type OnnxAttribute = bigint | number | string | readonly number[] | Float32Array;

/**
 * One operator of a graph.
 *
 * @example
 * ```ts
 * import type { OnnxNode } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const node: OnnxNode = { op: "Softmax", inputs: ["x"], outputs: ["y"], attributes: { axis: -1n } };
 * assert.equal(node.op, "Softmax");
 * ```
 */
export type OnnxNode = {
  /** The operator's name. */
  readonly op: string;
  /** Names of values; `""` leaves an optional one out. */
  readonly inputs: readonly string[];
  /** Names of the values made. */
  readonly outputs: readonly string[];
  /** What the operator is told, by name. */
  readonly attributes?: { readonly [name: string]: OnnxAttribute };
  /** A name for messages of runtimes. */
  readonly name?: string;
  /** Whose operator it is; default ONNX's own. */
  readonly domain?: string;
};

/**
 * A weight or another constant of a graph.
 *
 * @example
 * ```ts
 * import type { OnnxTensor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const one: OnnxTensor = { name: "one", type: "uint8", shape: [1], data: Uint8Array.of(1) };
 * assert.equal(one.data?.length, 1);
 * ```
 */
export type OnnxTensor = {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  /** The values, little-endian, row-major; undefined where a file that was read keeps them in another way. */
  readonly data: Uint8Array | undefined;
};

/**
 * An input or output of a graph; a size is a number, or the name of one that differs from run to run.
 *
 * @example
 * ```ts
 * import type { OnnxValue } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ids: OnnxValue = { name: "input_ids", type: "int64", shape: ["batch_size", "sequence_length"] };
 * assert.equal(ids.shape.length, 2);
 * ```
 */
export type OnnxValue = {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly (number | string)[];
};

/**
 * What an ONNX file holds.
 *
 * @example
 * ```ts
 * import type { OnnxModel } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const operators = ({ nodes }: OnnxModel): string[] => nodes.map(({ op }) => op);
 * assert.equal(typeof operators, "function");
 * ```
 */
export type OnnxModel = {
  /** Version of the file format. */
  readonly irVersion: number;
  /** Version of ONNX's own operators. */
  readonly opset: number;
  /** The program that wrote it. */
  readonly producer: string;
  /** Texts by name. */
  readonly metadata: { readonly [key: string]: string };
  readonly name: string;
  /** Inputs before users. */
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly tensors: readonly OnnxTensor[];
};

// AttributeProto.AttributeType.
const kinds = { float: 1, int: 2, string: 3, floats: 6, ints: 7 } as const;

function attributeBytes(name: string, value: OnnxAttribute): Uint8Array {
  const writer = protobufWriter().string(1, name);
  if (typeof value === "bigint") return writer.varint(3, value).varint(20, kinds.int).finish();
  if (typeof value === "number") return writer.float(2, value).varint(20, kinds.float).finish();
  if (typeof value === "string") return writer.string(4, value).varint(20, kinds.string).finish();
  if (value instanceof Float32Array) return writer.packedFloats(7, value).varint(20, kinds.floats).finish();
  return writer.packedVarints(8, value).varint(20, kinds.ints).finish();
}

function nodeBytes({ op, inputs, outputs, attributes = {}, name, domain }: OnnxNode): Uint8Array {
  const writer = protobufWriter();
  for (const input of inputs) writer.string(1, input);
  for (const output of outputs) writer.string(2, output);
  if (name !== undefined) writer.string(3, name);
  writer.string(4, op);
  for (const [key, value] of Object.entries(attributes)) writer.bytes(5, attributeBytes(key, value));
  if (domain !== undefined) writer.string(7, domain);
  return writer.finish();
}

function valueBytes({ name, type, shape }: OnnxValue): Uint8Array {
  return protobufWriter().string(1, name).message(
    2,
    (typeProto) =>
      typeProto.message(1, (tensor) =>
        tensor.varint(1, onnxTypes[type]).message(2, (sizes) => {
          for (const size of shape) {
            sizes.message(1, (dim) => typeof size === "number" ? dim.varint(1, size) : dim.string(2, size));
          }
        })),
  ).finish();
}

type Pieces = readonly Uint8Array[];

const lengthOf = (pieces: Pieces): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** A length-delimited field whose content is in pieces. */
function field(number: number, content: Pieces): Uint8Array[] {
  const head = new Uint8Array(20);
  const end = writeVarint(head, writeVarint(head, 0, number * 8 + 2), lengthOf(content));
  return [head.subarray(0, end), ...content];
}

function tensorPieces({ name, type, shape, data }: OnnxTensor): Uint8Array[] {
  if (data === undefined) throw new TypeError(`Cannot write the ONNX tensor ${name}: it has no values`);
  const head = protobufWriter().packedVarints(1, shape).varint(2, onnxTypes[type]).string(8, name).finish();
  return [head, ...field(9, [data])];
}

/** Protobuf readers take no message of 2 GiB. */
const most = 2 ** 31 - 1;

/**
 * The content of an ONNX file, in pieces to be written one behind the other: weights are views, not copies.
 *
 * @param model What to write.
 * @returns The pieces of the file.
 * @throws {RangeError} When the file would have 2 GiB or more, which no protobuf reader takes.
 * @throws {TypeError} When a tensor has no values.
 * @example
 * ```ts
 * import { type OnnxModel, parseOnnx, serializeOnnx } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { Buffer } from "node:buffer";
 *
 * const model: OnnxModel = {
 *   irVersion: 8,
 *   opset: 17,
 *   producer: "albert-guide",
 *   metadata: {},
 *   name: "double",
 *   nodes: [{ op: "Add", inputs: ["x", "x"], outputs: ["y"] }],
 *   inputs: [{ name: "x", type: "float32", shape: ["n"] }],
 *   outputs: [{ name: "y", type: "float32", shape: ["n"] }],
 *   tensors: [],
 * };
 * assert.equal(parseOnnx(Buffer.concat(serializeOnnx(model))).nodes[0]?.op, "Add");
 * ```
 */
export function serializeOnnx(model: OnnxModel): Uint8Array[] {
  const { irVersion, opset, producer, metadata, name, nodes, inputs, outputs, tensors } = model;
  const before = protobufWriter();
  for (const node of nodes) before.bytes(1, nodeBytes(node));
  const after = protobufWriter();
  for (const input of inputs) after.bytes(11, valueBytes(input));
  for (const output of outputs) after.bytes(12, valueBytes(output));
  const graph = [
    before.string(2, name).finish(),
    ...tensors.flatMap((tensor) => field(5, tensorPieces(tensor))),
    after.finish(),
  ];
  const tail = protobufWriter().message(8, (own) => own.string(1, "").varint(2, opset));
  for (const [key, value] of Object.entries(metadata)) {
    tail.message(14, (entry) => entry.string(1, key).string(2, value));
  }
  const file = [
    protobufWriter().varint(1, irVersion).string(2, producer).finish(),
    ...field(7, graph),
    tail.finish(),
  ];
  const bytes = lengthOf(file);
  if (bytes > most) {
    throw new RangeError(
      `Cannot write ONNX: the file would have ${bytes} bytes, readers take ${most}; choose weights of fewer bytes`,
    );
  }
  return file;
}
