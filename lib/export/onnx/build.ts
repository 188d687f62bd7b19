/**
 * An ONNX graph from a graph of tensors: inputs and weights named, every node written, what nobody uses dropped.
 */
import type { OnnxModel, OnnxNode, OnnxValue } from "../../formats/mod.ts";
import { type NamedGraph, type Tensor, topological } from "../../tensor/mod.ts";
import { normalisedOf, softmaxOf } from "./fused.ts";
import { emit, type Emitting } from "./operations.ts";
import { isFixed, type SizedGraph, sizedGraph, sizeName, type Sizes } from "./sizes.ts";
import { halfTensor, smallWeights } from "./weights.ts";
import { bytesOf, onnxType, type OnnxWriter, onnxWriter, type Written } from "./writer.ts";

/**
 * How weights are stored in an ONNX file: as they are, in half precision, or in eight bits.
 *
 * @example
 * ```ts
 * import type { OnnxWeights } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const all: readonly OnnxWeights[] = ["fp32", "fp16", "int8"];
 * assert.equal(all.length, 3);
 * ```
 */
export type OnnxWeights = "fp32" | "fp16" | "int8";

/** A weight's name in the file, and its values. */
export type NamedWeight = { readonly name: string; readonly values: Float32Array };

export type BuildOptions = {
  /** Makes the graph for one batch and length. */
  readonly make: (batch: number, length: number) => NamedGraph;
  /** Which parameters of the graph are weights, by the argument's name; the others are inputs. Default none. */
  readonly weightOf?: (argument: string) => NamedWeight | undefined;
  /** Default `"fp32"`. */
  readonly weights?: OnnxWeights;
  /** Version of the operators, default 17. */
  readonly opset?: number;
  /** Inputs of whole numbers are int64, as tokenizers give them; default false. */
  readonly wideInputs?: boolean;
  readonly metadata?: { readonly [key: string]: string };
};

/** The version of the file format that goes with each version of the operators. */
const irVersions: ReadonlyMap<number, number> = new Map([[17, 8], [18, 8], [19, 9], [20, 9], [21, 10]]);

/**
 * Refuses a version of the operators that cannot be written.
 *
 * @throws {RangeError} When it is none of 17 to 21.
 */
export function irVersionOf(opset: number): number {
  const found = irVersions.get(opset);
  if (found !== undefined) return found;
  const [first, last] = [Math.min(...irVersions.keys()), Math.max(...irVersions.keys())];
  throw new RangeError(
    `Cannot write ONNX of opset ${opset}: choose ${first} to ${last}; ${first} is the first that has LayerNormalization`,
  );
}

type Building = {
  readonly writer: OnnxWriter;
  readonly emitting: Emitting;
  readonly weightOf: (tensor: Tensor) => NamedWeight | undefined;
  readonly weights: OnnxWeights;
  readonly wideInputs: boolean;
};

/** A weight, an input, or the value of a node whose inputs are written. */
function write(tensor: Tensor, written: ReadonlyMap<Tensor, Written>, building: Building): Written {
  const { writer, emitting, weightOf, weights, wideInputs } = building;
  const sizes = emitting.sizesOf(tensor);
  const whole = (part: Tensor): string => writer.whole(written.get(part) as Written, emitting.sizesOf(part));
  if (tensor.op === "parameter") {
    const weight = weightOf(tensor);
    if (weight === undefined) {
      const { name } = tensor.attributes;
      const wide = wideInputs && tensor.dtype === "int32";
      return { name: wide ? writer.node("Cast", [name], { to: 6n }) : name, sizes };
    }
    const { name, values } = weight;
    if (weights === "fp16") {
      return {
        name: writer.node("Cast", [writer.tensor(halfTensor(name, tensor.shape, values))], { to: 1n }),
        sizes,
      };
    }
    const data = bytesOf(values, "float32");
    return { name: writer.tensor({ name, type: "float32", shape: tensor.shape, data }), sizes };
  }
  const argument = softmaxOf(tensor);
  if (argument !== undefined) {
    return { name: writer.node("Softmax", [whole(argument)], { axis: -1n }), sizes };
  }
  const normalised = normalisedOf(tensor);
  if (normalised !== undefined) {
    const { x, gamma, beta, epsilon } = normalised;
    const attributes = { axis: -1n, epsilon };
    return { name: writer.node("LayerNormalization", [x, gamma, beta].map(whole), attributes), sizes };
  }
  return emit(emitting, tensor, tensor.inputs.map((input) => written.get(input) as Written));
}

