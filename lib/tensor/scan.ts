/**
 * `scan`: a body repeated over layers or micro-batches, as one node. Its gradient is a loop back over what the forward
 * loop stored: every value that the backward body needs, or with `remat` only the carries, from which the backward body
 * computes the rest again.
 */
import { add } from "./arithmetic.ts";
import { cotangents } from "./grad.ts";
import { describe, isFloat, node, parameter, sameShape, serialOf, topological } from "./graph.ts";
import { zeros } from "./layout.ts";
import { barrier } from "./linear.ts";
import { instantiate, substitute } from "./rebuild.ts";
import type { Graph, ScanAttributes, ScanBackward, Tensor, TensorOf } from "./types.ts";

/**
 * What one iteration gives back.
 *
 * @example
 * ```ts
 * import { add, constant, scan } from "albert-guide";
 * import type { ScanStep, Tensor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const body = ([x]: readonly Tensor[]): ScanStep => ({ carries: [add(x!, 1)] }); // ! one carry is given
 * const { carries } = scan(body, { carries: [constant(0)], length: 3 });
 * assert.deepEqual(Array.from(await carries[0]!.data()), [3]); // ! one carry
 * ```
 */
export type ScanStep = {
  /** Next carries, of the same types. */
  readonly carries: readonly Tensor[];
  /** One slice of each stacked output, default none. */
  readonly stacked?: readonly Tensor[];
};

/**
 * Options of `scan`.
 *
 * @example
 * ```ts
 * import { constant, scan } from "albert-guide";
 * import type { ScanOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: ScanOptions = { carries: [constant(7)], length: 2, reverse: true };
 * assert.equal(scan((carries) => ({ carries }), options).carries.length, 1);
 * ```
 */
export type ScanOptions = {
  /** First carries. */
  readonly carries: readonly Tensor[];
  /** Inputs whose first axis is iterated, default none. */
  readonly sliced?: readonly Tensor[];
  /** Iterations; default the first size of the sliced inputs. */
  readonly length?: number;
  /** From the last slice to the first, default false. */
  readonly reverse?: boolean;
  /** Compute the body again in the backward loop instead of storing its values, default false. */
  readonly remat?: boolean;
};

/**
 * What `scan` returns.
 *
 * @example
 * ```ts
 * import { constant, scan } from "albert-guide";
 * import type { ScanResult } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const result: ScanResult = scan((carries) => ({ carries, stacked: carries }), {
 *   carries: [constant(7)],
 *   length: 2,
 * });
 * assert.deepEqual(result.stacked[0]?.shape, [2]);
 * ```
 */
export type ScanResult = {
  /** Carries after the last iteration. */
  readonly carries: readonly Tensor[];
  /** Stacked outputs, [length, ...]. */
  readonly stacked: readonly Tensor[];
};

// Cheap to repeat, so neither captured nor stored themselves: their inputs are. What was made before the body may be
// something to differentiate by (weights are often constants), so it is captured whatever it is.
const cheap = new Set(["constant", "iota", "broadcast", "reshape"]);

function dependents(outputs: readonly Tensor[], roots: readonly Tensor[]): Set<Tensor> {
  const set = new Set<Tensor>(roots);
  for (const tensor of topological(outputs)) {
    if (tensor.inputs.some((input) => set.has(input))) set.add(tensor);
  }
  return set;
}

/** Independent nodes that dependent ones (or the outputs) use directly, looking through cheap ones to their inputs. */
function boundary(outputs: readonly Tensor[], inside: ReadonlySet<Tensor>, since: number = 0): Tensor[] {
  const found = new Set<Tensor>();
  const visit = (tensor: Tensor): void => {
    if (inside.has(tensor) || found.has(tensor)) return;
    if (cheap.has(tensor.op) && serialOf(tensor) >= since) tensor.inputs.forEach(visit);
    else found.add(tensor);
  };
  outputs.forEach(visit);
  for (const tensor of topological(outputs)) if (inside.has(tensor)) tensor.inputs.forEach(visit);
  return [...found];
}

type Body = { readonly graph: Graph; readonly captures: readonly Tensor[]; readonly stacked: number };

