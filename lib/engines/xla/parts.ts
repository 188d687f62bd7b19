/**
 * Names for values that have none: the weights that a value is made with say which part of a model it belongs to. Used
 * where a person must find a value again, in refusals and in errors of the compiler.
 */
import { describe } from "../../tensor/mod.ts";
import type { Graph, Tensor, TensorOf, TensorType } from "../../tensor/mod.ts";
import { bytesOf } from "./values.ts";

/** Values of one kind: of one part of the model, one operation and one type. */
export type ValueGroup = {
  /** What it is: `12 × dot float32 [8, 12, 512, 512] of bert/encoder/…/attention_1/self`. */
  readonly words: string;
  readonly bytes: number;
};

/** Nodes that are looked at before a value counts as one of no part. */
const reach = 200;

const nameOf = (tensor: Tensor): string | undefined =>
  tensor.op === "parameter" ? tensor.attributes.name.replace(/^\w+\./, "") : undefined;

/** What paths have in common: `a/b/kernel` and `a/c/kernel` are both of `a`. */
function common(paths: readonly string[]): string {
  const [first = [], ...rest] = paths.map((path) => path.split("/"));
  const end = first.findIndex((part, i) => rest.some((other) => other[i] !== part));
  return first.slice(0, end < 0 ? first.length : end).join("/");
}

/** Last parts of the names of weights that say nothing about the place. */
const kinds = /\/(kernel|bias|gamma|beta)$/;

/** Operations that keep what a value is. */
const layout = new Set<string>([
  "reshape",
  "transpose",
  "broadcast",
  "cast",
  "slice",
  "stop_gradient",
  "barrier",
]);

/** Products behind a product that are asked for their part. */
const deepest = 2;

/** The argument that a value is, through what only lays it out. */
function argumentOf(tensor: Tensor): string | undefined {
  let at = tensor;
  while (layout.has(at.op)) at = at.inputs[0] as Tensor;
  return nameOf(at);
}

/** The part that a product belongs to: its weight's, or what those of its operands share. */
function partOfProduct({ inputs }: Tensor, depth: number): string {
  const weights = inputs.flatMap((input) => argumentOf(input) ?? []);
  const weight = weights.find((name) => name.includes("/")) ?? weights[weights.length - 1];
  if (weight !== undefined) return weight.replace(kinds, "");
  const parts = [...new Set(inputs.map((input) => partOf(input, depth - 1)))].filter((part) => part !== "");
  return common(parts) || parts.join(", ");
}

/**
 * The part of a model that a value belongs to: the weights nearest behind it, whose names are paths, or the part of the
 * product that it is made from. Where there are none, the names of the nearest arguments.
 */
export function partOf(tensor: Tensor, depth: number = deepest): string {
  const seen = new Set<Tensor>([tensor]);
  let row: readonly Tensor[] = [tensor];
  let others = "";
  while (row.length > 0 && seen.size < reach) {
    const names = row.flatMap((each) => nameOf(each) ?? []);
    const paths = common(names.filter((name) => name.includes("/")));
    if (paths !== "") return paths.replace(kinds, "");
    if (others === "") others = [...new Set(names)].join(", ");
    const product = depth === 0 ? undefined : row.find(({ op }) => op === "dot");
    if (product !== undefined) return partOfProduct(product, depth);
    const next = new Set(row.flatMap(({ inputs }) => inputs).filter((input) => !seen.has(input)));
    next.forEach((each) => seen.add(each));
    row = [...next];
  }
  return others;
}

/** `dot float32 [8, 12, 512, 512] of bert/encoder/…/attention_1/self`. */
export function describeValue(tensor: Tensor): string {
  if (tensor.op === "parameter") return `${tensor.attributes.name} ${describe(tensor)}`;
  const part = partOf(tensor);
  return `${tensor.op} ${describe(tensor)}${part === "" ? "" : ` of ${part}`}`;
}

function collected<Value>(values: readonly Value[], keyOf: (value: Value) => string): Value[][] {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const group = groups.get(keyOf(value)) ?? [];
    group.push(value);
    groups.set(keyOf(value), group);
  }
  return [...groups.values()];
}

const sum = (types: readonly TensorType[]): number => types.reduce((total, each) => total + bytesOf(each), 0);

/** Computed values by what they are, the largest groups first. */
export function valueGroups(tensors: readonly Tensor[]): readonly ValueGroup[] {
  return collected(tensors, describeValue).map((group) => ({
    words: `${group.length > 1 ? `${group.length} × ` : ""}${describeValue(group[0] as Tensor)}`,
    bytes: sum(group),
  })).sort((a, b) => b.bytes - a.bytes);
}

/** Arguments by the groups in which they are given, the largest groups first. */
export function argumentGroups(parameters: Graph["parameters"]): readonly ValueGroup[] {
  const groupOf = ({ attributes: { name } }: TensorOf<"parameter">): string =>
    /^\w+(?=\.)/.exec(name)?.[0] ?? name;
  return collected(parameters, groupOf).map((group) => {
    const [largest] = [...group].sort((a, b) => bytesOf(b) - bytesOf(a)) as [TensorOf<"parameter">];
    const several = `${groupOf(largest)}: ${group.length} arguments, the largest `;
    return { words: `${group.length > 1 ? several : ""}${describeValue(largest)}`, bytes: sum(group) };
  }).sort((a, b) => b.bytes - a.bytes);
}
