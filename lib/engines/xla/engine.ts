/**
 * The XLA engine: graphs become StableHLO text, a process of its own compiles and runs them. A run is on its way before
 * the one before it has ended, so the device never waits for the caller; a failure is met by whoever uses its results.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { describe, topological } from "../../tensor/mod.ts";
import { mergeEqual, unroll } from "../../tensor/rebuild.ts";
import type { Buffer, Engine, Graph, HostArray, Program, TensorType } from "../../tensor/mod.ts";
import { fromDeviceBytes, toDeviceBytes } from "./host_values.ts";
import type { Compiled, Status } from "./messages.ts";
import { XlaError } from "./pjrt_api.ts";
import { elementTypes } from "./pjrt_layout.ts";
import type { Signature } from "./pjrt_client.ts";
import { cacheFolder, checkLibrary, findPlugin } from "./plugin.ts";
import { startSession } from "./session.ts";
import type { Session } from "./session.ts";
import { onlyReadRows } from "./sparse_rows.ts";
import { toStableHlo } from "./stablehlo.ts";
import type { StableHlo } from "./stablehlo.ts";

/**
 * Options of `xlaEngine`.
 *
 * @example
 * ```ts
 * import type { XlaOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: XlaOptions = { threads: 1, programCache: false };
 * assert.equal(options.threads, 1);
 * ```
 */
export type XlaOptions = {
  /** Path of a PJRT plugin; default: the environment variable ALBERT_PJRT_PLUGIN, else the installed one. */
  readonly plugin?: string;
  /** Threads that compute; default: the processors this process may use. */
  readonly threads?: number;
  /** Keep compiled programs on disk, default true. */
  readonly programCache?: boolean;
};

/** Bytes that compiled programs may take on disk. */
const programCacheBytes = 2 ** 30;

/** Runs that may be on their way: one computes, one waits. */
const runsAhead = 2;

/**
 * Scans up to this length are written out. Twelve layers of H 768 then take 0.86 of the processor time and 0.7 of the
 * temporary memory of a loop, and 7.4 s to compile instead of 4.9 s.
 */
const unrolledLength = 12;

type XlaBuffer = Buffer & {
  readonly id: number;
  readonly session: Session;
  /** Why it cannot be used, once it cannot. */
  readonly state: { gone?: Error };
};

/** Counters of the engine's process, for tests and benchmarks. */
export type XlaStatus = Status & { readonly pid: number };

/** The engine with what tests look at. */
export type XlaEngine = Engine & {
  readonly status: () => Promise<XlaStatus>;
  /** How the last program came to be. */
  readonly lastCompiled: () => Compiled | undefined;
};

/** The processors that this process may use: cgroups give a share of time rather than a set. */
export function usableProcessors(): number {
  const count = typeof availableParallelism === "function" ? availableParallelism() : cpus().length;
  try {
    const [quota, period] = readFileSync("/sys/fs/cgroup/cpu.max", "utf8").trim().split(" ").map(Number);
    const share = Math.ceil((quota as number) / (period as number));
    return share >= 1 ? Math.min(count, share) : count;
  } catch {
    return count;
  }
}

const plainType = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape: [...shape] });

function bytesOf({ dtype, shape }: TensorType): number {
  return shape.reduce((product, size) => product * size, elementTypes[dtype].bytes);
}

