/**
 * The caller's side of the XLA process: starts it with the right environment, sends requests, pairs answers with
 * questions in their order, and tells everyone who waits when it dies. The process keeps no program alive: it is
 * referenced only while an answer is due.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { ownFile } from "../../own_file.ts";
import { frameOf, frameReader } from "./messages.ts";
import type { Frame, Opened, Reply, Request } from "./messages.ts";
import { XlaError } from "./pjrt_api.ts";
import { pluginEnvironment } from "./plugin.ts";
import { damageOf } from "./plugin_sum.ts";
import { makeSender } from "./sender.ts";
import { stopButton } from "./stop_button.ts";

/** How a process is started. */
export type SessionOptions = {
  /** The plugin's path. */
  readonly plugin: string;
  /** Threads that compute. */
  readonly threads: number;
  /** Devices that every program runs on. */
  readonly devices: number;
  /** Folder of compiled programs; empty: none. */
  readonly cache: string;
  /** Bytes that they may take. */
  readonly cacheBytes: number;
  /** What it is for, default "run": only such a process holds values. */
  readonly purpose?: "run" | "compile";
  /** Seconds after which a plugin that does not open is given up, default 300: some look long for their device. */
  readonly openSeconds?: number;
};

/** A running process. */
export type Session = {
  readonly opened: Promise<Opened>;
  /** Sends a request that has an answer. */
  readonly ask: (request: Request, bytes?: Uint8Array) => Promise<Frame<Reply>>;
  /** Sends a request that has none. The bytes must not change afterwards. */
  readonly tell: (request: Request, bytes?: Uint8Array) => void;
  /** Gives values and programs back. */
  readonly release: (buffers: readonly number[], programs?: readonly number[]) => void;
  /** Waits until what was sent has left, when much of it is queued. */
  readonly drained: () => Promise<void>;
  /** Why the process is gone, if it is. */
  readonly death: () => Error | undefined;
  readonly pid: number;
  /** Ends the process and waits for its end. */
  readonly close: () => Promise<void>;
};

/**
 * Allocator settings (glibc's manual, "Memory Allocation Tunables"): one heap for all threads, blocks up to 16 GiB come
 * from it, and it is kept. A step's temporary memory is otherwise mapped and faulted in anew each time. The price is gaps
 * that keep their pages; `step_memory.ts` gives those back which no step uses. Huge pages, where the system grants them on
 * request, take another 4 % of a small step's time.
 */
const tunables = [
  "glibc.malloc.arena_max=1",
  "glibc.malloc.mmap_threshold=17179869184",
  "glibc.malloc.trim_threshold=68719476736",
  "glibc.malloc.hugetlb=1",
].join(":");

/** Bytes that may wait to be sent before `drained` waits. */
const queueLimit = 1 << 26;

function startProcess({ plugin, threads, devices }: SessionOptions): ChildProcess {
  const worker = ownFile("session").replace(/session(\.[jt]s)$/, "worker$1");
  const code = `import(${JSON.stringify(worker)}).then((it) => (it.serve ?? it.default.serve)())`;
  const deno = (globalThis as { readonly Deno?: unknown }).Deno !== undefined;
  const env: Record<string, string | undefined> = { ...process.env };
  // An unknown flag in XLA_FLAGS would abort the process; NODE_OPTIONS may ask for a debugger.
  delete env["XLA_FLAGS"];
  delete env["NODE_OPTIONS"];
  const before = env["GLIBC_TUNABLES"];
  env["GLIBC_TUNABLES"] = before === undefined || before === "" ? tunables : `${before}:${tunables}`;
  Object.assign(env, pluginEnvironment(plugin));
  env["TF_CPP_MIN_LOG_LEVEL"] = "3";
  // Replicas that wait for each other need a thread each.
  env["NPROC"] = String(Math.max(threads, devices));
  return spawn(process.execPath, deno ? ["eval", "--no-config", "--no-lock", code] : ["-e", code], {
    stdio: ["pipe", "pipe", "pipe"],
    env: env as NodeJS.ProcessEnv,
    // Its own process group: Ctrl-C is for the parent, which saves and then ends the child by closing its pipe.
    detached: true,
  });
}

type Waiter = { readonly resolve: (frame: Frame<Reply>) => void; readonly reject: (error: Error) => void };
type Counted = { ref?: () => void; unref?: () => void };

/** Questions without an answer yet, in their order. */
type Waiters = {
  readonly hold: () => void;
  readonly letGo: () => void;
  /** Waits for the answer to what `send` sends. */
  readonly wait: (send: () => void) => Promise<Frame<Reply>>;
  readonly answer: (frame: Frame<Reply>) => void;
  /** Ends the waiting; the answers still come, in their order, and nobody listens. */
  readonly interrupt: (error: Error) => void;
  readonly fail: (error: Error) => void;
};

/** Makes a place for questions. While there is one, this program does not end by itself. */
export function makeWaiters(counted: readonly Counted[]): Waiters {
  const waiters: Waiter[] = [];
  let holds = 0;
  // Deno throws "Bad resource ID" between the end of a process and the event that tells of it, which then ends the wait.
  const quietly = (each: Counted, what: "ref" | "unref"): void => {
    try {
      each[what]?.();
    } catch {
      // It holds nothing any more.
    }
  };
  const hold = (): void => {
    if (holds++ === 0) counted.forEach((each) => quietly(each, "ref"));
  };
  const letGo = (): void => {
    if (--holds === 0) counted.forEach((each) => quietly(each, "unref"));
  };
  return {
    hold,
    letGo,
    wait: (send) =>
      new Promise((resolve, reject) => {
        hold();
        waiters.push({ resolve, reject });
        send();
      }),
    answer: (frame) => {
      const { message } = frame;
      const waiter = waiters.shift();
      if (waiter === undefined) throw new Error("the XLA process answered what was not asked");
      letGo();
      if (message.kind !== "failed") waiter.resolve(frame);
      else waiter.reject(new XlaError(message.message, message.code));
    },
    interrupt: (error) => waiters.forEach(({ reject }) => reject(error)),
    fail: (error) => {
      for (const { reject } of waiters.splice(0)) {
        letGo();
        reject(error);
      }
    },
  };
}

