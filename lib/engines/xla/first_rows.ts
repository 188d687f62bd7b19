/**
 * Reading one place of every sequence, `x[:, s]` of [batch, sequence, ...], is a slice, and its gradient a padding. Both
 * are written here as a gather and a scatter of rows, so that `sparse_rows.ts` sees them as what they are.
 */
import { add, gather, iota, mul, reshape, scatterAdd, topological } from "../../tensor/mod.ts";
import type { Graph, Tensor } from "../../tensor/mod.ts";
import { withInputs } from "../../tensor/rebuild.ts";

/** The place in the second dimension that bounds pick, when they pick exactly one and all of the rest. */
function onePlace(
  shape: readonly number[],
  start: readonly number[],
  limit: readonly number[],
): number | undefined {
  const place = start[1];
  const whole = shape.every((size, axis) => axis === 1 || (start[axis] === 0 && limit[axis] === size));
  return shape.length >= 3 && whole && place !== undefined && limit[1] === place + 1 ? place : undefined;
}

/** The graph with such slices and paddings of reshaped rows rewritten. */
export function firstRows(graph: Graph): Graph {
  const made = new Map<Tensor, Tensor>();
  const lists = new Map<string, Tensor>();
  const list = (batch: number, sequence: number, place: number): Tensor => {
    const key = `${batch},${sequence},${place}`;
    const known = lists.get(key) ?? add(mul(iota([batch], 0), sequence), place);
    lists.set(key, known);
    return known;
  };
  const rewritten = (x: Tensor, [input]: readonly Tensor[]): Tensor | undefined => {
    if (input === undefined) return undefined;
    if (x.op === "slice" && input.op === "reshape") {
      const table = input.inputs[0] as Tensor;
      const [batch, sequence, ...rest] = input.shape as [number, number, ...number[]];
      const place = onePlace(input.shape, x.attributes.start, x.attributes.limit);
      const rows = batch * sequence;
      if (place === undefined || rest.join() !== table.shape.slice(1).join() || table.shape[0] !== rows) {
        return undefined;
      }
      return reshape(gather(table, list(batch, sequence, place)), x.shape);
    }
    if (x.op === "reshape" && input.op === "pad" && input.attributes.value === 0) {
      const { low, high } = input.attributes;
      const [batch, sequence, ...rest] = input.shape as [number, number, ...number[]];
      const limit = input.shape.map((size, axis) => size - (high[axis] as number));
      const place = onePlace(input.shape, low, limit);
      if (place === undefined || x.shape.join() !== [batch * sequence, ...rest].join()) return undefined;
      const updates = reshape(input.inputs[0] as Tensor, [batch, ...rest]);
      return scatterAdd(list(batch, sequence, place), updates, batch * sequence);
    }
    return undefined;
  };
  for (const x of topological(graph.outputs)) {
    const inputs = x.inputs.map((input) => made.get(input) as Tensor);
    made.set(x, rewritten(x, inputs) ?? withInputs(x, inputs));
  }
  return { parameters: graph.parameters, outputs: graph.outputs.map((output) => made.get(output) as Tensor) };
}
