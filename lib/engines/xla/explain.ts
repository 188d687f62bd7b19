/**
 * The text of a program for people: what the XLA engine hands to the compiler, with names, indentation and decimal
 * numbers as comments. It is still StableHLO, and making it needs no plugin.
 */
import type { Graph, NamedGraph } from "../../tensor/mod.ts";
import { toStableHlo } from "./stablehlo.ts";

/** `0x3E000000` as a number. */
function decimal(bits: string): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, Number(bits));
  return Number(view.getFloat32(0).toPrecision(7));
}

function commented(line: string): string {
  const constant = /dense<(0x[0-9A-F]{8})> : tensor<(?:\d+x)*f32>$/.exec(line);
  return constant === null ? line : `${line}  // ${decimal(constant[1] as string)}`;
}

/**
 * Writes a graph as a StableHLO program, with comments. The engine simplifies large graphs before it writes them.
 *
 * @param graph A graph, best one of `graphOf`, whose arguments and results have names.
 * @returns The program's text.
 * @example
 * ```ts
 * import { graphOf, mul, stableHlo } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const text = stableHlo(graphOf(({ x }) => ({ y: mul(x, 2) }), { x: { dtype: "float32", shape: [] } }));
 * assert.deepEqual(text.split("\n"), [
 *   "// %arg0 is x; the result is y",
 *   "func.func @main(%arg0: tensor<f32>) -> (tensor<f32>) {",
 *   "  %v0 = stablehlo.constant dense<0x40000000> : tensor<f32>  // 2",
 *   "  %v1 = stablehlo.multiply %arg0, %v0 : tensor<f32>",
 *   "  return %v1 : tensor<f32>",
 *   "}",
 * ]);
 * ```
 */
export function stableHlo(graph: Graph | NamedGraph): string {
  const { text } = toStableHlo(graph);
  const given = graph.parameters.map(({ attributes }, i) => `%arg${i} is ${attributes.name}`).join(", ");
  const names = "names" in graph ? graph.names : [];
  const made = names.length === 0
    ? ""
    : names.length === 1
    ? `the result is ${names[0]}`
    : `the results are ${names.join(", ")}`;
  let depth = 0;
  const lines = text.trim().split("\n").map((line) => {
    if (line.startsWith("}")) depth -= 1;
    const indented = `${"  ".repeat(Math.max(0, depth))}${commented(line)}`;
    if (/\{$/.test(line)) depth += 1;
    return indented;
  });
  const head = [given, made].filter((part) => part !== "").join("; ");
  return [...(head === "" ? [] : [`// ${head}`]), ...lines].join("\n");
}
