/**
 * `scan` as a `stablehlo.while`: the state is the counter, the carries and one whole array per stacked output, which each
 * iteration updates in its place. Captured values are used from outside the loop as they are. Carries and stacked outputs
 * that nothing needs are left out.
 */
import type { Graph, Tensor, TensorOf, TensorType } from "../../tensor/mod.ts";
import { topological } from "../../tensor/mod.ts";
import { typeText } from "./stablehlo_text.ts";
import type { Writer } from "./stablehlo_text.ts";

/** Writes a graph whose parameters have names; gives the names of its outputs. */
export type EmitGraph = (graph: Graph, parameters: readonly string[]) => readonly string[];

type Scan = TensorOf<"scan">;

/** Which outputs of a scan's body the loop must compute, given those that are asked for, in ascending order. */
export function neededOutputs({ attributes: { body, carries } }: Scan, asked: ReadonlySet<number>): number[] {
  const needed = new Set(asked);
  for (;;) {
    const before = needed.size;
    const reached = new Set(topological([...needed].map((i) => body.outputs[i] as Tensor)));
    body.parameters.slice(0, carries).forEach((p, i) => {
      if (reached.has(p as Tensor)) needed.add(i);
    });
    if (needed.size === before) return [...needed].sort((a, b) => a - b);
  }
}

const scalar: TensorType = { dtype: "int32", shape: [] };

function sliceAt(writer: Writer, whole: string, { dtype, shape }: TensorType, index: string): string {
  const zero = shape.length > 1 ? writer.splat(0, scalar) : "";
  const rest = shape.slice(1);
  const starts = [index, ...rest.map(() => zero)].join(", ");
  const one = typeText({ dtype, shape: [1, ...rest] });
  const types = [typeText({ dtype, shape }), ...shape.map(() => typeText(scalar))].join(", ");
  const part = writer.value(
    `stablehlo.dynamic_slice ${whole}, ${starts}, sizes = [${
      [1, ...rest].join(", ")
    }] : (${types}) -> ${one}`,
  );
  return writer.value(`stablehlo.reshape ${part} : (${one}) -> ${typeText({ dtype, shape: rest })}`);
}

function updateAt(writer: Writer, whole: string, part: string, type: TensorType, index: string): string {
  const rest = type.shape.slice(1);
  const zero = rest.length > 0 ? writer.splat(0, scalar) : "";
  const one = typeText({ dtype: type.dtype, shape: [1, ...rest] });
  const row = writer.value(
    `stablehlo.reshape ${part} : (${typeText({ dtype: type.dtype, shape: rest })}) -> ${one}`,
  );
  const starts = [index, ...rest.map(() => zero)].join(", ");
  const types = [typeText(type), one, ...type.shape.map(() => typeText(scalar))].join(", ");
  return writer.value(
    `stablehlo.dynamic_update_slice ${whole}, ${row}, ${starts} : (${types}) -> ${typeText(type)}`,
  );
}

/**
 * Writes a loop.
 *
 * @param asked Results of the scan that something uses.
 * @returns The name of each result that was asked for.
 */
export function emitScan(
  writer: Writer,
  emitGraph: EmitGraph,
  scan: Scan,
  inputs: readonly string[],
  asked: ReadonlySet<number>,
): ReadonlyMap<number, string> {
  const { body, length, carries, sliced, reverse } = scan.attributes;
  const outputs = neededOutputs(scan, asked);
  const stateTypes = outputs.map((i): TensorType => {
    const { dtype, shape } = body.outputs[i] as Tensor;
    return { dtype, shape: i < carries ? shape : [length, ...shape] };
  });
  const starts = outputs.map((i, k) =>
    i < carries ? inputs[i] as string : writer.splat(0, stateTypes[k] as TensorType)
  );
  const first = writer.splat(0, scalar);
  const [limit, one] = [writer.splat(length, scalar), writer.splat(1, scalar)];
  const counter = `%${writer.name()}`;
  const state = outputs.map(() => `%${writer.name()}`);
  const loop = `%${writer.name()}`;
  const types = [scalar, ...stateTypes].map(typeText).join(", ");
  const given = [`${counter} = ${first}`, ...state.map((name, k) => `${name} = ${starts[k]}`)].join(", ");
  writer.line(`${loop}:${outputs.length + 1} = stablehlo.while(${given}) : ${types}`);
  writer.line("cond {");
  const more = writer.value(
    `stablehlo.compare LT, ${counter}, ${limit}, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>`,
  );
  writer.line(`stablehlo.return ${more} : tensor<i1>`);
  writer.line("} do {");
  const next = writer.value(`stablehlo.add ${counter}, ${one} : tensor<i32>`);
  const index = reverse ? writer.value(`stablehlo.subtract ${limit}, ${next} : tensor<i32>`) : counter;
  // A carry that nothing needs keeps its first value: no needed output reads it.
  const parameters = body.parameters.map((_, i) =>
    i < carries
      ? state[outputs.indexOf(i)] ?? inputs[i] as string
      : i < carries + sliced
      ? sliceAt(writer, inputs[i] as string, scan.inputs[i] as Tensor, index)
      : inputs[i] as string
  );
  const made = emitGraph({
    parameters: body.parameters,
    outputs: outputs.map((i) => body.outputs[i] as Tensor),
  }, parameters);
  const results = outputs.map((i, k) =>
    i < carries
      ? made[k] as string
      : updateAt(writer, state[k] as string, made[k] as string, stateTypes[k] as TensorType, index)
  );
  writer.line(`stablehlo.return ${[next, ...results].join(", ")} : ${types}`);
  writer.line("}");
  return new Map(outputs.map((i, k) => [i, `${loop}#${k + 1}`]));
}
