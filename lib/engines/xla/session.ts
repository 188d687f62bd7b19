/**
 * The caller's side of the XLA process: starts it with the right environment, sends requests, pairs answers with
 * questions in their order, and tells everyone who waits when it dies. The process keeps no program alive: it is
 * referenced only while an answer is due.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { frameHead, frameReader } from "./messages.ts";
import type { Frame, Opened, Reply, Request } from "./messages.ts";
import { XlaError } from "./pjrt_api.ts";

/** How a process is started. */
export type SessionOptions = {
  /** The plugin's path. */
  readonly plugin: string;
  /** Threads that compute. */
  readonly threads: number;
  /** Folder of compiled programs; empty: none. */
  readonly cache: string;
  /** Bytes that they may take. */
  readonly cacheBytes: number;
};

/** A running process. */
export type Session = {
  readonly opened: Promise<Opened>;
  /** Sends a request that has an answer. */
  readonly ask: (request: Request, bytes?: Uint8Array) => Promise<Frame<Reply>>;
  /** Sends a request that has none. The bytes must not change afterwards. */
  readonly tell: (request: Request, bytes?: Uint8Array) => void;
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
 * from it, and it is kept. A step's temporary memory is otherwise mapped and faulted in anew each time.
 */
const tunables = [
  "glibc.malloc.arena_max=1",
  "glibc.malloc.mmap_threshold=17179869184",
  "glibc.malloc.trim_threshold=68719476736",
].join(":");

/** Bytes that may wait to be sent before `drained` waits. */
const queueLimit = 1 << 26;

/** Where the module that calls this was loaded from, under Deno and in the CommonJS copy alike. */
function ownFile(): string {
  const Errors = Error as unknown as {
    prepareStackTrace?: (error: Error, sites: readonly { getFileName(): string | null }[]) => unknown;
  };
  const before = Errors.prepareStackTrace;
  Errors.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName());
  try {
    const names = new Error().stack as unknown as readonly (string | null)[];
    const name = names.find((each) => each !== null && /[\\/]session\.[jt]s$/.test(each));
    if (typeof name !== "string") {
      throw new Error("Cannot start the XLA process: its program file is not found");
    }
    return name.startsWith("file:") ? fileURLToPath(name) : name;
  } finally {
    if (before === undefined) delete Errors.prepareStackTrace;
    else Errors.prepareStackTrace = before;
  }
}

function startProcess({ threads }: SessionOptions): ChildProcess {
  const worker = pathToFileURL(ownFile().replace(/session(\.[jt]s)$/, "worker$1")).href;
  const code = `import(${JSON.stringify(worker)}).then((it) => (it.serve ?? it.default.serve)())`;
  const deno = (globalThis as { readonly Deno?: unknown }).Deno !== undefined;
  const env: Record<string, string | undefined> = { ...process.env };
  // An unknown flag in XLA_FLAGS would abort the process; NODE_OPTIONS may ask for a debugger.
  delete env["XLA_FLAGS"];
  delete env["NODE_OPTIONS"];
  const before = env["GLIBC_TUNABLES"];
  env["GLIBC_TUNABLES"] = before === undefined || before === "" ? tunables : `${before}:${tunables}`;
  env["TF_CPP_MIN_LOG_LEVEL"] = "3";
  env["NPROC"] = String(threads);
  return spawn(process.execPath, deno ? ["eval", "--no-config", "--no-lock", code] : ["-e", code], {
    stdio: ["pipe", "pipe", "pipe"],
    env: env as NodeJS.ProcessEnv,
    // Its own process group: Ctrl-C is for the parent, which saves and then ends the child by closing its pipe.
    detached: true,
  });
}

type Waiter = { readonly resolve: (frame: Frame<Reply>) => void; readonly reject: (error: Error) => void };
type Counted = { ref?: () => void; unref?: () => void };

