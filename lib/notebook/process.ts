/**
 * The operating system's side of a kernel: connection file, process group, its last words, and its certain end.
 * Kernels start by their own commands, without kernelspecs and without Jupyter. A kernel leads its own process group,
 * so that its children (engines, workers) end with it, also when the runner is interrupted.
 */
import { randomBytes, randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "./paths.ts";

/** The two kernels that every notebook runs under. */
export type KernelName = "deno" | "tslab";

/** Ports and secret of one kernel, in the words of Jupyter's connection file. */
export type Connection = {
  readonly shell_port: number;
  readonly iopub_port: number;
  readonly stdin_port: number;
  readonly control_port: number;
  readonly hb_port: number;
  readonly key: string;
};

/** A kernel's process. */
export type KernelProcess = {
  readonly pid: number;
  readonly connection: Connection;
  /** A folder of its own for temporary files (`TMPDIR`), removed by `kill`. */
  readonly temporary: string;
  /** Settles when the process ends, with how: `"exit code 3"` or `"signal SIGKILL"`. */
  readonly ended: Promise<string>;
  /** The last 20 kB that the process itself wrote, for messages about a kernel that died. */
  readonly lastWords: () => string;
  /** Ends the whole process group and removes the temporary folder. */
  readonly kill: () => Promise<void>;
};

/** Settings of `startProcess`. */
export type ProcessOptions = {
  /** Working folder: the notebook's. */
  readonly cwd: string;
  /** Variables on top of the runner's own. Default: none. */
  readonly env?: { readonly [name: string]: string };
  /** Project whose `node_modules` holds tslab. Default: this project. */
  readonly root?: string;
};

/**
 * Starts the process of a kernel.
 *
 * @param name Which kernel.
 * @param options See {@link ProcessOptions}.
 * @returns The process; nothing is connected yet.
 * @throws {Error} When its program is not there.
 */
export async function startProcess(
  name: KernelName,
  { cwd, env = {}, root = projectRoot }: ProcessOptions,
): Promise<KernelProcess> {
  const ports = await reservePorts();
  const folder = mkdtempSync(join(tmpdir(), "albert-kernel-"));
  const temporary = join(folder, "tmp");
  mkdirSync(temporary);
  const file = join(folder, "connection.json");
  const connection = writeConnection(file, name, ports);

  const [program, args] = kernelCommand(name, file, root);
  const kernelEnv = { ...inheritedEnvironment(), ...env, TMPDIR: temporary, NOTEBOOK_KERNEL: name };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      cwd,
      env: { ...kernelEnv, NO_COLOR: "1", NOTEBOOK_HEADLESS: "1", TZ: "UTC", LANG: "en_US.UTF-8" },
      clearEnv: true,
      detached: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (cause) {
    for (const port of ports) givenPorts.delete(port);
    rmSync(folder, { recursive: true, force: true });
    const reason = cause instanceof Deno.errors.NotFound
      ? `${program} is not on the path: install it`
      : String(cause);
    throw new Error(`Cannot start the ${name} kernel: ${reason}`, { cause });
  }
  const words = collectTail([child.stdout, child.stderr], 20_000);
  const ended = child.status.then(({ code, signal }) => signal ? `signal ${signal}` : `exit code ${code}`);
  const forget = watchSignals(child.pid, folder);
  let killed: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    killGroup(child.pid);
    await ended;
    await words.done;
    forget();
    for (const port of ports) givenPorts.delete(port);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  return {
    pid: child.pid,
    connection,
    temporary,
    ended,
    lastWords: words.text,
    kill: () => killed ??= end(),
  };
}

/** Writes the file that tells a kernel where to listen, readable by its owner only. */
function writeConnection(
  file: string,
  name: KernelName,
  [shell_port, iopub_port, stdin_port, control_port, hb_port]: readonly [
    number,
    number,
    number,
    number,
    number,
  ],
): KernelProcess["connection"] {
  const key = randomBytes(24).toString("hex");
  const connection = { shell_port, iopub_port, stdin_port, control_port, hb_port, key };
  const settings = { ip: "127.0.0.1", transport: "tcp", signature_scheme: "hmac-sha256", kernel_name: name };
  writeFileSync(file, JSON.stringify({ ...settings, ...connection }), { mode: 0o600 });
  return connection;
}

function kernelCommand(name: KernelName, file: string, root: string): [program: string, args: string[]] {
  if (name === "deno") return [Deno.execPath(), ["jupyter", "--kernel", "--conn", file]];
  return ["node", [join(root, "node_modules", "tslab", "bin", "tslab"), "kernel", `--config-path=${file}`]];
}

/** The runner's environment without what would colour outputs, choose a language, or slow the kernels down. */
function inheritedEnvironment(): { [name: string]: string } {
  const dropped = [
    "FORCE_COLOR",
    "CLICOLOR_FORCE",
    "LC_ALL",
    "DENO_COVERAGE_DIR",
    "NODE_V8_COVERAGE",
    "NODE_OPTIONS",
  ];
  return Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => !dropped.includes(name)));
}

