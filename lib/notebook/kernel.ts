/**
 * A running kernel as one object: start it, give it a cell, get what the cell printed and whether it worked, end it.
 * Facts: "Messaging in Jupyter" 5.3; what the Deno 2.9 and tslab 1.0.22 kernels do beyond it was measured: where a
 * rule below exists for one of them, it says so.
 */
import { randomUUID } from "node:crypto";
import { type Client, connectClient, fenceMime, greet, portTaken } from "./client.ts";
import { type KernelName, type KernelProcess, type ProcessOptions, startProcess } from "./process.ts";
import type { KernelMessage } from "./wire.ts";

/** What came of one cell. */
export type Execution = {
  /** `"lost"`: the kernel ended or broke the protocol; `"timeout"`: it never answered. In both cases it is of no more use. */
  readonly status: "ok" | "error" | "timeout" | "lost";
  /** One line: why it failed; empty when it worked. */
  readonly why: string;
  /** Output messages in the order of arrival. */
  readonly messages: readonly KernelMessage[];
};

/** A kernel that answers. */
export type Kernel = {
  readonly name: KernelName;
  readonly pid: number;
  /** Folder that the kernel was given for temporary files. */
  readonly temporary: string;
  /** Seconds from the start of the process to the first answer. */
  readonly startSeconds: number;
  /** Runs one cell. Never rejects. */
  readonly execute: (code: string, options?: { readonly timeoutSeconds?: number }) => Promise<Execution>;
  /** Takes what arrived since the last cell: output of timers and rejections that came late. */
  readonly late: () => readonly KernelMessage[];
  /** The last 20 kB that the process wrote outside of messages: crashes leave their reason there. */
  readonly lastWords: () => string;
  /** Presses the stop button: both kernels' specifications let Jupyter send them SIGINT. */
  readonly interrupt: () => void;
  /** Ends the kernel and everything it started. */
  readonly kill: () => Promise<void>;
};

/** Settings of `startKernel`. */
export type KernelOptions = ProcessOptions & {
  /** Seconds for one attempt to start. Default: 60. */
  readonly startTimeoutSeconds?: number;
};

/** Seconds within which the fence must come back; the cell itself has ended by then. */
const fenceSeconds = 20;

/**
 * Listeners for the Deno kernel, which says nothing about a rejection nobody awaits and hangs when a timer throws.
 * They print what tslab prints. `lib/show` installs the same under the same symbol for notebooks run by hand.
 */
export const denoGuard: string = `(() => {
  const mark = Symbol.for("albert-guide.kernel-guard");
  if (globalThis[mark]) return;
  globalThis[mark] = true;
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    console.error("UnhandledPromiseRejection:", event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    console.error("UncaughtException:", event.error);
  });
})();`;

/**
 * Starts a kernel and waits until it answers; tries three times, since a reserved port may be taken in between.
 *
 * @param name Which kernel.
 * @param options See {@link KernelOptions}.
 * @returns The kernel.
 * @throws {Error} With the kernel's last words when it does not come up.
 */
export async function startKernel(
  name: KernelName,
  { startTimeoutSeconds = 60, ...options }: KernelOptions,
): Promise<Kernel> {
  const reasons: string[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const process = await startProcess(name, options);
    try {
      return await connectKernel(name, process, startTimeoutSeconds);
    } catch (error) {
      await process.kill();
      reasons.push(error instanceof Error ? error.message : String(error));
      // A program that says why it ends will say so again; only a silent one may have lost a port.
      const words = process.lastWords().trim();
      if (words !== "" && !portTaken(words)) {
        throw new Error(`Cannot start the ${name} kernel: ${reasons.at(-1)}; it wrote:\n${words}`, {
          cause: error,
        });
      }
    }
  }
  throw new Error(`Cannot start the ${name} kernel after ${reasons.length} attempts: ${reasons.join("; ")}`);
}

async function connectKernel(
  name: KernelName,
  process: KernelProcess,
  startTimeout: number,
): Promise<Kernel> {
  const started = performance.now();
  const deadline = started + startTimeout * 1000;
  const client = await connectClient(process, deadline);
  const kill = async (): Promise<void> => {
    client.close();
    await process.kill();
  };
  try {
    await greet(client, process, deadline);
    const kernel: Kernel = {
      name,
      pid: process.pid,
      temporary: process.temporary,
      startSeconds: (performance.now() - started) / 1000,
      execute: (code, { timeoutSeconds = 60 } = {}) => executeCell(name, client, code, timeoutSeconds),
      late: client.takeOutput,
      interrupt: () => Deno.kill(process.pid, "SIGINT"),
      lastWords: process.lastWords,
      kill,
    };
    if (name === "deno") {
      const guard = await kernel.execute(denoGuard, {
        timeoutSeconds: Math.max(1, (deadline - performance.now()) / 1000),
      });
      if (guard.status !== "ok") throw new Error(`its listeners could not be set: ${guard.why}`);
    }
    return kernel;
  } catch (error) {
    await kill();
    throw error;
  }
}