/** Joins small frames that are sent in one turn of the event loop, so that they cost one system call. */
function makeSender(pipe: Writable): (parts: readonly Uint8Array[]) => void {
  let queue: Uint8Array[] = [];
  const flush = (): void => {
    const parts = queue;
    queue = [];
    const total = parts.reduce((sum, part) => sum + part.length, 0);
    if (pipe.destroyed) return;
    if (total > 1 << 16) parts.forEach((part) => pipe.write(part));
    else pipe.write(Buffer.concat(parts));
  };
  return (parts) => {
    if (queue.length === 0) queueMicrotask(flush);
    queue.push(...parts);
  };
}

/** The last part of what the process says on its error output. */
function makeTail(stream: Readable): () => string {
  let tail = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => tail = (tail + text).slice(-2000));
  return () => tail.trim();
}

/**
 * Starts a process.
 *
 * @param options Plugin, threads, cache.
 */
export function startSession(options: SessionOptions): Session {
  const child = startProcess(options);
  const { stdin, stdout, stderr } = child as { stdin: Writable; stdout: Readable; stderr: Readable };
  const waiters: Waiter[] = [];
  const tail = makeTail(stderr);
  const send = makeSender(stdin);
  const counted = [child, stdin, stdout, stderr] as readonly Counted[];
  let dead: Error | undefined;
  let closing = false;
  let ended: () => void = () => {};
  const end = new Promise<void>((resolve) => ended = resolve);
  const hold = (): void => counted.forEach((each) => each.ref?.());
  const letGo = (): void => counted.forEach((each) => each.unref?.());
  const die = (how: string): void => {
    if (dead !== undefined) return;
    const said = tail();
    dead = new Error(
      closing
        ? "Cannot use XLA: the engine was disposed, and its values with it"
        : `Cannot use XLA: its process ended (${how}), values on the device are lost; ` +
          `the next program or upload starts a new one${said === "" ? "" : `. It said: ${said}`}`,
    );
    waiters.splice(0).forEach(({ reject }) => reject(dead as Error));
    letGo();
    ended();
  };
  child.on("error", (error) => die(error.message));
  child.on("exit", (code, signal) => die(signal === null ? `exit code ${code}` : `signal ${signal}`));
  stdin.on("error", () => {}); // The exit tells more.
  const read = frameReader<Reply>();
  stdout.on("data", (chunk: Uint8Array) => {
    try {
      for (const frame of read(chunk)) {
        const waiter = waiters.shift();
        if (waiters.length === 0 && !closing) letGo();
        if (frame.message.kind !== "failed") waiter?.resolve(frame);
        else waiter?.reject(new XlaError(frame.message.message, frame.message.code));
      }
    } catch (error) {
      die((error as Error).message);
      child.kill("SIGKILL");
    }
  });
  const tell = (request: Request, bytes: Uint8Array = new Uint8Array(0)): void => {
    if (dead !== undefined) throw dead;
    send(bytes.length === 0 ? [frameHead(request, 0)] : [frameHead(request, bytes.length), bytes]);
  };
  const ask = (request: Request, bytes?: Uint8Array): Promise<Frame<Reply>> => {
    if (dead !== undefined) return Promise.reject(dead);
    if (waiters.length === 0) hold();
    return new Promise((resolve, reject) => {
      waiters.push({ resolve, reject });
      tell(request, bytes);
    });
  };
  const { plugin, cache, cacheBytes } = options;
  const opened = ask({ kind: "open", plugin, cache, cacheBytes, parent: process.pid }).then(({ message }) => {
    if (message.kind !== "opened") throw new Error(`Cannot open XLA: the process answered ${message.kind}`);
    return message.opened;
  });
  opened.catch(() => {}); // Every use waits for it and meets the error there.
  return {
    opened,
    ask,
    tell,
    drained: async () => {
      if (stdin.writableLength > queueLimit) {
        hold();
        await Promise.race([new Promise((resolve) => stdin.once("drain", resolve)), end]);
        if (waiters.length === 0) letGo();
      }
    },
    death: () => dead,
    pid: child.pid ?? 0,
    close: async () => {
      if (dead !== undefined) return;
      closing = true;
      hold();
      child.kill("SIGKILL"); // It holds nothing that must be kept, and a running step would delay its end.
      await end;
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
    },
  };
}
