/**
 * Reads ONNX files, as much of them as says what is inside: nodes, inputs, outputs, weights. Facts: as in onnx.ts.
 * Attributes that hold graphs or tensors are left out.
 */
import { CorruptFileError } from "./errors.ts";
import {
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  onnxTypes,
  type OnnxValue,
} from "./onnx.ts";
import { type ProtobufField, type ProtobufSource, readFields } from "./protobuf.ts";
import { fieldBytes, fieldFloat, fieldNumber, fieldString, fieldVarints } from "./protobuf_fields.ts";

const typeOf = new Map(
  Object.entries(onnxTypes).map(([name, number]) => [number as number, name as OnnxType]),
);
const bytesOf: Readonly<Partial<Record<OnnxType, number>>> = {
  ...{ float32: 4, int32: 4, uint32: 4, float64: 8, int64: 8, uint64: 8, complex64: 8, complex128: 16 },
  ...{ uint8: 1, int8: 1, bool: 1, uint16: 2, int16: 2, float16: 2, bfloat16: 2 },
};

/** A message to read: its bytes and where they stand in the file. */
type Message = { readonly bytes: Uint8Array; readonly source: Required<ProtobufSource> };

const fields = ({ bytes, source }: Message): Generator<ProtobufField> => readFields(bytes, source);

function inside(field: ProtobufField, { source: { path, offset } }: Message): Message {
  return { bytes: fieldBytes(field), source: { path, offset: offset + field.valueStart } };
}

function broken(reason: string, { source: { path, offset } }: Message): CorruptFileError {
  return new CorruptFileError(`Cannot read ${path}: ${reason} at byte ${offset}`, { path, byte: offset });
}

function typed(field: ProtobufField, message: Message): OnnxType {
  const found = typeOf.get(fieldNumber(field));
  if (found === undefined) throw broken(`element type ${fieldNumber(field)} is unknown`, message);
  return found;
}

const integers = (field: ProtobufField): number[] => fieldVarints(field).map(Number);

function readAttribute(message: Message): readonly [string, OnnxAttribute] | undefined {
  let name = "";
  let value: OnnxAttribute | undefined;
  const ints: number[] = [];
  const floats: number[] = [];
  for (const field of fields(message)) {
    if (field.field === 1) name = fieldString(field);
    else if (field.field === 2) value = fieldFloat(field);
    else if (field.field === 3) value = fieldVarints(field).map(BigInt)[0];
    else if (field.field === 4) value = fieldString(field);
    else if (field.field === 8) ints.push(...integers(field));
    else if (field.field === 7 && field.wireType === 5) floats.push(fieldFloat(field));
    else if (field.field === 7) {
      const bytes = fieldBytes(field);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let at = 0; at + 4 <= bytes.length; at += 4) floats.push(view.getFloat32(at, true));
    }
  }
  const list = ints.length > 0 ? ints : floats.length > 0 ? Float32Array.from(floats) : undefined;
  const found = value ?? list;
  return found === undefined ? undefined : [name, found];
}

function readNode(message: Message): OnnxNode {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes: Record<string, OnnxAttribute> = {};
  const names: { op: string; name?: string; domain?: string } = { op: "" };
  for (const field of fields(message)) {
    if (field.field === 1) inputs.push(fieldString(field));
    else if (field.field === 2) outputs.push(fieldString(field));
    else if (field.field === 3) names.name = fieldString(field);
    else if (field.field === 4) names.op = fieldString(field);
    else if (field.field === 5) {
      const [name, value] = readAttribute(inside(field, message)) ?? [];
      if (name !== undefined && value !== undefined) attributes[name] = value;
    } else if (field.field === 7) names.domain = fieldString(field);
  }
  if (names.op === "") throw broken("a node has no operator", message);
  return { inputs, outputs, attributes, ...names };
}

function readTensor(message: Message): OnnxTensor {
  const shape: number[] = [];
  let [name, type]: [string, OnnxType | undefined] = ["", undefined];
  let data: Uint8Array | undefined;
  for (const field of fields(message)) {
    if (field.field === 1) shape.push(...integers(field));
    else if (field.field === 2) type = typed(field, message);
    else if (field.field === 8) name = fieldString(field);
    else if (field.field === 9) data = fieldBytes(field);
  }
  if (type === undefined) throw broken(`the tensor ${name} has no element type`, message);
  const wanted = shape.reduce((product, size) => product * size, bytesOf[type] ?? NaN);
  if (data !== undefined && data.length !== wanted) {
    const said = `${type} [${shape.join(", ")}]`;
    throw broken(`the tensor ${name} has ${data.length} bytes, ${said} asks for ${wanted}`, message);
  }
  return { name, type, shape, data };
}

