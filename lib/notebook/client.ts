/**
 * The conversation with a kernel: its sockets, and which message answers which request. Facts: "Messaging in Jupyter" 5.3.
 */
import type { KernelProcess } from "./process.ts";
import { createWire, type JsonObject, type KernelMessage } from "./wire.ts";
import { connectZmtp, type ZmtpSocket } from "./zmtp.ts";

/** MIME type of the fence, known to nobody else. */
export const fenceMime: string = "application/x.albert-guide-fence";

/** Messages that make up a cell's output. */
const outputTypes: readonly string[] = [
  "stream",
  "display_data",
  "update_display_data",
  "execute_result",
  "error",
  "clear_output",
];

/** What both kernels write when another program has one of the ports; tslab then lives on without answering. */
export function portTaken(words: string): boolean {
  return /address (already )?in use|EADDRINUSE/i.test(words);
}

/** A request under way. */
type Pending = { reply?: KernelMessage; idle: boolean; readonly check: () => void };

/** A kernel that can be asked. */
export type Client = {
  readonly request: (
    type: string,
    content: JsonObject,
  ) => { readonly done: Promise<KernelMessage>; forget: () => void };
  readonly takeOutput: () => KernelMessage[];
  readonly waitForFence: (id: string) => Promise<void>;
  /** Settles with the reason when the kernel is lost. */
  readonly lost: Promise<string>;
  readonly close: () => void;
};

/** Sorts what a kernel sends: replies to their requests, output to its list, fences to whoever waits for them. */
type Inbox = {
  readonly onMessage: (from: "shell" | "iopub") => (frames: readonly Uint8Array[]) => void;
  /** Sends a request through `send` and waits for its reply and its `idle`. */
  readonly request: (
    send: (frames: readonly Uint8Array[]) => void,
    type: string,
    content: JsonObject,
  ) => ReturnType<Client["request"]>;
  readonly takeOutput: Client["takeOutput"];
  readonly waitForFence: Client["waitForFence"];
};

function createInbox(key: string, onDamage: (reason: string) => void): Inbox {
  const wire = createWire(key);
  const pending = new Map<string, Pending>();
  const fences = new Map<string, () => void>();
  let output: KernelMessage[] = [];
  const take = (from: "shell" | "iopub", message: KernelMessage): void => {
    const request = pending.get(message.parent);
    if (from === "shell") {
      if (request && message.type.endsWith("_reply")) request.reply = message;
    } else if (message.type === "status") {
      if (request && message.content["execution_state"] === "idle") request.idle = true;
    } else if (outputTypes.includes(message.type)) {
      const fence = (message.content["data"] as JsonObject | undefined)?.[fenceMime];
      if (fence === undefined) output.push(message);
      else fences.get(String(fence))?.();
    }
    request?.check();
  };
  return {
    onMessage: (from) => (frames) => {
      // A SUB socket's first frame may be a topic; `decode` looks for the delimiter.
      let message: KernelMessage;
      try {
        message = wire.decode(frames);
      } catch (error) {
        return onDamage(error instanceof Error ? error.message : String(error));
      }
      take(from, message);
    },
    request: (send, type, content) => {
      const { id, frames } = wire.encode(type, content);
      const done = new Promise<KernelMessage>((resolve) => {
        const request: Pending = {
          idle: false,
          check: () => request.reply && request.idle && resolve(request.reply),
        };
        pending.set(id, request);
      });
      send(frames);
      return { done, forget: () => pending.delete(id) };
    },
    takeOutput: () => {
      const taken = output;
      output = [];
      return taken;
    },
    waitForFence: (id) =>
      new Promise((resolve) =>
        fences.set(id, () => {
          fences.delete(id);
          resolve();
        })
      ),
  };
}

/** Opens shell, control and iopub; retries while the kernel is not listening yet. */
export async function connectClient(process: KernelProcess, deadline: number): Promise<Client> {
  const sockets: ZmtpSocket[] = [];
  let loseKernel: (reason: string) => void = () => {};
  const lost = new Promise<string>((resolve) => loseKernel = resolve);
  const inbox = createInbox(process.connection.key, (reason) => loseKernel(reason));
  let ended: string | undefined;
  process.ended.then((how) => {
    ended = `the kernel ended with ${how}`;
    loseKernel(ended);
  });
  const onClose = async (reason: Error): Promise<void> => {
    // The process is usually about to end: a moment's patience gives the better reason.
    await Promise.race([process.ended, pause(200)]);
    loseKernel(`the kernel closed a connection${ended ? `: ${ended}` : `: ${reason.message}`}`);
  };
  const open = async (port: number, type: "DEALER" | "SUB", from: "shell" | "iopub"): Promise<ZmtpSocket> => {
    while (true) {
      try {
        const socket = await connectZmtp({ port, type, onMessage: inbox.onMessage(from), onClose });
        sockets.push(socket);
        return socket;
      } catch (error) {
        if (ended !== undefined) throw new Error(ended);
        if (portTaken(process.lastWords())) throw new Error("one of its ports was taken");
        if (performance.now() > deadline) throw new Error("it did not listen in time", { cause: error });
        await pause(20);
      }
    }
  };
  const close = (): void => sockets.forEach((socket) => socket.close());
  const ports = process.connection;
  try {
    const shell = await open(ports.shell_port, "DEALER", "shell");
    await open(ports.control_port, "DEALER", "shell");
    await open(ports.iopub_port, "SUB", "iopub");
    const { takeOutput, waitForFence } = inbox;
    const request: Client["request"] = (type, content) => inbox.request(shell.send, type, content);
    return { lost, close, request, takeOutput, waitForFence };
  } catch (error) {
    close();
    throw error;
  }
}

/** A subscription takes effect some time after it was sent: asks again until an answer's `idle` is heard. */
export async function greet(client: Client, process: KernelProcess, deadline: number): Promise<void> {
  const asked: (() => void)[] = [];
  const answers: Promise<unknown>[] = [];
  let heard = false;
  while (!heard) {
    if (portTaken(process.lastWords())) throw new Error("one of its ports was taken");
    if (performance.now() > deadline) throw new Error("it did not answer in time");
    const { done, forget } = client.request("kernel_info_request", {});
    asked.push(forget);
    answers.push(done.then(() => heard = true));
    const lost = client.lost.then((reason) => Promise.reject(new Error(reason)));
    lost.catch(() => {}); // each round makes one; only the race listens
    await Promise.race([pause(250), lost, ...answers]);
  }
  asked.forEach((forget) => forget());
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
