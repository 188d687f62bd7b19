/**
 * Runs a function of tensors and names the first value inside that is no finite number. Loops are written out, so that a
 * value has a layer. Counting costs an output a value and compilers are slow at thousands of them, so some values spread
 * over the program are counted first, then those between the first bad one and the good ones before it, and so on.
 */
import {
  abs,
  cast,
  compare,
  compile,
  concat,
  describe,
  type DeviceArray,
  type Engine,
  type Graph,
  type Groups,
  type HostArray,
  not,
  type OnCopy,
  reduceSum,
  type Regroup,
  reshape,
  sizeOf,
  type Tensor,
  type TensorType,
  topological,
  unroll,
  withoutAllReduce,
} from "../tensor/mod.ts";
import type { NamedValues } from "./checkpoint.ts";

/** Values that one program counts. */
const atOnce = 64;

/** What is watched: `forward` are the results that the others are derived from. */
export type WatchedResults = {
  readonly forward: { readonly [name: string]: Tensor };
  readonly results: { readonly [name: string]: Tensor };
};

/** What was found, as a clause; and the values of the results. */
export type Watched = { readonly finding: string | undefined; readonly values: NamedValues };

/** The program written out. The order of its nodes follows from its structure, so a number means the same in every copy. */
type Written = {
  readonly nodes: readonly Tensor[];
  readonly numberOf: ReadonlyMap<Tensor, number>;
  readonly ends: readonly number[];
  /** Values of the forward pass. */
  readonly forward: ReadonlySet<Tensor>;
  readonly results: readonly { readonly name: string; readonly tensor: Tensor }[];
  /** Which layer a value belongs to, from 1. */
  readonly layerOf: (node: Tensor) => number | undefined;
};

const canBeBad = ({ dtype, op }: Tensor): boolean =>
  (dtype === "float32" || dtype === "bfloat16") && op !== "constant" && op !== "parameter";

function writeOut({ forward, results }: WatchedResults, given: object): Written {
  const { onCopy, layerOf } = layerCounter();
  const heads = Object.values(forward);
  // Several devices all compute the whole here, so a sum over them would count everything as often as there are devices.
  const whole = withoutAllReduce({
    parameters: parametersOf(given),
    outputs: [...heads, ...Object.values(results)],
  });
  const { outputs } = unroll(whole, { onCopy });
  const nodes = topological(outputs);
  const numberOf = new Map(nodes.map((node, i) => [node, i]));
  return {
    nodes,
    numberOf,
    ends: outputs.map((output) => numberOf.get(output) as number).filter((i) => canBeBad(nodes[i] as Tensor)),
    forward: new Set(topological(outputs.slice(0, heads.length))),
    results: Object.keys(results).map((name, i) => ({ name, tensor: outputs[heads.length + i] as Tensor })),
    layerOf,
  };
}

function parametersOf(given: object): Graph["parameters"] {
  const isTensor = (value: object): value is Tensor => "op" in value && "inputs" in value;
  const leaves = Object.values(given).flatMap((value: object) =>
    isTensor(value) ? [value] : Object.values(value) as Tensor[]
  );
  return leaves as unknown as Graph["parameters"];
}

/** Numbers the layers: the loops of the forward pass come first, one a group; those of the backward pass mirror them. */
function layerCounter(): { readonly onCopy: OnCopy; readonly layerOf: Written["layerOf"] } {
  const loops: Map<number, { readonly inputs: readonly Tensor[]; readonly outputs: readonly Tensor[] }>[] =
    [];
  const onCopy: OnCopy = (iteration, inputs, outputs) => {
    if (loops.at(-1)?.has(iteration) !== false) loops.push(new Map());
    loops.at(-1)?.set(iteration, { inputs, outputs });
  };
  let layers: Map<Tensor, number> | undefined;
  const number = (): Map<Tensor, number> => {
    const found = new Map<Tensor, number>();
    const forward = loops.slice(0, Math.ceil(loops.length / 2));
    const before = forward.map((_, i) => forward.slice(0, i).reduce((sum, { size }) => sum + size, 0));
    loops.forEach((copies, i) => {
      const first = before[i < forward.length ? i : loops.length - 1 - i] ?? 0;
      for (const [iteration, { inputs, outputs }] of copies) {
        const open = [...outputs];
        const ends = new Set(inputs);
        for (let node = open.pop(); node !== undefined; node = open.pop()) {
          if (ends.has(node) || found.has(node)) continue;
          found.set(node, first + iteration + 1);
          open.push(...node.inputs);
        }
      }
    });
    return found;
  };
  return { onCopy, layerOf: (node) => (layers ??= number()).get(node) };
}

/** How many values of a tensor are no finite float32: float32 [1]. */
function badOnes(x: Tensor): Tensor {
  const good = compare(abs(cast(x, "float32")), "le", 3.4028234663852886e38); // the largest float32
  return reshape(reduceSum(cast(not(good), "float32")), [1]);
}

/** At most `atOnce` of the numbers, evenly spread. */
const spread = (numbers: readonly number[]): number[] =>
  numbers.length <= atOnce
    ? [...numbers]
    : Array.from({ length: atOnce }, (_, i) => numbers[Math.floor(i * numbers.length / atOnce)] as number);

