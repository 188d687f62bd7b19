/**
 * A graph as the text of a StableHLO program: `func.func @main` with one line per operation. Array constants above a
 * few kilobytes become arguments behind the graph's own, which the program's owner uploads once.
 */
import { topological } from "../../tensor/mod.ts";
import type { Graph, HostArray, OperationName, Tensor, TensorOf, TensorType } from "../../tensor/mod.ts";
import { emitTable } from "./stablehlo_operations.ts";
import type { Emit } from "./stablehlo_operations.ts";
import { emitScan } from "./stablehlo_scan.ts";
import { makeWriter, typeText } from "./stablehlo_text.ts";

/** A program's text and what belongs to it. */
export type StableHlo = {
  readonly text: string;
  /** Values of the arguments behind the graph's parameters. */
  readonly hidden: readonly { readonly values: HostArray; readonly type: TensorType }[];
  /** For each donated parameter, the output that takes its memory. */
  readonly aliases: ReadonlyMap<number, number>;
  /** The operation that a line was written for, by the line's number from 1. */
  readonly madeBy: (line: number) => Tensor | undefined;
};

/** Pairs each donated parameter with an output of its type, in order. */
function pairDonated({ parameters, outputs }: Graph, donate: readonly number[]): Map<number, number> {
  const taken = new Set<number>();
  const pairs = new Map<number, number>();
  for (const index of donate) {
    const type = typeText(parameters[index] as Tensor);
    const output = outputs.findIndex((each, i) => !taken.has(i) && typeText(each) === type);
    if (output < 0) continue;
    taken.add(output);
    pairs.set(index, output);
  }
  return pairs;
}

/** Which results of each scan a graph uses. */
function askedResults(order: readonly Tensor[]): Map<Tensor, Set<number>> {
  const asked = new Map<Tensor, Set<number>>();
  for (const tensor of order) {
    if (tensor.op !== "result") continue;
    const scan = tensor.inputs[0] as Tensor;
    asked.set(scan, (asked.get(scan) ?? new Set()).add(tensor.attributes.index));
  }
  return asked;
}

/**
 * Writes a graph.
 *
 * @param graph The graph; scans become loops.
 * @param options `donate`: parameters whose memory outputs may take; `replicas`: devices that run it together, default 1.
 */
export function toStableHlo(
  graph: Graph,
  { donate = [], replicas = 1 }: { readonly donate?: readonly number[]; readonly replicas?: number } = {},
): StableHlo {
  const table = emitTable();
  const hidden: { readonly values: HostArray; readonly type: TensorType }[] = [];
  const known = new Map<HostArray, string>();
  const origins: Tensor[] = [];
  const writer = makeWriter(replicas, (values, type) => {
    const name = known.get(values) ?? `%arg${graph.parameters.length + hidden.length}`;
    if (!known.has(values)) hidden.push({ values, type: { dtype: type.dtype, shape: [...type.shape] } });
    known.set(values, name);
    return name;
  });
  const emitGraph = ({ parameters, outputs }: Graph, given: readonly string[]): readonly string[] => {
    const names = new Map<Tensor, string>(parameters.map((p, i) => [p as Tensor, given[i] as string]));
    const order = topological(outputs);
    const asked = askedResults(order);
    const results = new Map<Tensor, ReadonlyMap<number, string>>();
    for (const tensor of order) {
      if (names.has(tensor)) continue;
      const written = writer.lines.length;
      const inputs = tensor.op === "result" ? [] : tensor.inputs.map((input) => names.get(input) as string);
      switch (tensor.op) {
        case "parameter":
          throw new TypeError(`Cannot write ${tensor.attributes.name}: it is no parameter of this graph`);
        case "scan":
          results.set(tensor, emitScan(writer, emitGraph, tensor, inputs, asked.get(tensor) ?? new Set()));
          names.set(tensor, "");
          break;
        case "result": {
          const { index } = tensor.attributes;
          names.set(tensor, results.get(tensor.inputs[0] as Tensor)?.get(index) as string);
          break;
        }
        default:
          names.set(
            tensor,
            (table[tensor.op] as Emit<OperationName>)(writer, tensor as TensorOf<OperationName>, inputs),
          );
      }
      for (let line = written; line < writer.lines.length; line++) origins[line] ??= tensor; // inner ones are known
    }
    return outputs.map((output) => names.get(output) as string);
  };
  const outputs = emitGraph(graph, graph.parameters.map((_, i) => `%arg${i}`));
  const aliases = pairDonated(graph, donate);
  const types = [...graph.parameters, ...hidden.map(({ type }) => type)].map(typeText);
  const parameters = types.map((type, i) => {
    const output = aliases.get(i);
    return `%arg${i}: ${type}${output === undefined ? "" : ` {tf.aliasing_output = ${output} : i32}`}`;
  });
  const resultTypes = graph.outputs.map(typeText).join(", ");
  const text = [
    `func.func @main(${parameters.join(", ")}) -> (${resultTypes}) {`,
    ...writer.lines,
    `return ${outputs.join(", ")}${outputs.length > 0 ? ` : ${resultTypes}` : ""}`,
    "}",
    "",
  ].join("\n");
  return { text, hidden, aliases, madeBy: (line) => origins[line - 2] };
}
