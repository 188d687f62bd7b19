/**
 * A graph as a picture: a box per node with its operation and type, an arrow from each value to its users. Colours tell
 * which output asked for a node first, so that a gradient stands out from the function it belongs to.
 */
import { describe, topological } from "../tensor/mod.ts";
import type { Graph, NamedGraph, Tensor, TensorOf } from "../tensor/mod.ts";
import { type Showable, svgPicture } from "./bundle.ts";
import { type Layout, layoutGraph } from "./graph_layout.ts";
import { coordinate, LABEL_DIGITS, numberText } from "./numbers.ts";
import { FAINT, INK, MONO, monoWidth, PALETTE, PAPER, rectAt, SOFT, svgFrame, textAt } from "./svg.ts";

const MARGIN = 14;
const BOX = 36;
const LAYER = 62;
const [BIG, SMALL] = [12, 10];
/** More boxes than this cannot be read. */
const most = 150;

const comparisons = { eq: "=", ne: "≠", lt: "<", le: "≤", gt: ">", ge: "≥" } as const;

/** Shape and type, short: `[2, 3]` is float32. */
function typeLabel({ dtype, shape }: Tensor): string {
  const sizes = shape.length === 0 ? "scalar" : `[${shape.join(", ")}]`;
  return dtype === "float32" ? sizes : `${dtype} ${sizes}`;
}

/** The operation with what distinguishes it: `reduce_sum 0, 1`, `constant 0.5`. */
function nodeLabel(tensor: Tensor): string {
  switch (tensor.op) {
    case "parameter":
      return tensor.attributes.name;
    case "constant": {
      const { value } = tensor.attributes;
      return typeof value === "number" ? numberText(value, LABEL_DIGITS) : "constant";
    }
    case "compare":
      return `compare ${comparisons[tensor.attributes.direction]}`;
    case "transpose":
      return `transpose ${tensor.attributes.permutation.join(", ")}`;
    case "reduce_sum":
    case "reduce_max":
      return `${tensor.op} ${tensor.attributes.axes.join(", ")}`;
    case "dot":
      return `dot ${tensor.attributes.contract.map((axes) => axes.join(", ")).join(" · ")}`;
    case "scan":
      return `scan × ${tensor.attributes.length}`;
    case "result":
      return `result ${tensor.attributes.index}`;
    default:
      return tensor.op;
  }
}

/** For each node, the first output that needs it. */
function firstOutputs(outputs: readonly Tensor[]): Map<Tensor, number> {
  const found = new Map<Tensor, number>();
  outputs.forEach((output, i) => {
    for (const tensor of topological([output])) if (!found.has(tensor)) found.set(tensor, i);
  });
  return found;
}

function graphText(nodes: readonly Tensor[], { outputs }: Graph, names: readonly string[]): string {
  const name = new Map(nodes.map((tensor, i) => [
    tensor,
    tensor.op === "parameter" ? (tensor as TensorOf<"parameter">).attributes.name : `n${i}`,
  ]));
  const made = nodes.flatMap((tensor) => {
    if (tensor.op === "parameter") return [];
    const inputs = tensor.inputs.map((input) => name.get(input)).join(", ");
    return [
      `  ${name.get(tensor)} = ${nodeLabel(tensor)}${inputs === "" ? "" : ` (${inputs})`}: ${
        describe(tensor)
      }`,
    ];
  });
  return [
    `graph of ${nodes.length} nodes`,
    ...made,
    ...outputs.map((output, i) => `  ${names[i] ?? `output ${i}`} is ${name.get(output)}`),
  ].join("\n");
}

/** What is drawn: a node, or one of the uses of a constant number, which stands beside each of its users. */
type Item = { readonly tensor: Tensor; readonly inputs: readonly number[] };

function itemsOf(nodes: readonly Tensor[], outputs: readonly Tensor[]): Item[] {
  const items: Item[] = [];
  const places = new Map<Tensor, number>();
  const add = (tensor: Tensor, inputs: readonly number[]): number => items.push({ tensor, inputs }) - 1;
  for (const tensor of nodes) {
    const repeated = tensor.op === "constant" && typeof tensor.attributes.value === "number";
    if (repeated && !outputs.includes(tensor)) continue;
    const inputs = tensor.inputs.map((input) => places.get(input) ?? add(input, []));
    places.set(tensor, add(tensor, inputs));
  }
  return items;
}

type Box = { readonly x: number; readonly y: number; readonly width: number };

/** A smooth line from the bottom of one box through the layers between to the top of another. */
function edgePath(from: Box, to: Box, bends: readonly number[], inlet: number): string {
  const points = [
    [from.x, from.y + BOX],
    ...bends.flatMap((x, i) => {
      const y = from.y + (i + 1) * LAYER;
      return [[x, y], [x, y + BOX]]; // straight past the boxes of the layer
    }),
    [inlet, to.y - 4],
  ] as [number, number][];
  const [[x0, y0]] = points as [[number, number]];
  const rest = points.slice(1).map(([x, y], i) => {
    const [before, above] = points[i] as [number, number];
    if (before === x) return `V${coordinate(y)}`;
    const middle = coordinate((above + y) / 2);
    return `C${coordinate(before)} ${middle} ${coordinate(x)} ${middle} ${coordinate(x)} ${coordinate(y)}`;
  });
  return `M${coordinate(x0)} ${coordinate(y0)}${rest.join("")}`;
}

