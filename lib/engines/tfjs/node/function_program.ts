/**
 * A whole graph as one function of TensorFlow's: its executor starts what is ready on all cores, gives memory back as it
 * goes and joins operations that belong together (Grappler), or XLA inside TensorFlow compiles the whole; one call from
 * JavaScript runs a step. Where something must be computed on the host, there is no such function and the graph runs
 * operation by operation.
 */
import type { Graph, Program, Tensor } from "../../../tensor/mod.ts";
import { hostKernels } from "../../reference/mod.ts";
import type { OpenBackend, TensorInfo } from "../backend.ts";
import { storedType } from "../backend.ts";
import type { TfjsBuffer } from "../memory.ts";
import { compute, makeContext, plan, tableFor } from "../stock_program.ts";
import type { Recorder } from "./recorder.ts";
import { HostNeeded, makeRecorder } from "./recorder.ts";
import { nodeBackend } from "./open.ts";

/** Writes a graph down; undefined where the host must compute a part of it. */
export async function recordGraph(
  graph: Graph,
  opened: OpenBackend,
): Promise<
  | { readonly recorder: Recorder; readonly inputs: readonly string[]; readonly outputs: readonly string[] }
  | undefined
> {
  const recorder = makeRecorder();
  const drawn = nodeBackend(recorder.tensorFlow, opened);
  const context = makeContext(drawn, hostKernels(), new Map());
  const table = tableFor(opened.name);
  const { list, slots } = plan(graph);
  const known: (TensorInfo | undefined)[] = new Array(slots.size);
  const inputs = graph.parameters.map((parameter) => {
    const made = recorder.parameter(storedType(parameter.dtype), parameter.shape);
    known[slots.get(parameter as Tensor) as number] = made;
    return recorder.nameOf(made);
  });
  try {
    for (const [node, slot] of slots) {
      if (node.op === "constant" || node.op === "iota") known[slot] = await context.host(node, []);
    }
    for (const instruction of list) {
      const { node, out } = instruction;
      recorder.within(`${node.op}_${out}`);
      const made = await compute(instruction, known, context, table, opened.name);
      known[out] = { ...made, shape: [...node.shape] };
    }
  } catch (error) {
    if (error instanceof HostNeeded) return undefined;
    throw error;
  }
  const outputs = graph.outputs.map((output) =>
    recorder.nameOf(known[slots.get(output) as number] as TensorInfo)
  );
  return { recorder, inputs, outputs };
}

/**
 * TensorFlow's words without its trimmings. It names the node that failed, and these names begin with the graph's
 * operation: `dot_2/MatMul_7`.
 */
export function failureOf(engine: string, said: string): string {
  const node = /\{\{node ([^}]+)\}\}/.exec(said)?.[1];
  const operation = node === undefined ? undefined : /^([a-z_]+)_\d+\//.exec(node)?.[1];
  const [line = said] = said.replace(/^Invalid TF_Status: \d+\s*Message: /, "").split("\n");
  const reason = line.replace(/\{\{[^}]*\}\} ?/g, "").trim();
  const advice = /\bOOM\b|memory/.test(reason)
    ? "; take a smaller train_batch_size or max_seq_length, or more gradient_accumulation_steps"
    : "";
  return `Cannot ${
    operation === undefined ? "run a program" : `compute ${operation}`
  } on ${engine}: ${reason}` +
    `${node === undefined ? "" : `, at ${node}`}${advice}`;
}

/** Makes a program of one function, or nothing where a graph needs the host. */
export async function compileFunction(
  opened: OpenBackend,
  graph: Graph,
  { donate }: { readonly donate: readonly number[] },
): Promise<Program | undefined> {
  const { functions, backend } = opened;
  if (functions === undefined) return undefined;
  const recorded = await recordGraph(graph, opened);
  if (recorded === undefined) return undefined;
  const { recorder, inputs, outputs } = recorded;
  // What donates its arguments is a step that follows on itself. On a GPU XLA was not run by this project yet.
  const often = donate.length > 0 && opened.name === "node";
  const call = functions.add(recorder.finish(), inputs, outputs, { often });
  return {
    run: async (given) => {
      const infos = given.map((buffer) => (buffer as TfjsBuffer).info);
      let made: readonly TensorInfo[];
      try {
        made = await Promise.resolve(call.run(infos));
      } catch (cause) {
        throw new Error(failureOf(`tfjs-${opened.name}`, (cause as Error).message), { cause });
      } finally {
        for (const i of donate) backend.disposeData((infos[i] as TensorInfo).dataId);
      }
      return graph.outputs.map(({ dtype, shape }, i): TfjsBuffer => ({
        dtype,
        shape,
        info: made[i] as TensorInfo,
      }));
    },
    dispose: call.dispose,
  };
}
