/**
 * Work spread over threads. `node:worker_threads` exists in Deno and Node alike, and a thread loads the same sources, or
 * the same CommonJS copy, as its parent. A thread that fails or dies ends the run with a clear error; what was finished
 * stays on disk.
 */
import { Worker } from "node:worker_threads";
import { CorruptFileError } from "../formats/mod.ts";
import { ownFile } from "../own_file.ts";
import type { SpmVersion } from "../tokenizer/mod.ts";
import type { RecordsConfig, ReportedFile } from "./config.ts";
import { type StreamSetting, streamSteps, type StreamTask } from "./stream_work.ts";
import type { PartCounts } from "./stream_runs.ts";

/** What a thread is started with. */
export type WorkerStart = {
  readonly task: "albert-guide records";
  readonly config: RecordsConfig;
  readonly tokenizerFile: string;
  readonly style: "sentencepiece" | "wordpiece";
  readonly spm_version: SpmVersion;
  readonly piecesSha256: string;
  readonly runBytes: number;
  /** Size of the tokenizer, which decides how large the heap of a thread must be. */
  readonly pieces: number;
  /** One 32-bit word; a thread ends its task early when it is 1. */
  readonly stop: SharedArrayBuffer;
};

/** What a thread says. */
export type WorkerReply =
  | { readonly kind: "progress"; readonly done: number }
  | { readonly kind: "done"; readonly result: PartCounts | ReportedFile }
  | {
    readonly kind: "failed";
    readonly name: string;
    readonly message: string;
    readonly place?: CorruptFileError["place"];
  };

/** Runs tasks and calls back with the number of each finished one. */
export type Pool = {
  readonly run: (
    tasks: readonly StreamTask[],
    onDone: (task: number, result: PartCounts | ReportedFile) => void,
    onProgress: (done: number) => void,
  ) => Promise<void>;
  readonly close: () => Promise<void>;
};

/** The tasks of one process, one after the other. */
export function soloPool(
  setting: StreamSetting,
  breathe: () => Promise<void> | undefined,
  signal: AbortSignal | undefined,
): Pool {
  return {
    run: async (tasks, onDone, onProgress) => {
      for (const [number, task] of tasks.entries()) {
        const steps = streamSteps(setting, task);
        try {
          for (;;) {
            const step = steps.next();
            if (step.done) {
              onDone(number, step.value);
              break;
            }
            if (step.value > 0) onProgress(step.value);
            if (signal?.aborted) throw signal.reason;
            const pause = breathe();
            if (pause !== undefined) await pause;
          }
        } finally {
          steps.return(undefined as never); // stopped: its temporary file goes
        }
      }
    },
    close: () => Promise.resolve(),
  };
}

/** Threads that take the next task when they are free. */
export function workerPool(
  count: number,
  start: Omit<WorkerStart, "stop">,
  signal: AbortSignal | undefined,
): Pool {
  const stop = new SharedArrayBuffer(4);
  const file = new URL(
    ownFile("stream_workers").replace(/stream_workers(\.[jt]s)$/, "stream_worker_entry$1"),
  );
  // A heap grows towards its limit before it is cleaned; pieces are the only part of it that a user makes larger.
  const resourceLimits = {
    maxYoungGenerationSizeMb: 4,
    maxOldGenerationSizeMb: 24 + Math.ceil(start.pieces / 500),
  };
  const workers = Array.from(
    { length: count },
    () => new Worker(file, { workerData: { ...start, stop }, resourceLimits }),
  );
  const busy = new Map<Worker, () => void>(); // how to tell `close` that the thread is free
  /** Lets threads leave their tasks, so that none still writes when the next run begins. */
  const close = async (): Promise<void> => {
    Atomics.store(new Int32Array(stop), 0, 1);
    await Promise.all([...busy.keys()].map((worker) =>
      new Promise<void>((free) => {
        const timer = setTimeout(free, 10_000);
        busy.set(worker, () => {
          clearTimeout(timer);
          free();
        });
      })
    ));
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  return {
    close,
    run: (tasks, onDone, onProgress) =>
      new Promise((resolve, reject) => {
        let next = 0;
        let open = tasks.length;
        const abort = (): void => reject(signal?.reason);
        if (signal?.aborted) return abort();
        if (open === 0) return resolve();
        signal?.addEventListener("abort", abort, { once: true });
        for (const worker of workers) {
          let number = -1;
          const give = (): void => {
            number = next++;
            const task = tasks[number];
            if (task === undefined) return;
            busy.set(worker, () => {});
            worker.postMessage(task);
          };
          const free = (): void => {
            busy.get(worker)?.();
            busy.delete(worker);
          };
          worker.removeAllListeners();
          worker.on("message", (reply: WorkerReply) => {
            if (reply.kind === "progress") return onProgress(reply.done);
            free();
            if (reply.kind === "failed") return reject(failure(reply));
            onDone(number, reply.result);
            if (--open === 0) {
              signal?.removeEventListener("abort", abort);
              resolve();
            } else give();
          });
          worker.on("error", (error) => {
            free();
            reject(died(tasks[number], error.message));
          });
          worker.on("exit", (code) => {
            free();
            reject(died(tasks[number], `it ended with code ${code}`));
          });
          give();
        }
      }),
  };
}

function failure({ name, message, place }: Extract<WorkerReply, { kind: "failed" }>): Error {
  if (name === "CorruptFileError" && place !== undefined) return new CorruptFileError(message, place);
  return name === "RangeError" ? new RangeError(message) : new Error(message);
}

const died = (task: StreamTask | undefined, reason: string): Error =>
  new Error(
    `Cannot make ${
      task?.path ?? "records"
    }: a worker died: ${reason}; finished parts are kept, run the same ` +
      "command again, with fewer --workers if memory is short",
  );