function drawEdges(items: readonly Item[], boxes: readonly Box[], { bends }: Layout): string[] {
  const paths: string[] = [];
  const heads: string[] = [];
  items.forEach(({ inputs }, i) => {
    const to = boxes[i] as Box;
    const step = Math.min(18, to.width / (inputs.length + 1));
    inputs.forEach((input, k) => {
      const inlet = to.x + (k - (inputs.length - 1) / 2) * step;
      paths.push(edgePath(boxes[input] as Box, to, bends[i]?.[k] ?? [], inlet));
      heads.push(`M${coordinate(inlet - 3.5)} ${coordinate(to.y - 6)}h7l-3.5 6z`);
    });
  });
  return [
    `<path d="${paths.join("")}" fill="none" stroke="#8b949e" stroke-width="1.3"/>`,
    `<path d="${heads.join("")}" fill="#8b949e"/>`,
  ];
}

function drawBox(tensor: Tensor, { x, y, width }: Box, colour: number, isOutput: boolean): string[] {
  const leaf = tensor.inputs.length === 0;
  const stroke = PALETTE[colour % PALETTE.length] as string;
  const fill = leaf ? PAPER : SOFT[colour % SOFT.length] as string;
  const line = isOutput ? 'stroke-width="2.5"' : leaf ? 'stroke-dasharray="4 2"' : "";
  return [
    rectAt(x - width / 2, y, width, BOX, fill, `rx="6" stroke="${stroke}" ${line}`.trim()),
    textAt(x, y + 15, nodeLabel(tensor), { size: BIG, font: MONO, anchor: "middle", bold: true }),
    textAt(x, y + 29, typeLabel(tensor), { size: SMALL, font: MONO, anchor: "middle", fill: FAINT }),
  ];
}

/** One swatch per output with the number of nodes it adds; gives the width as well. */
function drawLegend(
  names: readonly string[],
  counts: readonly number[],
): { readonly drawn: string[]; readonly width: number } {
  let x = MARGIN;
  const drawn = names.flatMap((name, i) => {
    const words = `${name}: ${counts[i] ?? 0} nodes${i === 0 ? "" : " more"}`;
    const at = x;
    x += 18 + monoWidth(words, SMALL + 1) + 20;
    const stroke = `rx="3" stroke="${PALETTE[i % PALETTE.length]}"`;
    return [
      rectAt(at, MARGIN, 12, 12, SOFT[i % SOFT.length] as string, stroke),
      textAt(at + 18, MARGIN + 10, words, { size: SMALL + 1, font: MONO, fill: INK }),
    ];
  });
  return { drawn, width: x };
}

/** Width of the box of a node. */
function boxWidth(tensor: Tensor): number {
  return Math.max(44, 16 + Math.max(monoWidth(nodeLabel(tensor), BIG), monoWidth(typeLabel(tensor), SMALL)));
}

/**
 * Draws a graph from its arguments (dashed boxes, at the top) to its results (bold frames).
 *
 * @param graph A graph, best one of `graphOf`, whose outputs have names.
 * @returns Something to `show`; as text, one line per node.
 * @throws {RangeError} When the graph has more than 150 nodes.
 *
 * @example
 * ```ts
 * import { graphOf, graphPicture, mul } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { bundle } = graphPicture(graphOf(({ x }) => ({ y: mul(x, x) }), { x: { dtype: "float32", shape: [2] } }));
 * assert.equal(bundle["text/plain"], "graph of 2 nodes\n  n1 = mul (x, x): float32 [2]\n  y is n1");
 * assert.match(String(bundle["image/svg+xml"]), /^<svg /);
 * ```
 */
export function graphPicture(graph: Graph | NamedGraph): Showable {
  const nodes = topological(graph.outputs);
  if (nodes.length > most) {
    throw new RangeError(
      `Cannot draw a graph of ${nodes.length} nodes: no more than ${most} can be read, draw a part of it`,
    );
  }
  const names = "names" in graph ? graph.names : graph.outputs.map((_, i) => `output ${i}`);
  const items = itemsOf(nodes, graph.outputs);
  const layout = layoutGraph(items.map(({ tensor, inputs }) => ({ width: boxWidth(tensor), inputs })));
  const asked = firstOutputs(graph.outputs);
  const counts = graph.outputs.map((_, i) => [...asked.values()].filter((first) => first === i).length);
  const legend = drawLegend(names, counts);
  const top = MARGIN + 26;
  const boxes = items.map(({ tensor }, i): Box => ({
    x: MARGIN + (layout.centres[i] ?? 0),
    y: top + (layout.layers[i] ?? 0) * LAYER,
    width: boxWidth(tensor),
  }));
  const results = new Set(graph.outputs);
  const text = graphText(nodes, graph, names);
  const content = [
    ...legend.drawn,
    ...drawEdges(items, boxes, layout),
    ...items.flatMap(({ tensor }, i) =>
      drawBox(tensor, boxes[i] as Box, asked.get(tensor) ?? 0, results.has(tensor))
    ),
  ];
  const width = Math.max(2 * MARGIN + layout.width, legend.width);
  const height = top + Math.max(0, ...layout.layers) * LAYER + BOX + MARGIN;
  return svgPicture(svgFrame(width, height, text.split("\n")[0] ?? "graph", content), text);
}
