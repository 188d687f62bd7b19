/**
 * The XLA process: reads requests from its standard input, one after the other, computes on its main thread and writes
 * answers to its standard output. It is a process of its own for three reasons: glibc gives a step's temporary memory
 * back to the kernel and faults it in again unless it was told otherwise at the start of the process, and then only on the
 * main thread; the caller's event loop is never blocked; and a crash of the plugin ends this process only.
 */
import { readFileSync, readSync, writeSync } from "node:fs";
import process from "node:process";
import { clientAttempts } from "./client_options.ts";
import { openFfi } from "./ffi.ts";
import { frameOf, frameReader } from "./messages.ts";
import type { Frame, Reply, Request, Status } from "./messages.ts";
import { openPjrt, XlaError } from "./pjrt_api.ts";
import type { PjrtApi } from "./pjrt_api.ts";
import { bytesOf, openClient } from "./pjrt_client.ts";
import type { PjrtBuffer, PjrtClient, PjrtProgram, Signature } from "./pjrt_client.ts";
import { pluginKind } from "./plugin.ts";
import { pluginSum } from "./plugin_sum.ts";
import { openProgramCache, processorKey, programKey } from "./program_cache.ts";
import type { ProgramCache } from "./program_cache.ts";
import { makeStepMemory } from "./step_memory.ts";
import type { StepMemory } from "./step_memory.ts";

type State = {
  client: PjrtClient | undefined;
  cache: ProgramCache | undefined;
  /** Where runs put their temporary memory. */
  step: StepMemory;
  /** What the key of a compiled program holds besides its text. */
  identity: string;
  /** A value on each device; one that could not be made stands here as the error that its readers meet. */
  readonly buffers: Map<number, readonly PjrtBuffer[] | Error>;
  readonly programs: Map<number, { readonly program: PjrtProgram; readonly signature: Signature }>;
};

const noBytes = new Uint8Array(0);

