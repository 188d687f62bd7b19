/**
 * A program on the XLA process: its graph prepared and written, its arguments checked, its runs sent one ahead of the
 * device, and compiled again when the process was replaced.
 */
import { describe } from "../../tensor/mod.ts";
import { sameShape } from "../../tensor/graph.ts";
import type { Buffer, Graph, MemoryNeed, Program, TensorType } from "../../tensor/mod.ts";
import { memoryOf, refuseClearly, refuseTooLarge } from "./memory.ts";
import type { Held } from "./memory.ts";
import type { Compiled, Frame, Reply } from "./messages.ts";
import { describeValue } from "./parts.ts";
import { XlaError } from "./pjrt_api.ts";
import type { Signature } from "./pjrt_client.ts";
import type { Session } from "./session.ts";
import { prepared } from "./simplify.ts";
import { toStableHlo } from "./stablehlo.ts";
import type { StableHlo } from "./stablehlo.ts";
import { plainType } from "./values.ts";
import type { Values, XlaBuffer } from "./values.ts";

/** Runs that may be on their way: one computes, one waits. */
const runsAhead = 2;

/**
 * The same for runs that end within so many milliseconds of each other: waking a process takes 0.1 ms, and with runs as
 * short as that both sides would sleep in turn. Of longer ones a third would only delay a stop.
 */
const short = { milliseconds: 2, runsAhead: 4 };

/** What a program takes and gives: types as the caller sees them, whole where they are split over the devices. */
type Called = { readonly inputs: readonly TensorType[]; readonly split: ReadonlySet<number> };

/** Checks what a caller gives to a program. */
function checkRun(
  values: Values,
  inputs: readonly Buffer[],
  { inputs: types, split }: Called,
  donated: readonly number[],
): XlaBuffer[] {
  const refuse = (reason: string): TypeError => new TypeError(`Cannot run the program: ${reason}`);
  if (inputs.length !== types.length) {
    throw refuse(`it takes ${types.length} arguments, ${inputs.length} are given`);
  }
  const given = inputs.map((input) => values.usable(input, "run a program with"));
  const places = new Map<XlaBuffer, number>();
  given.forEach((input, i) => {
    const wanted = types[i] as TensorType;
    if (input.dtype !== wanted.dtype || !sameShape(input.shape, wanted.shape)) {
      throw refuse(`argument ${i} must be ${describe(wanted)}, it is ${describe(input)}`);
    }
    if (values.devices > 1 && input.split !== split.has(i)) {
      throw refuse(
        `argument ${i} must be ${input.split ? "whole on every device" : "split over the devices"}; ` +
          "upload it so",
      );
    }
    const earlier = places.get(input);
    if (earlier !== undefined && (donated.includes(i) || donated.includes(earlier))) {
      throw refuse(`arguments ${earlier} and ${i} are one value, and it is donated; upload it twice`);
    }
    places.set(input, i);
  });
  return given;
}

type Loaded = {
  readonly session: Session;
  readonly program: number;
  readonly hidden: readonly XlaBuffer[];
  readonly memory: MemoryNeed;
};

/** What a program is made of, kept to make it again in a new process. */
type Written = {
  readonly graph: Graph;
  readonly text: StableHlo;
  readonly signature: Signature;
  readonly called: Called;
};

type Loader = { readonly load: () => Promise<Loaded>; readonly loaded: () => Promise<Loaded> | undefined };

/** What a process holds now; it answers when what was sent before is done. */
async function heldBy(owner: Session): Promise<Held> {
  const { resident: atStart } = await owner.opened;
  const { message } = await owner.ask({ kind: "status" });
  if (message.kind !== "status") throw new Error(`Cannot compile: the process answered ${message.kind}`);
  const { resident, held } = message.status;
  return { resident, held, atStart };
}

/** An error that names a line of the program's text, with the operation that the line was written for. */
function withOperation(error: unknown, { madeBy }: StableHlo): unknown {
  const at = error instanceof XlaError ? /-:(\d+):\d+: error/.exec(error.message) : null;
  const tensor = at === null ? undefined : madeBy(Number(at[1]));
  if (tensor === undefined) return error;
  const { message, code } = error as XlaError;
  const given = tensor.inputs.map((input) => describe(input)).join(" and ");
  return new XlaError(
    `${message}\nwritten for ${describeValue(tensor)}${given && `, made from ${given}`}`,
    code,
  );
}

/** Characters of text from which another process compiles: of smaller programs the compiler leaves little behind. */
const compiledApart = 20_000;

/** What a process is asked to compile. */
type Job = { readonly program: number; readonly signature: Signature; readonly text: Uint8Array };

/** What the answer to `compile` or `load` says. */
function compiledIn({ message }: Frame<Reply>): Compiled {
  if (message.kind !== "compiled") throw new Error(`Cannot compile: the process answered ${message.kind}`);
  return message.compiled;
}

/** Has the process that runs a program compile it too, or find it on the disk. */
async function compileHere(_: Values, owner: Session, { text, ...job }: Job): Promise<Compiled> {
  return compiledIn(await owner.ask({ kind: "compile", ...job, absent: "compile" }, text));
}