/** Watched values that a value is computed from without another one between, and what lies between. */
function behind(
  { nodes, numberOf }: Written,
  from: number,
  watched: ReadonlySet<number>,
): { readonly watched: number[]; readonly between: number[] } {
  const seen = new Set<number>();
  const open = [...(nodes[from] as Tensor).inputs];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const number = numberOf.get(node) as number;
    if (seen.has(number)) continue;
    seen.add(number);
    if (!watched.has(number)) open.push(...node.inputs);
  }
  const all = [...seen].sort((a, b) => a - b);
  return {
    watched: all.filter((number) => watched.has(number)),
    between: all.filter((number) => !watched.has(number) && canBeBad(nodes[number] as Tensor)),
  };
}

/** From the bad ends back to the first watched value that is bad while those it is computed from are good. */
function firstBad(
  written: Written,
  ends: readonly number[],
  counts: ReadonlyMap<number, number>,
): number | undefined {
  const watched = new Set(counts.keys());
  const isBad = (number: number): boolean => (counts.get(number) ?? 0) > 0;
  const reached = new Set<number>();
  const open = ends.filter(isBad);
  let first: number | undefined;
  for (let number = open.pop(); number !== undefined; number = open.pop()) {
    if (reached.has(number)) continue;
    reached.add(number);
    const bad = behind(written, number, watched).watched.filter(isBad);
    open.push(...bad);
    if (bad.length === 0) first = Math.min(first ?? number, number);
  }
  return first;
}

/** Runs a function, with its results, and looks for the first value inside that is no number. */
export async function watch<Specs extends Groups<TensorType>>(
  fn: (args: Regroup<Specs, TensorType, Tensor>) => WatchedResults,
  specs: Specs,
  args: Regroup<Specs, TensorType, DeviceArray | HostArray>,
  engine: Engine,
): Promise<Watched> {
  let written: Written | undefined;
  const count = async (pick: (written: Written) => number[], whole: boolean) => {
    let picked: number[] = [];
    const program = await compile(
      (given: Regroup<Specs, TensorType, Tensor>) => {
        written = writeOut(fn(given), given);
        picked = pick(written);
        const { nodes, results } = written;
        return {
          counts: concat(picked.map((number) => badOnes(nodes[number] as Tensor))),
          results: whole ? Object.fromEntries(results.map(({ name, tensor }) => [name, tensor])) : {},
        };
      },
      specs,
      { engine },
    );
    try {
      const out = await program.run(args);
      const counts = await out.counts.data();
      out.counts.dispose();
      const arrays = out.results as { readonly [name: string]: DeviceArray };
      const values: Record<string, Float32Array> = {};
      for (const [name, array] of Object.entries(arrays)) {
        values[name] = new Float32Array(await array.data());
        array.dispose();
      }
      return { counts: new Map(picked.map((number, i) => [number, counts[i] ?? 0])), values };
    } finally {
      program.dispose();
    }
  };
  const everywhere = ({ nodes, ends }: Written): number[] => [
    ...new Set([...ends, ...spread([...nodes.keys()].filter((number) => canBeBad(nodes[number] as Tensor)))]),
  ];
  let { counts, values } = await count(everywhere, true);
  if (written === undefined) return { finding: undefined, values };
  let ends: readonly number[] = (written as Written).ends;
  for (;;) {
    const first = firstBad(written, ends, counts);
    if (first === undefined) return { finding: undefined, values };
    const { between, watched } = behind(written, first, new Set(counts.keys()));
    if (between.length === 0) return { finding: clause(written, first, counts.get(first) ?? 0), values };
    ({ counts } = await count(() => [...watched, ...spread(between), first], false));
    ends = [first];
  }
}

/** The clause that names a value. */
function clause(written: Written, number: number, bad: number): string {
  const node = written.nodes[number] as Tensor;
  const layer = written.layerOf(node);
  const target = written.results.find(({ tensor }) => topological([tensor]).includes(node))?.name;
  const place = [
    layer === undefined ? undefined : `in layer ${layer}`,
    weightNear(node),
    written.forward.has(node) || target === undefined ? undefined : `on the way to ${target}`,
  ].filter((part) => part !== undefined).join(", ");
  return `the first value that is no number is in ${node.op} ${describe(node)}, ${bad} of ${
    sizeOf(node.shape)
  } ` +
    `values${place === "" ? "" : `, ${place}`}`;
}

/** What the groups of arguments hold, in front of the name of a weight. */
const groups: Readonly<Record<string, string>> = {
  sum: "the gradient of ",
  m: "the first moment of ",
  v: "the second moment of ",
};

const layout = new Set<string>(["cast", "reshape", "transpose", "broadcast", "slice", "pad", "concat"]);

/** The weight that a value is made with, or else the nearest one behind it. */
function weightNear(node: Tensor): string | undefined {
  const nameOf = (each: Tensor): string | undefined => {
    const name = each.op === "parameter" ? each.attributes.name : "";
    const [, group = "", weight] = /^(\w+)\.(.*\/.*)$/.exec(name) ?? [];
    return weight === undefined ? undefined : `${groups[group] ?? ""}${weight}`;
  };
  const seen = new Set<Tensor>([node]);
  let row = node.inputs.map((tensor) => ({ tensor, direct: true }));
  while (row.length > 0) {
    for (const { tensor, direct } of row) {
      const name = nameOf(tensor);
      if (name !== undefined) return `${direct ? "with" : "behind"} ${name}`;
    }
    row = row.flatMap(({ tensor, direct }) => {
      if (seen.has(tensor)) return [];
      seen.add(tensor);
      return tensor.inputs.map((input) => ({ tensor: input, direct: direct && layout.has(tensor.op) }));
    });
  }
  return undefined;
}