function traceBody(
  body: (carries: readonly Tensor[], slices: readonly Tensor[]) => ScanStep,
  carries: readonly Tensor[],
  sliced: readonly Tensor[],
): Body {
  const carried = carries.map((type, i) => parameter(i, type, `carry ${i}`));
  const slices = sliced.map(({ dtype, shape }, i) =>
    parameter(carries.length + i, { dtype, shape: shape.slice(1) }, `slice ${i}`)
  );
  const since = serialOf();
  const step = body(carried, slices);
  const fits = step.carries.length === carries.length &&
    carries.every(({ dtype, shape }, i) =>
      step.carries[i]?.dtype === dtype && sameShape(step.carries[i]?.shape ?? [NaN], shape)
    );
  if (!fits) {
    throw new TypeError(
      `Cannot scan: the body must return carries [${carries.map(describe).join("; ")}], ` +
        `it returns [${step.carries.map(describe).join("; ")}]`,
    );
  }
  const stacked = step.stacked ?? [];
  const outputs = [...step.carries, ...stacked];
  const own = [...carried, ...slices];
  const captures = boundary(outputs, dependents(outputs, own), since);
  const captured = captures.map((type, i) => parameter(own.length + i, type, `capture ${i}`));
  const replaced = substitute(outputs, new Map(captures.map((tensor, i) => [tensor, captured[i] as Tensor])));
  return {
    graph: { parameters: [...own, ...captured], outputs: replaced },
    captures,
    stacked: stacked.length,
  };
}

type Differentiated = { readonly outputs: readonly Tensor[]; readonly backward: ScanBackward };

function differentiate(
  { graph, stacked }: Body,
  carries: number,
  sliced: number,
  remat: boolean,
): Differentiated {
  const { parameters, outputs } = graph;
  const seeds = outputs.map((output, i) =>
    isFloat(output.dtype) ? parameter(i, output, `cotangent ${i}`) : undefined
  );
  const differentiable = parameters.map(({ dtype }) => isFloat(dtype));
  const floating = parameters.filter((_, i) => differentiable[i]);
  const found = cotangents(outputs, seeds, floating);
  const results = floating.map((p, i) => found[i] ?? zeros(p.shape, { dtype: p.dtype }));
  const given = seeds.filter((seed) => seed !== undefined);
  const roots = dependents(results, given);
  const wanted = remat
    ? parameters.filter((p) => topological(results).includes(p))
    : boundary(results, roots);
  const extra: Tensor[] = [];
  const stored: ScanBackward["stored"][number][] = [];
  const parametersBack: TensorOf<"parameter">[] = [...given];
  const replacements = new Map<Tensor, Tensor>();
  for (const value of wanted) {
    const index = value.op === "parameter" ? parameters.indexOf(value) : -1;
    const replacement = parameter(parametersBack.length, value, "stored");
    parametersBack.push(replacement);
    replacements.set(value, remat ? barrier(replacement) : replacement);
    if (index >= carries + sliced) stored.push({ kind: "capture", index: index - carries - sliced });
    else if (index >= carries) stored.push({ kind: "sliced", index: index - carries });
    else {
      stored.push({ kind: "output", index: stacked + extra.length });
      extra.push(value);
    }
  }
  return {
    outputs: [...outputs, ...extra],
    backward: {
      graph: { parameters: parametersBack, outputs: substitute(results, replacements) },
      stored,
      visible: stacked,
      differentiable,
    },
  };
}

function makeScan(inputs: readonly Tensor[], attributes: ScanAttributes): TensorOf<"scan"> {
  return node("scan", inputs, attributes, { dtype: "float32", shape: [] });
}

function results(scan: TensorOf<"scan">, visible: number): ScanResult {
  const { body, carries, length } = scan.attributes;
  const result = (index: number): Tensor => {
    const { dtype, shape } = body.outputs[index] as Tensor;
    return node("result", [scan], { index }, { dtype, shape: index < carries ? shape : [length, ...shape] });
  };
  return {
    carries: Array.from({ length: carries }, (_, i) => result(i)),
    stacked: Array.from({ length: visible }, (_, i) => result(carries + i)),
  };
}

function build(
  body: (carries: readonly Tensor[], slices: readonly Tensor[]) => ScanStep,
  { carries, sliced = [], length = sliced[0]?.shape[0] ?? 0, reverse = false, remat = false }: ScanOptions,
  differentiableOnce: boolean,
): ScanResult {
  if (!Number.isInteger(length) || length < 1 || sliced.some(({ shape }) => shape[0] !== length)) {
    throw new RangeError(
      `Cannot scan ${length} times over [${sliced.map(describe).join("; ")}]: ` +
        "the length must be at least 1 and the first size of every sliced input",
    );
  }
  const traced = traceBody(body, carries, sliced);
  const made = differentiableOnce ? differentiate(traced, carries.length, sliced.length, remat) : undefined;
  const scan = makeScan([...carries, ...sliced, ...traced.captures], {
    body: { parameters: traced.graph.parameters, outputs: made?.outputs ?? traced.graph.outputs },
    length,
    carries: carries.length,
    sliced: sliced.length,
    reverse,
    backward: made?.backward,
  });
  return results(scan, traced.stacked);
}