/** The sizes of a tensor's type; one that is not said is a question mark. */
function readSizes(message: Message): (number | string)[] {
  return [...fields(message)].filter(({ field }) => field === 1).map((dim) => {
    const [size] = fields(inside(dim, message));
    return size === undefined ? "?" : size.field === 1 ? fieldNumber(size) : fieldString(size);
  });
}

function readValue(message: Message): OnnxValue {
  let [name, type]: [string, OnnxType | undefined] = ["", undefined];
  let shape: (number | string)[] = [];
  for (const field of fields(message)) {
    if (field.field === 1) name = fieldString(field);
    if (field.field !== 2) continue;
    const typeProto = inside(field, message);
    for (const kind of fields(typeProto)) {
      if (kind.field !== 1) continue; // sequences, maps and the like have no element type of their own
      const tensor = inside(kind, typeProto);
      for (const part of fields(tensor)) {
        if (part.field === 1) type = typed(part, tensor);
        else if (part.field === 2) shape = readSizes(inside(part, tensor));
      }
    }
  }
  if (type === undefined) throw broken(`${name} is no tensor`, message);
  return { name, type, shape };
}

/** One entry of two texts (metadata), or of a text and a number (operator sets). */
function pair(message: Message): { readonly key: string; readonly value: string; readonly version: number } {
  const found = { key: "", value: "", version: 0 };
  for (const field of fields(message)) {
    if (field.field === 1) found.key = fieldString(field);
    else if (field.field === 2 && field.wireType === 0) found.version = fieldNumber(field);
    else if (field.field === 2) found.value = fieldString(field);
  }
  return found;
}

type Graph = Pick<OnnxModel, "name" | "nodes" | "inputs" | "outputs" | "tensors">;

function readGraph(message: Message): Graph {
  const [nodes, tensors]: [OnnxNode[], OnnxTensor[]] = [[], []];
  const [inputs, outputs]: [OnnxValue[], OnnxValue[]] = [[], []];
  let name = "";
  for (const field of fields(message)) {
    const within = (): Message => inside(field, message);
    if (field.field === 1) nodes.push(readNode(within()));
    else if (field.field === 2) name = fieldString(field);
    else if (field.field === 5) tensors.push(readTensor(within()));
    else if (field.field === 11) inputs.push(readValue(within()));
    else if (field.field === 12) outputs.push(readValue(within()));
  }
  return { name, nodes, inputs, outputs, tensors };
}

/**
 * Reads the content of an ONNX file.
 *
 * @param bytes The file.
 * @param options `path`: its name, for messages.
 * @returns What it holds; weights are views of the bytes.
 * @throws {CorruptFileError} When the bytes are no ONNX model, are cut, or a weight's bytes do not fit its shape.
 * @example
 * ```ts
 * import { CorruptFileError, parseOnnx } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => parseOnnx(Uint8Array.of(8, 8), { path: "a.onnx" }), CorruptFileError);
 * ```
 */
export function parseOnnx(
  bytes: Uint8Array,
  { path = "ONNX model" }: { readonly path?: string } = {},
): OnnxModel {
  const message: Message = { bytes, source: { path, offset: 0 } };
  try {
    return readModel(message);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw new CorruptFileError(`Cannot read ${path}: it is no ONNX model (${error.message})`, { path });
  }
}

function readModel(message: Message): OnnxModel {
  let [irVersion, opset, producer]: [number, number, string] = [0, 0, ""];
  let graph: Graph | undefined;
  const metadata: Record<string, string> = {};
  for (const field of fields(message)) {
    if (field.field === 1) irVersion = fieldNumber(field);
    else if (field.field === 2) producer = fieldString(field);
    else if (field.field === 7) graph = readGraph(inside(field, message));
    else if (field.field === 8) {
      const { key, version } = pair(inside(field, message));
      if (key === "" || key === "ai.onnx") opset = version;
    } else if (field.field === 14) {
      const { key, value } = pair(inside(field, message));
      metadata[key] = value;
    }
  }
  if (graph === undefined) throw broken("it is no ONNX model, for it has no graph", message);
  return { irVersion, opset, producer, metadata, ...graph };
}