async function executeCell(
  name: KernelName,
  client: Client,
  code: string,
  timeout: number,
): Promise<Execution> {
  const first = await answered(client, code, false, timeout);
  if (first.status !== "done") return { status: first.status, why: first.why, messages: client.takeOutput() };
  if (name === "deno") {
    // Results of the Deno kernel travel on another thread and may come after `idle`: wait for one sent later.
    const id = randomUUID();
    const arrived = client.waitForFence(id);
    const data = JSON.stringify({ [fenceMime]: id });
    const fence =
      `await Deno.jupyter.broadcast("display_data", { data: ${data}, metadata: {}, transient: {} });`;
    const second = await answered(client, fence, true, fenceSeconds, arrived);
    if (second.status !== "done") {
      return { status: second.status, why: `after the cell: ${second.why}`, messages: client.takeOutput() };
    }
  }
  const messages = client.takeOutput();
  const why = whyFailed(first.reply, messages);
  return { status: why === "" ? "ok" : "error", why, messages };
}

type Answer =
  | { readonly status: "done"; readonly reply: KernelMessage }
  | { readonly status: "timeout" | "lost"; readonly why: string };

async function answered(
  client: Client,
  code: string,
  silent: boolean,
  seconds: number,
  also: Promise<void> = Promise.resolve(),
): Promise<Answer> {
  const { done, forget } = client.request("execute_request", {
    code,
    silent,
    store_history: !silent,
    user_expressions: {},
    allow_stdin: false,
    stop_on_error: true,
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Answer>((resolve) => {
    const why = `no answer within ${seconds} s (time-out)`;
    timer = setTimeout(() => resolve({ status: "timeout", why }), seconds * 1000);
  });
  const answer = Promise.all([done, also]).then(([reply]): Answer => ({ status: "done", reply }));
  const lost = client.lost.then((why): Answer => ({ status: "lost", why }));
  try {
    return await Promise.race([answer, late, lost]);
  } finally {
    clearTimeout(timer);
    forget();
  }
}

/**
 * Why a cell failed, in one line, from its reply and its output; empty when it worked.
 *
 * tslab writes errors to stderr only, and answers `ok` after a rejection that nobody awaits.
 *
 * @param reply The `execute_reply`.
 * @param messages The output of the cell.
 * @returns `"Error: boom"`, `"1:7 - Type 'string' is not assignable ..."`, or an empty string.
 */
export function whyFailed(reply: KernelMessage, messages: readonly KernelMessage[]): string {
  const errorText = stderrText(messages);
  const escaped = errorText.split("\n").find((line) =>
    /^(UnhandledPromiseRejection|UncaughtException):/.test(line)
  );
  if (escaped !== undefined) return escaped.trim();
  const raised = messages.find((message) => message.type === "error")?.content ?? reply.content;
  if (reply.content["status"] === "ok" && raised === reply.content) return "";
  if (typeof raised["ename"] === "string" && raised["ename"] !== "") {
    return oneLine(`${raised["ename"]}: ${String(raised["evalue"] ?? "")}`);
  }
  const lines = errorText.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  // tslab shows a thrown error as place, source line, caret, then the error with its stack.
  const caret = lines.findIndex((line) => /^\^+$/.test(line));
  const named = lines.slice(caret + 1).find((line) => /^(Uncaught )?[\w$]*(Error|Exception)\b.*:/.test(line));
  const typed = lines.find((line) => /^\S*\d+:\d+ - /.test(line));
  return named ?? typed ?? lines[caret + 1] ?? `the kernel answered "${String(reply.content["status"])}"`;
}

/** What a cell wrote to stderr, without colours. */
export function stderrText(messages: readonly KernelMessage[]): string {
  return messages
    .filter((message) => message.type === "stream" && message.content["name"] === "stderr")
    .map((message) => String(message.content["text"] ?? ""))
    .join("")
    // deno-lint-ignore no-control-regex -- colour codes begin with the escape character
    .replace(/\x1b\[[0-9;]*[A-Za-z]/g, "");
}

function oneLine(text: string): string {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").slice(0, 3).join(" ");
}