/** The last part of what the process says on its error output. */
function makeTail(stream: Readable): () => string {
  let tail = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => tail = (tail + text).slice(-2000));
  return () => tail.trim();
}

/** The end of a process: whether it has come, why, and a promise of it. */
function makeDeath(
  child: ChildProcess,
  { plugin, purpose = "run" }: SessionOptions,
  said: () => string,
  onDeath: (error: Error) => void,
) {
  const lost = purpose === "run"
    ? (how: string) =>
      `Cannot use XLA: its process ended (${how}), values on the device are lost; ` +
      "the next program or upload starts a new one"
    : (how: string) =>
      `Cannot compile the program: the process that compiles ended (${how}); no value is lost, ` +
      "the next program starts a new one";
  const state: { error?: Error; closing: boolean; opened: boolean } = { closing: false, opened: false };
  let ended: () => void = () => {};
  const end = new Promise<void>((resolve) => ended = resolve);
  const die = (how: string): void => {
    if (state.error !== undefined) return;
    const damage = state.closing || state.opened ? "" : damageOf(plugin); // reads 200 MB
    const words = [damage, said()].filter((each) => each !== "").join("; ");
    state.error = new Error(
      state.closing
        ? "Cannot use XLA: the engine was disposed, and its values with it"
        : `${lost(how)}${words === "" ? "" : `. It said: ${words}`}`,
    );
    onDeath(state.error);
    ended();
  };
  child.on("error", (error) => die(error.message));
  child.on("exit", (code, signal) => die(signal === null ? `exit code ${code}` : `signal ${signal}`));
  return { state, end, die };
}

/** Has the process open its plugin, and gives it up when that takes too long. */
function openPlugin(
  { plugin, devices, cache, cacheBytes, openSeconds = 300 }: SessionOptions,
  ask: Session["ask"],
  onOpened: () => void,
  giveUp: (why: string) => void,
): Promise<Opened> {
  const first = { kind: "open", plugin, devices, cache, cacheBytes, parent: process.pid } as const;
  const opened = ask(first).then(({ message }) => {
    if (message.kind !== "opened") throw new Error(`Cannot open XLA: the process answered ${message.kind}`);
    onOpened();
    return message.opened;
  }, (error: Error) => {
    const damage = error instanceof XlaError ? damageOf(plugin) : ""; // a death has said it already
    throw damage === "" ? error : new XlaError(`${error.message}; ${damage}`, (error as XlaError).code);
  });
  const patience = setTimeout(
    () => giveUp(`the plugin did not open within ${openSeconds} s and was given up`),
    1000 * openSeconds,
  );
  // Every use waits for it and meets the error there.
  opened.catch(() => {}).finally(() => clearTimeout(patience));
  return opened;
}

/**
 * Starts a process.
 *
 * @param options Plugin, threads, devices, cache.
 */
export function startSession(options: SessionOptions): Session {
  const child = startProcess(options);
  const { stdin, stdout, stderr } = child as { stdin: Writable; stdout: Readable; stderr: Readable };
  const button = stopButton((why) => waiters.interrupt(why));
  const waiters = makeWaiters([child, stdin, stdout, stderr, button] as readonly Counted[]);
  const { state, end, die } = makeDeath(child, options, makeTail(stderr), waiters.fail);
  const send = makeSender(stdin);
  stdin.on("error", () => {}); // The exit tells more.
  const read = frameReader<Reply>();
  stdout.on("data", (chunk: Uint8Array) => {
    try {
      read(chunk).forEach(waiters.answer);
    } catch (error) {
      die((error as Error).message);
      child.kill("SIGKILL");
    }
  });
  const alive = (): void => {
    if (state.error !== undefined) throw state.error;
  };
  const tell = (request: Request, bytes?: Uint8Array): void => {
    alive();
    send.soon(frameOf(request, bytes));
  };
  const ask = (request: Request, bytes?: Uint8Array): Promise<Frame<Reply>> =>
    state.error === undefined
      ? waiters.wait(() => send.now(frameOf(request, bytes)))
      : Promise.reject(state.error);
  const opened = openPlugin(options, ask, () => state.opened = true, (why) => {
    die(why);
    child.kill("SIGKILL");
  });
  return {
    opened,
    ask,
    tell,
    release: (buffers, programs = []) => {
      alive();
      send.release(buffers, programs);
    },
    drained: async () => {
      if (stdin.writableLength <= queueLimit) return;
      waiters.hold();
      await Promise.race([new Promise((resolve) => stdin.once("drain", resolve)), end]);
      waiters.letGo();
    },
    death: () => state.error,
    pid: child.pid ?? 0,
    close: async () => {
      if (state.error !== undefined) return;
      state.closing = true;
      waiters.hold();
      child.kill("SIGKILL"); // It holds nothing that must be kept, and a running step would delay its end.
      await end;
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
    },
  };
}