/** Ports handed out by this process, so that two kernels that start together never share one. */
const givenPorts = new Set<number>();

/**
 * Five free ports from 10000 to 31999. Systems give outgoing connections ports above (Linux 32768, others 49152): one
 * of those could be taken before the kernel listens, even by our own attempt to connect to that very port.
 */
async function reservePorts(): Promise<[number, number, number, number, number]> {
  const reserve = async (): Promise<number> => {
    for (let attempt = 0; attempt < 200; attempt++) {
      const port = randomInt(10_000, 32_000);
      if (givenPorts.has(port)) continue;
      givenPorts.add(port);
      if (await isFree(port)) return port;
      givenPorts.delete(port);
    }
    throw new Error("Cannot start a kernel: found no free port from 10000 to 31999 in 200 attempts");
  };
  return [await reserve(), await reserve(), await reserve(), await reserve(), await reserve()];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Reads streams to their end and keeps the last `limit` characters. */
function collectTail(
  streams: readonly ReadableStream<Uint8Array>[],
  limit: number,
): { readonly text: () => string; readonly done: Promise<unknown> } {
  let tail = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      tail = (tail + decoder.decode(chunk, { stream: true })).slice(-limit);
    }
  };
  return { text: () => tail, done: Promise.allSettled(streams.map(read)) };
}

/** Ends a process group: a negative number means the group on Unix; Windows has its own command. */
function killGroup(pid: number): void {
  try {
    if (Deno.build.os === "windows") {
      new Deno.Command("taskkill", {
        args: ["/T", "/F", "/PID", String(pid)],
        stdout: "null",
        stderr: "null",
      })
        .outputSync();
    } else {
      Deno.kill(-pid, "SIGKILL");
    }
  } catch {
    // The group has ended already.
  }
}

/** Kernels that run now: process id to temporary folder. */
const running = new Map<number, string>();

const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** Handlers are kept by signal: they are listened to only while a kernel runs. */
const handlers = new Map<Deno.Signal, () => void>();

function endAll(): void {
  for (const [pid, folder] of running) {
    killGroup(pid);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  running.clear();
}

/** Ends the kernel when the runner is interrupted or ends by itself; the returned function takes that back. */
function watchSignals(pid: number, folder: string): () => void {
  if (running.size === 0) {
    for (const signal of signals) {
      const handler = (): void => {
        endAll();
        Deno.exit({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal as string] ?? 1);
      };
      handlers.set(signal, handler);
      Deno.addSignalListener(signal, handler);
    }
    addEventListener("unload", endAll);
  }
  running.set(pid, folder);
  return () => {
    if (!running.delete(pid) || running.size > 0) return;
    for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
    handlers.clear();
    removeEventListener("unload", endAll);
  };
}