/** The nodes that lead to the outputs, and the names of all values these use. */
function needed(
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
): { readonly nodes: readonly OnnxNode[]; readonly names: ReadonlySet<string> } {
  const names = new Set(outputs);
  const kept = [...nodes].reverse().filter((node) => {
    if (!node.outputs.some((name) => names.has(name))) return false;
    node.inputs.forEach((name) => names.add(name));
    return true;
  });
  return { nodes: kept.reverse(), names };
}

function valueOf(name: string, tensor: Tensor, sizes: Sizes, wide: boolean): OnnxValue {
  const shape = sizes.map((size) => isFixed(size) ? size.times : sizeName(size));
  return { name, type: wide && tensor.dtype === "int32" ? "int64" : onnxType(tensor.dtype), shape };
}

/** Where a program reads its batch and length: the first input that has it as a size. */
function sourceIn({ graph, sizesOf }: SizedGraph, isInput: (tensor: Tensor) => boolean) {
  return (moving: "batch" | "length"): { readonly name: string; readonly axis: number } => {
    for (const input of graph.parameters as readonly Tensor[]) {
      const axis = sizesOf(input).findIndex((size) =>
        size.times === 1 && size.batch + size.length === 1 && size[moving] === 1
      );
      if (axis >= 0 && isInput(input) && input.op === "parameter") {
        return { name: input.attributes.name, axis };
      }
    }
    throw new RangeError(`Cannot write ONNX: the ${moving} is a size of no input`);
  };
}

/**
 * Builds an ONNX model from a graph.
 *
 * @throws {RangeError} When the version of the operators cannot be written, or the graph cannot be said in it.
 */
export function buildOnnx(options: BuildOptions): OnnxModel {
  const { make, weights = "fp32", opset = 17, wideInputs = false, metadata = {} } = options;
  const irVersion = irVersionOf(opset);
  let names: readonly string[] = [];
  const sized = sizedGraph((batch, length) => {
    const graph = make(batch, length);
    names = graph.names;
    return graph;
  });
  const { graph, sizesOf, limitsOf } = sized;
  const weightOf = (tensor: Tensor): NamedWeight | undefined =>
    tensor.op === "parameter" ? options.weightOf?.(tensor.attributes.name) : undefined;
  const isInput = (tensor: Tensor): boolean => weightOf(tensor) === undefined;
  const writer = onnxWriter(opset, sourceIn(sized, isInput));
  const small = weights === "int8" ? smallWeights(writer, weightOf) : undefined;
  const emitting = { writer, sizesOf, limitsOf, ...(small === undefined ? {} : { small }) };
  const building = { writer, emitting, weightOf, weights, wideInputs };
  const written = new Map<Tensor, Written>();
  const parameters = graph.parameters as readonly Tensor[];
  for (const tensor of topological([...parameters, ...graph.outputs])) {
    written.set(tensor, write(tensor, written, building));
  }
  const ends = graph.outputs.map((output, i): OnnxNode => ({
    op: "Identity",
    inputs: [writer.whole(written.get(output) as Written, sizesOf(output))],
    outputs: [names[i] as string],
  }));
  const used = needed([...writer.written.nodes, ...ends], names);
  return {
    irVersion,
    opset,
    producer: "albert-guide",
    metadata,
    name: "albert",
    nodes: used.nodes,
    inputs: parameters.filter(isInput).map((input) =>
      valueOf(input.op === "parameter" ? input.attributes.name : "", input, sizesOf(input), wideInputs)
    ),
    outputs: graph.outputs.map((output, i) => valueOf(names[i] as string, output, sizesOf(output), false)),
    tensors: writer.written.tensors.filter(({ name }) => used.names.has(name)),
  };
}
