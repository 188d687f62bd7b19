/**
 * The XLA engine: graphs become StableHLO text, a process of its own compiles and runs them. A run is on its way before
 * the one before it has ended, so the device never waits for the caller; a failure is met by whoever uses its results.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { resolve } from "node:path";
import type { Buffer, Engine, HostArray } from "../../tensor/mod.ts";
import type { Compiled, Status } from "./messages.ts";
import { cacheFolder, checkLibrary, findPlugin, pluginKind } from "./plugin.ts";
import { makeProgram } from "./program.ts";
import { makeValues } from "./values.ts";

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
  /** Threads that compute, at most 1024; default: the processors this process may use. */
  readonly threads?: number;
  /** Devices that every program runs on, default 1; the processor counts as any number of them, for tests. */
  readonly devices?: number;
  /** Keep compiled programs on disk, default true. */
  readonly programCache?: boolean;
};

/** More threads than a processor has only wait for each other; with very many the plugin never opens. */
const mostThreads = 1024;

/** Bytes that compiled programs may take on disk. */
const programCacheBytes = 2 ** 30;

/** What a plugin's devices are. */
const deviceKinds = { "xla-cpu": "cpu", "xla-cuda": "gpu", "xla-rocm": "gpu", "xla-tpu": "tpu" } as const;

/** Counters of the engine's process, for tests and benchmarks. */
export type XlaStatus = Status & { readonly pid: number };

/** The engine with what tests look at. */
export type XlaEngine = Engine & {
  readonly status: () => Promise<XlaStatus>;
  /** Copies a value from one device, by its number. */
  readonly downloadFrom: (buffer: Buffer, device: number) => Promise<HostArray>;
  /** How the last program came to be. */
  readonly lastCompiled: () => Compiled | undefined;
  /** The process that compiles large programs, while there is one. */
  readonly compilerPid: () => number | undefined;
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

/** The engine on a given plugin, with its counters. */
export function xlaEngineOn(
  { plugin: given, threads = usableProcessors(), devices = 1, programCache = true }: XlaOptions & {
    readonly plugin: string;
  },
): XlaEngine {
  const plugin = resolve(given); // a name without a slash would be looked for in the system's folders
  const cache = programCache ? cacheFolder("programs") : "";
  const values = makeValues({ plugin, threads, devices, cache, cacheBytes: programCacheBytes });
  let last: Compiled | undefined;
  return {
    name: pluginKind(plugin),
    loops: true,
    devices: () =>
      Array.from({ length: devices }, () => ({
        name: pluginKind(plugin) === "xla-cpu"
          ? `XLA, ${threads} ${threads === 1 ? "thread" : "threads"}`
          : `XLA, ${pluginKind(plugin).slice(4)}`,
        kind: deviceKinds[pluginKind(plugin)],
      })),
    compile: (graph, options) => makeProgram(values, graph, options, (info) => last = info),
    upload: values.upload,
    download: (buffer) => values.download(buffer),
    downloadFrom: values.download,
    release: values.release,
    dispose: values.close,
    status: async () => {
      const session = values.live();
      await session.opened;
      const { message } = await session.ask({ kind: "status" });
      if (message.kind !== "status") {
        throw new Error(`Cannot read the status: the process answered ${message.kind}`);
      }
      return { ...message.status, pid: session.pid };
    },
    lastCompiled: () => last,
    compilerPid: values.compiler.pid,
  };
}

/**
 * Opens the engine on XLA's CPU compiler: graphs are compiled to machine code and run in a process of their own, which
 * starts at the first use and ends with this one.
 *
 * @param options Plugin, threads, devices, cache of compiled programs.
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
  { plugin = findPlugin(), threads, devices = 1, programCache }: XlaOptions = {},
): Promise<Engine> {
  if (plugin === undefined) {
    throw new Error(
      "Cannot open xla: no XLA plugin is installed; run `deno task albert environment --install=xla-cpu`, " +
        "or set ALBERT_PJRT_PLUGIN to the path of one",
    );
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)) {
    throw new RangeError(
      `Cannot open xla: threads must be a whole number from 1 to ${mostThreads}, it is ${threads}`,
    );
  }
  if (!(Number.isInteger(devices) && devices >= 1 && devices <= 64)) {
    throw new RangeError(`Cannot open xla: devices must be a whole number from 1 to 64, it is ${devices}`);
  }
  checkLibrary(plugin);
  const engine = xlaEngineOn({
    plugin,
    devices,
    ...(threads === undefined ? {} : { threads }),
    ...(programCache === undefined ? {} : { programCache }),
  });
  return await Promise.resolve(engine);
}