/**
 * Repeats a body: each iteration gets the carries of the one before and one slice of each sliced input.
 *
 * @param body Called once, with tensors that stand for one iteration's carries and slices; may use any outer tensor.
 * @param options Carries, sliced inputs, length, direction, recomputation.
 * @returns The last carries and the stacked outputs.
 * @throws {RangeError} When the length does not fit.
 * @throws {TypeError} When the body returns carries of other types.
 * @example
 * ```ts
 * import { add, constant, scan } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { carries: [total], stacked: [sums] } = scan(([sum], [x]) => {
 *   const next = add(sum!, x!); // ! one carry and one slice are given
 *   return { carries: [next], stacked: [next] };
 * }, { carries: [constant(0)], sliced: [constant([1, 2, 3])] });
 * assert.deepEqual(Array.from(await total!.data()), [6]); // ! one carry
 * assert.deepEqual(Array.from(await sums!.data()), [1, 3, 6]); // ! one stacked output
 * ```
 */
export function scan(
  body: (carries: readonly Tensor[], slices: readonly Tensor[]) => ScanStep,
  options: ScanOptions,
): ScanResult {
  return build(body, options, true);
}

/** The cotangents of a scan's inputs, given those of its results: one loop in the other direction. */
export function scanCotangents(
  scan: TensorOf<"scan"> & Tensor,
  given: readonly (Tensor | undefined)[],
): (Tensor | undefined)[] {
  const { body, length, carries, sliced, reverse, backward } = scan.attributes;
  if (backward === undefined) {
    throw new Error(
      "Cannot take the gradient of a scan's gradient: only first derivatives of scans are available",
    );
  }
  const { graph, stored, visible, differentiable } = backward;
  const outputOf = (index: number): Tensor => {
    const { dtype, shape } = body.outputs[carries + index] as Tensor;
    return node("result", [scan], { index: carries + index }, { dtype, shape: [length, ...shape] });
  };
  const floatOutputs = body.outputs.slice(0, carries + visible).flatMap(({ dtype }, i) =>
    isFloat(dtype) ? [i] : []
  );
  const seed = (i: number): Tensor => {
    const { dtype, shape } = body.outputs[i] as Tensor;
    return given[i] ?? zeros(i < carries ? shape : [length, ...shape], { dtype });
  };
  const floatParameters = differentiable.flatMap((yes, i) => yes ? [i] : []);
  const carried = floatParameters.filter((i) => i < carries);
  const captured = floatParameters.filter((i) => i >= carries + sliced);
  const seeds = floatOutputs.map(seed);
  const seedsOfCarries = floatOutputs.filter((i) => i < carries).length;
  const perSlice = stored.flatMap(({ kind, index }) =>
    kind === "output" ? [outputOf(index)] : kind === "sliced" ? [scan.inputs[carries + index] as Tensor] : []
  );
  const zeroFor = (i: number): Tensor =>
    zeros((scan.inputs[i] as Tensor).shape, { dtype: (scan.inputs[i] as Tensor).dtype });
  const loop = build(
    (state, slices) => {
      let next = seeds.length - seedsOfCarries;
      const values = stored.map(({ kind, index }) =>
        kind === "capture" ? scan.inputs[carries + sliced + index] as Tensor : slices[next++] as Tensor
      );
      const outs = instantiate(graph, [
        ...state.slice(0, seedsOfCarries),
        ...slices.slice(0, seeds.length - seedsOfCarries),
        ...values,
      ]);
      const of = (i: number): Tensor => outs[floatParameters.indexOf(i)] as Tensor;
      return {
        carries: [
          ...carried.map(of),
          ...captured.map((i, k) => add(state[seedsOfCarries + k] as Tensor, of(i))),
        ],
        stacked: floatParameters.filter((i) => i >= carries && i < carries + sliced).map(of),
      };
    },
    {
      carries: [...seeds.slice(0, seedsOfCarries), ...captured.map(zeroFor)],
      sliced: [...seeds.slice(seedsOfCarries), ...perSlice],
      length,
      reverse: !reverse,
    },
    false,
  );
  const gradients: (Tensor | undefined)[] = scan.inputs.map(() => undefined);
  carried.forEach((i, k) => gradients[i] = loop.carries[k]);
  captured.forEach((i, k) => gradients[i] = loop.carries[carried.length + k]);
  floatParameters.filter((i) => i >= carries && i < carries + sliced).forEach((i, k) =>
    gradients[i] = loop.stacked[k]
  );
  return gradients;
}