/** Free memory of this machine, bytes; what the kernel could free counts. */
function freeMemory(): number {
  try {
    const line = /^MemAvailable:\s*(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"));
    return line === null ? Infinity : 1024 * Number(line[1]);
  } catch {
    return Infinity;
  }
}

function refuseTooLarge(graph: Graph, { memory }: Compiled): void {
  const needed = memory.temporary + memory.outputs - memory.alias;
  const free = freeMemory();
  if (needed <= free) return;
  const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const largest = topological(graph.outputs).map((tensor) => ({ tensor, bytes: bytesOf(tensor) }))
    .sort((a, b) => b.bytes - a.bytes).slice(0, 3)
    .map(({ tensor, bytes }) => `${tensor.op} ${describe(tensor)} (${gigabytes(bytes)})`);
  throw new XlaError(
    `Cannot run this program: it needs ${gigabytes(needed)} beside its arguments, ${
      gigabytes(free)
    } are free. ` +
      `Its largest values: ${largest.join(", ")}. ` +
      "Use a smaller batch, remat, or more gradient accumulation steps",
    "RESOURCE_EXHAUSTED",
  );
}

/** The graph as this engine writes it: short loops are written out. */
function prepared(graph: Graph): Graph {
  const long = (each: Graph): boolean =>
    topological(each.outputs).some((tensor) =>
      tensor.op === "scan" && (tensor.attributes.length > unrolledLength || long(tensor.attributes.body))
    );
  return long(graph) ? graph : mergeEqual(onlyReadRows(mergeEqual(unroll(graph))));
}

/** State and the operations that share it. */
function makeCore(plugin: string, threads: number, cache: string) {
  let session: Session | undefined;
  let nextId = 1;
  const dropped = new FinalizationRegistry<{ readonly session: Session; readonly id: number }>(
    ({ session: owner, id }) => {
      // Only the net: a buffer with an owner was released long ago.
      if (owner.death() === undefined) owner.tell({ kind: "release", buffers: [id], programs: [] });
    },
  );
  const live = (): Session => {
    if (session === undefined || session.death() !== undefined) {
      session = startSession({ plugin, threads, cache, cacheBytes: programCacheBytes });
    }
    return session;
  };
  const buffer = (type: TensorType, owner: Session): XlaBuffer => {
    const made = { ...plainType(type), id: nextId++, session: owner, state: {} };
    dropped.register(made, { session: owner, id: made.id }, made);
    return made;
  };
  const usable = (given: Buffer, action: string): XlaBuffer => {
    const { state, session: owner } = given as Partial<XlaBuffer>;
    if (state === undefined || owner === undefined) {
      throw new TypeError(`Cannot ${action} ${describe(given)}: it belongs to another engine`);
    }
    const gone = owner.death() ?? state.gone;
    if (gone !== undefined) throw gone;
    if (owner !== session) {
      throw new TypeError(`Cannot ${action} ${describe(given)}: it belongs to another engine`);
    }
    return given as XlaBuffer;
  };
  const release = (given: Buffer): void => {
    const { state, session: owner, id } = given as XlaBuffer;
    dropped.unregister(given);
    state.gone ??= new Error(`Cannot use ${describe(given)}: it was released`);
    if (owner.death() === undefined) owner.tell({ kind: "release", buffers: [id], programs: [] });
  };
  const forget = (given: XlaBuffer): void => {
    dropped.unregister(given);
    given.state.gone = new Error(`Cannot use ${describe(given)}: it was donated to a program`);
  };
  const upload = async (values: HostArray, type: TensorType): Promise<XlaBuffer> => {
    const owner = live();
    const made = buffer(type, owner);
    const bytes = toDeviceBytes(values, type.dtype);
    if (bytes.length !== bytesOf(type)) {
      throw new RangeError(`Cannot upload ${describe(type)}: ${values.length} values are given`);
    }
    owner.tell({ kind: "upload", buffer: made.id, type: plainType(type) }, bytes);
    await owner.drained();
    return made;
  };
  const close = async (): Promise<void> => await session?.close();
  return { live, buffer, usable, release, forget, upload, close, newId: () => nextId++ };
}

type Core = ReturnType<typeof makeCore>;

/** Checks what a caller gives to a program. */
function checkRun(core: Core, inputs: readonly Buffer[], { inputs: types, donated }: Signature): XlaBuffer[] {
  if (inputs.length !== types.length) {
    throw new TypeError(
      `Cannot run the program: it takes ${types.length} arguments, ${inputs.length} are given`,
    );
  }
  const given = inputs.map((input) => core.usable(input, "run a program with"));
  const places = new Map<XlaBuffer, number>();
  given.forEach((input, i) => {
    const wanted = types[i] as TensorType;
    if (describe(input) !== describe(wanted)) {
      throw new TypeError(
        `Cannot run the program: argument ${i} must be ${describe(wanted)}, it is ${describe(input)}`,
      );
    }
    const earlier = places.get(input);
    if (earlier !== undefined && (donated.includes(i) || donated.includes(earlier))) {
      throw new TypeError(
        `Cannot run the program: arguments ${earlier} and ${i} are one value, and it is donated; upload it twice`,
      );
    }
    places.set(input, i);
  });
  return given;
}

type Loaded = { readonly session: Session; readonly program: number; readonly hidden: readonly XlaBuffer[] };

function makeProgram(
  core: Core,
  graph: Graph,
  written: StableHlo,
  signature: Signature,
  compiled: (info: Compiled) => void,
): { readonly program: Program; readonly ready: () => Promise<unknown> } {
  let loaded: Promise<Loaded> | undefined;
  let session: Session | undefined;
  let disposed = false;
  const own: Signature = { ...signature, inputs: signature.inputs.slice(0, graph.parameters.length) };
  const load = async (owner: Session): Promise<Loaded> => {
    const program = core.newId();
    const hidden = await Promise.all(written.hidden.map(({ values, type }) => core.upload(values, type)));
    const text = new TextEncoder().encode(written.text);
    await owner.opened;
    const { message } = await owner.ask({ kind: "compile", program, signature }, text);
    if (message.kind !== "compiled") throw new Error(`Cannot compile: the process answered ${message.kind}`);
    compiled(message.compiled);
    refuseTooLarge(graph, message.compiled);
    return { session: owner, program, hidden };
  };
  // A new process knows no program: it is compiled again at the first use.
  const ready = (): Promise<Loaded> => {
    const owner = core.live();
    if (loaded === undefined || session !== owner) {
      session = owner;
      loaded = load(owner);
    }
    return loaded;
  };
  let ahead: Promise<unknown>[] = [];
  const run = async (inputs: readonly Buffer[]): Promise<readonly Buffer[]> => {
    if (disposed) throw new Error("Cannot run the program: it was disposed");
    const { session: owner, program, hidden } = await ready();
    const given = [...checkRun(core, inputs, own), ...hidden];
    const outputs = graph.outputs.map((type) => core.buffer(type, owner));
    const sent = owner.ask({
      kind: "run",
      program,
      inputs: given.map(({ id }) => id),
      outputs: outputs.map(({ id }) => id),
    });
    signature.donated.forEach((i) => core.forget(given[i] as XlaBuffer));
    const settled = sent.catch((error: Error) => outputs.forEach(({ state }) => state.gone = error));
    ahead.push(settled);
    while (ahead.length >= runsAhead) await ahead.shift();
    return outputs;
  };
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    ahead = [];
    void loaded?.then(({ session: owner, program, hidden }) => {
      if (owner.death() !== undefined) return;
      owner.tell({ kind: "release", buffers: hidden.map(({ id }) => id), programs: [program] });
    }, () => {});
  };
  return { program: { run, dispose }, ready };
}