/** Finds a program on the disk, or has a process of its own compile it; what cannot be handed over is compiled here. */
async function compileApart(values: Values, owner: Session, { text, ...job }: Job): Promise<Compiled> {
  const started = performance.now();
  const found = await owner.ask({ kind: "compile", ...job, absent: "say" }, text);
  if (found.message.kind !== "absent") return compiledIn(found);
  const made = await values.compiler.make(text, job.signature).catch((error: unknown) => {
    if (error instanceof XlaError && error.code === "UNIMPLEMENTED") return undefined;
    throw error;
  });
  if (made === undefined) return await compileHere(values, owner, { ...job, text });
  const loaded = compiledIn(await owner.ask({ kind: "load", ...job }, made));
  return { ...loaded, milliseconds: performance.now() - started };
}

/** Loads a program into the process of the moment; a new process knows none, so it is compiled again at the first use. */
function makeLoader(
  values: Values,
  { graph, text: written, signature }: Written,
  onCompiled: (info: Compiled) => void,
): Loader {
  let loaded: Promise<Loaded> | undefined;
  let session: Session | undefined;
  const inPlace = new Set(written.aliases.values());
  const load = async (owner: Session): Promise<Loaded> => {
    const { platform, resident: atStart } = await owner.opened;
    const inHostMemory = platform === "cpu"; // of which alone it is known how much is free
    if (inHostMemory) await refuseClearly(graph, inPlace, values.devices, () => heldBy(owner));
    const program = values.newId();
    const constants = await Promise.all(written.hidden.map((each) => values.upload(each.values, each.type)));
    const apart = inHostMemory && written.text.length >= compiledApart;
    const compiled = await (apart ? compileApart : compileHere)(values, owner, {
      program,
      signature,
      text: new TextEncoder().encode(written.text),
    }).catch((error: unknown) => {
      constants.forEach(values.release);
      throw withOperation(error, written);
    });
    onCompiled(compiled);
    const memory = memoryOf(compiled, values.devices);
    try {
      if (inHostMemory) {
        refuseTooLarge(graph, memory, { ...compiled, atStart }, values.devices, inPlace);
      }
    } catch (error) {
      owner.release([], [program]);
      constants.forEach(values.release);
      throw error;
    }
    return { session: owner, program, hidden: constants, memory };
  };
  return {
    load: () => {
      const owner = values.live();
      if (loaded === undefined || session !== owner) {
        session = owner;
        loaded = load(owner);
      }
      return loaded;
    },
    loaded: () => loaded,
  };
}

/** The program over its loader. */
function makeRuns(values: Values, written: Written, { load, loaded }: Loader): Program {
  const { graph, signature: { donated }, called } = written;
  const outputTypes = graph.outputs.map(plainType);
  let disposed = false;
  const ahead: Promise<unknown>[] = [];
  let [ended, pace] = [-Infinity, Infinity];
  const end = (): void => {
    const now = performance.now();
    [ended, pace] = [now, now - ended];
  };
  const run = async (inputs: readonly Buffer[]): Promise<readonly Buffer[]> => {
    if (disposed) throw new Error("Cannot run the program: it was disposed");
    const { session: owner, program, hidden } = await load();
    const given = [...checkRun(values, inputs, called, donated), ...hidden];
    const outputs = values.buffers(outputTypes, owner);
    const sent = owner.ask({
      kind: "run",
      program,
      inputs: given.map(({ id }) => id),
      outputs: outputs.map(({ id }) => id),
    });
    donated.forEach((i) => values.forget(given[i] as XlaBuffer));
    ahead.push(sent.then(end, (error: Error) => outputs.forEach(({ state }) => state.gone ??= error)));
    const most = pace < short.milliseconds ? short.runsAhead : runsAhead;
    while (ahead.length >= most) await ahead.shift();
    return outputs;
  };
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    loaded()?.then(({ session: owner, program, hidden }) => {
      if (owner.death() !== undefined) return;
      owner.release([], [program]);
      hidden.forEach(values.release);
    }, () => {});
  };
  return { run, dispose };
}

/**
 * Compiles a graph.
 *
 * @param values Where it will run.
 * @param whole The graph, its parameters as one device sees them.
 * @param options Parameters whose memory the program may take, and those whose values are split over the devices.
 * @param onCompiled Told how it was compiled.
 */
export async function makeProgram(
  values: Values,
  whole: Graph,
  { donate, split = [] }: { readonly donate: readonly number[]; readonly split?: readonly number[] },
  onCompiled: (info: Compiled) => void,
): Promise<Program> {
  const { devices } = values;
  values.live(); // The process starts while the graph is prepared.
  await Promise.resolve(); // What opens the plugin is on its way.
  const graph = prepared(whole);
  const text = toStableHlo(graph, { donate, replicas: devices });
  const parts = new Set(devices > 1 ? split : []);
  const own = graph.parameters.map(plainType);
  const signature: Signature = {
    inputs: [...own, ...text.hidden.map(({ type }) => plainType(type))],
    outputs: graph.outputs.map(plainType),
    donated: [...donate],
  };
  const called: Called = {
    inputs: own.map(({ dtype, shape }, i) =>
      parts.has(i) ? { dtype, shape: [(shape[0] as number) * devices, ...shape.slice(1)] } : { dtype, shape }
    ),
    split: parts,
  };
  const written = { graph, text, signature, called };
  const loader = makeLoader(values, written, onCompiled);
  const { memory } = await loader.load();
  return { ...makeRuns(values, written, loader), memory };
}