function openWith(api: PjrtApi, plugin: string, count: number): PjrtClient {
  let last: unknown;
  for (const options of clientAttempts(pluginKind(plugin), { devices: count })) {
    try {
      return openClient(api, options, count);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

async function open(state: State, request: Request & { readonly kind: "open" }): Promise<Reply> {
  if (state.client !== undefined) {
    // Values of two clients must not meet.
    throw new XlaError("Cannot open a plugin: this process has one already", "FAILED_PRECONDITION");
  }
  const ffi = await openFfi();
  try {
    ffi.prctl(1, 9); // PR_SET_PDEATHSIG, SIGKILL: a long step does not outlive the caller.
  } catch {
    // Not Linux: the end of the input ends this process, after the step it is in.
  }
  if (process.ppid !== request.parent) process.exit(0);
  const api = openPjrt(ffi, request.plugin);
  state.client = openWith(api, request.plugin, request.devices);
  if (request.cache !== "") {
    state.cache = openProgramCache(request.cache, request.cacheBytes);
    state.identity = [
      pluginSum(request.plugin),
      processorKey(),
      process.env["NPROC"] ?? "all",
      state.client.compileOptions.join(),
    ].join("|");
  }
  const { platform, version, devices } = state.client;
  if (platform === "cpu") state.step = makeStepMemory(ffi.heap());
  return {
    kind: "opened",
    opened: { platform, version, devices, minor: api.minor, resident: processMemory().resident },
  };
}

const clientOf = ({ client }: State): PjrtClient => {
  if (client === undefined) throw new XlaError("Cannot use XLA: no plugin is open", "FAILED_PRECONDITION");
  return client;
};

/** What the values on all devices take. */
function heldBytes({ buffers }: State): number {
  return [...buffers.values()].flatMap((values) => values instanceof Error ? [] : values)
    .reduce((sum, { type }) => sum + bytesOf(type), 0);
}

/** The key of a program on the disk; without a folder of programs, none. */
const keyOf = ({ cache, identity }: State, text: Uint8Array): string =>
  cache === undefined ? "" : programKey([text, identity]);

/** A program from the disk; one that does not load is dropped there. */
function stored({ cache, client }: State, key: string, signature: Signature): PjrtProgram | undefined {
  const found = cache?.get(key);
  if (found === undefined) return undefined;
  try {
    return client?.load(found, signature);
  } catch {
    cache?.drop(key);
    return undefined;
  }
}

/** Keeps a program to run, and says how it came to be. */
function keep(
  state: State,
  id: number,
  { program, signature }: { readonly program: PjrtProgram; readonly signature: Signature },
  { cached, started }: { readonly cached: boolean; readonly started: number },
): Reply {
  state.programs.set(id, { program, signature });
  const milliseconds = performance.now() - started;
  state.step.trim();
  const compiled = {
    memory: program.memory,
    cached,
    milliseconds,
    ...processMemory(),
    held: heldBytes(state),
  };
  return { kind: "compiled", compiled };
}

function compile(state: State, { message, bytes }: Frame<Request & { readonly kind: "compile" }>): Reply {
  const started = performance.now();
  const client = clientOf(state);
  const { signature } = message;
  const key = keyOf(state, bytes);
  const found = stored(state, key, signature);
  if (found !== undefined) {
    return keep(state, message.program, { program: found, signature }, { cached: true, started });
  }
  if (message.absent === "say") return { kind: "absent" };
  const program = client.compile(new TextDecoder().decode(bytes), signature);
  try {
    state.cache?.put(key, program.serialize());
  } catch {
    // A plugin that cannot serialize still runs.
  }
  return keep(state, message.program, { program, signature }, { cached: false, started });
}

/** Compiles a program for another process. */
function make(state: State, { message, bytes }: Frame<Request & { readonly kind: "make" }>): Uint8Array {
  const program = clientOf(state).compile(new TextDecoder().decode(bytes), message.signature);
  try {
    const made = program.serialize();
    state.cache?.put(keyOf(state, bytes), made);
    return made;
  } finally {
    program.destroy();
  }
}

function load(state: State, { message, bytes }: Frame<Request & { readonly kind: "load" }>): Reply {
  const started = performance.now();
  const { signature } = message;
  const program = clientOf(state).load(bytes, signature);
  return keep(state, message.program, { program, signature }, { cached: false, started });
}

function bufferOf(state: State, id: number): readonly PjrtBuffer[] {
  const found = state.buffers.get(id);
  if (found === undefined) throw new XlaError(`Cannot use value ${id}: it is freed`, "INVALID_ARGUMENT");
  if (found instanceof Error) throw found;
  return found;
}

function freeBuffer(state: State, id: number): void {
  const buffer = state.buffers.get(id);
  state.buffers.delete(id);
  if (buffer !== undefined && !(buffer instanceof Error)) buffer.forEach((each) => each.destroy());
}

function run(state: State, request: Request & { readonly kind: "run" }): Reply {
  const entry = state.programs.get(request.program);
  try {
    if (entry === undefined) {
      throw new XlaError(`Cannot run program ${request.program}: it is freed`, "INVALID_ARGUMENT");
    }
    const { outputs } = entry.signature;
    if (request.outputs.length !== outputs.length) {
      throw new XlaError(
        `Cannot run the program: it gives ${outputs.length} values, names for ${request.outputs.length} are given`,
        "INVALID_ARGUMENT",
      );
    }
    const inputs = request.inputs.map((id) => bufferOf(state, id));
    state.step.beforeRun(entry.program.memory.temporary);
    const results = entry.program.run(
      clientOf(state).devices.map((_, device) => inputs.map((each) => each[device] as PjrtBuffer)),
    );
    request.outputs.forEach((id, i) => state.buffers.set(id, results.map((each) => each[i] as PjrtBuffer)));
    return { kind: "ran" };
  } catch (error) {
    const kept = error instanceof Error ? error : new Error(String(error));
    request.outputs.forEach((id) => state.buffers.set(id, kept));
    throw kept;
  } finally {
    // The caller has given these up, whatever happened.
    entry?.signature.donated.forEach((i) => freeBuffer(state, request.inputs[i] as number));
  }
}

function upload(
  client: PjrtClient,
  { type, split }: Request & { readonly kind: "upload" },
  bytes: Uint8Array,
): readonly PjrtBuffer[] {
  const count = client.devices.length;
  const part = Math.ceil(bytes.length / count); // Of a wrong size where it does not divide: the client refuses it.
  const made: PjrtBuffer[] = [];
  try {
    for (let device = 0; device < count; device++) {
      const own = split ? bytes.slice(part * device, part * (device + 1)) : bytes;
      made.push(client.upload(own, type, device));
    }
    return made;
  } catch (error) {
    made.forEach((buffer) => buffer.destroy());
    throw error;
  }
}

function download(
  state: State,
  { buffer, device }: Request & { readonly kind: "download" },
): Uint8Array {
  const found = bufferOf(state, buffer);
  const one = device === "all" && found.length > 1 ? undefined : found[device === "all" ? 0 : device];
  if (one !== undefined) return one.download();
  if (device !== "all") {
    throw new XlaError(`Cannot read value ${buffer}: there is no device ${device}`, "INVALID_ARGUMENT");
  }
  const parts = found.map((each) => each.download());
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function release(state: State, request: Request & { readonly kind: "release" }): void {
  request.buffers.forEach((id) => freeBuffer(state, id));
  for (const id of request.programs) {
    state.programs.get(id)?.program.destroy();
    state.programs.delete(id);
  }
}

/** Resident memory of this process, now and at its peak, bytes. */
function processMemory(): { readonly resident: number; readonly peak: number } {
  const lines = readFileSync("/proc/self/status", "utf8");
  const kilobytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(lines)?.[1]);
  return { resident: kilobytes("VmRSS"), peak: kilobytes("VmHWM") };
}

function status(state: State): Status {
  const { minorPageFault, userCPUTime, systemCPUTime } = process.resourceUsage();
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").pop()?.split(" ") ?? [];
  return {
    buffers: state.buffers.size,
    programs: state.programs.size,
    // Deno counts no faults: field 10 of proc_pid_stat(5), 8th behind the name.
    minorFaults: minorPageFault || Number(fields[7] ?? 0),
    userSeconds: userCPUTime > 0 ? userCPUTime / 1e6 : Number(fields[11]) / 100,
    systemSeconds: systemCPUTime > 0 ? systemCPUTime / 1e6 : Number(fields[12]) / 100,
    ...processMemory(),
    held: heldBytes(state),
  };
}

/** Bytes from which memory is given back at once, rather than when the collector finds it. */
const large = 1 << 16;

/** Frees what came with an upload, which the device has copied: a model's state would be held twice for a while. */
function freeAtOnce({ buffer, length }: Uint8Array): void {
  if (length < large) return;
  (buffer as { readonly transfer?: (size: number) => ArrayBuffer }).transfer?.(0); // Node has it from 22 on
}

type Answer = { readonly message: Reply; readonly bytes: Uint8Array } | undefined;

async function answer(state: State, { message, bytes }: Frame<Request>): Promise<Answer> {
  const plain = (reply: Reply): Answer => ({ message: reply, bytes: noBytes });
  switch (message.kind) {
    case "open":
      return plain(await open(state, message));
    case "compile":
      return plain(compile(state, { message, bytes }));
    case "make":
      return { message: { kind: "made" }, bytes: make(state, { message, bytes }) };
    case "load":
      return plain(load(state, { message, bytes }));
    case "run":
      return plain(run(state, message));
    case "download":
      return { message: { kind: "downloaded" }, bytes: download(state, message) };
    case "status":
      return plain({ kind: "status", status: status(state) });
    case "release":
      release(state, message);
      return undefined;
    case "upload":
      try {
        state.buffers.set(message.buffer, upload(clientOf(state), message, bytes));
      } catch (error) {
        state.buffers.set(message.buffer, error instanceof Error ? error : new Error(String(error)));
      }
      freeAtOnce(bytes);
      return undefined;
  }
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at, bytes.length - at);
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
    }
  }
}

function readChunk(into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(0, into, 0, into.length, null);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "EAGAIN" && code !== "EINTR") return 0;
    }
  }
}

/** Serves until the input ends; never returns, because unloading the plugin would crash. */
export async function serve(): Promise<never> {
  const state: State = {
    client: undefined,
    cache: undefined,
    step: makeStepMemory(undefined),
    identity: "",
    buffers: new Map(),
    programs: new Map(),
  };
  const read = frameReader<Request>();
  const chunk = new Uint8Array(1 << 20);
  for (;;) {
    const count = readChunk(chunk);
    if (count === 0) process.exit(0);
    for (const frame of read(chunk.subarray(0, count))) {
      let reply: Answer;
      try {
        reply = await answer(state, frame);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const code = error instanceof XlaError ? error.code : "FAILED";
        reply = { message: { kind: "failed", message, code }, bytes: noBytes };
      }
      if (reply !== undefined) {
        frameOf(reply.message, reply.bytes).forEach(writeAll);
      }
    }
  }
}