/** The engine on a given plugin, with its counters. */
export function xlaEngineOn({ plugin, threads = usableProcessors(), programCache = true }: XlaOptions & {
  readonly plugin: string;
}): XlaEngine {
  const core = makeCore(plugin, threads, programCache ? cacheFolder("programs") : "");
  let last: Compiled | undefined;
  const compile = async (
    whole: Graph,
    { donate }: { readonly donate: readonly number[] },
  ): Promise<Program> => {
    const graph = prepared(whole);
    const written = toStableHlo(graph, { donate });
    const signature: Signature = {
      inputs: [...graph.parameters, ...written.hidden.map(({ type }) => type)].map(plainType),
      outputs: graph.outputs.map(plainType),
      donated: [...donate],
    };
    const { program, ready } = makeProgram(core, graph, written, signature, (info) => last = info);
    await ready();
    return program;
  };
  return {
    name: "xla-cpu",
    loops: true,
    devices: () => [{ name: `XLA, ${threads} ${threads === 1 ? "thread" : "threads"}`, kind: "cpu" }],
    compile,
    upload: core.upload,
    download: async (buffer) => {
      const { session, id, dtype } = core.usable(buffer, "download");
      const { bytes } = await session.ask({ kind: "download", buffer: id });
      return fromDeviceBytes(bytes, dtype);
    },
    release: core.release,
    dispose: core.close,
    status: async () => {
      const session = core.live();
      await session.opened;
      const { message } = await session.ask({ kind: "status" });
      if (message.kind !== "status") {
        throw new Error(`Cannot read the status: the process answered ${message.kind}`);
      }
      return { ...message.status, pid: session.pid };
    },
    lastCompiled: () => last,
  };
}

/**
 * Opens the engine on XLA's CPU compiler: graphs are compiled to machine code and run in a process of their own, which
 * starts at the first use and ends with this one.
 *
 * @param options Plugin, threads, cache of compiled programs.
 * @returns The engine, named `xla-cpu`.
 * @throws {Error} When no plugin is installed here, or the file is none; `installPlugin` fetches one.
 * @example
 * ```ts
 * import { compile, findPlugin, mul, xlaEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * if (findPlugin() === undefined) {
 *   await assert.rejects(xlaEngine(), /no XLA plugin is installed/);
 * } else {
 *   const engine = await xlaEngine();
 *   const square = await compile(({ x }) => ({ y: mul(x, x) }), { x: { dtype: "float32", shape: [2] } }, { engine });
 *   const { y } = await square.run({ x: Float32Array.of(3, 4) });
 *   assert.deepEqual(Array.from(await y.data()), [9, 16]);
 *   await engine.dispose();
 * }
 * ```
 */
export async function xlaEngine(
  { plugin = findPlugin(), threads, programCache }: XlaOptions = {},
): Promise<Engine> {
  if (plugin === undefined) {
    throw new Error(
      "Cannot open xla: no XLA plugin is installed; run `deno task albert environment --install=xla-cpu`, " +
        "or set ALBERT_PJRT_PLUGIN to the path of one",
    );
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new RangeError(`Cannot open xla: threads must be a whole number from 1 on, it is ${threads}`);
  }
  checkLibrary(plugin);
  const engine = xlaEngineOn({
    plugin,
    ...(threads === undefined ? {} : { threads }),
    ...(programCache === undefined ? {} : { programCache }),
  });
  return await Promise.resolve(engine);
}
