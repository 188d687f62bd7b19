/**
 * Work spread over threads. The thread that starts a run takes tasks as well; `node:worker_threads` exists in Deno and Node
 * alike, and a thread loads the same sources, or the same CommonJS copy, as its parent. A thread that fails or dies ends
 * the run with a clear error; what was finished stays on disk.
 */
import { Worker } from "node:worker_threads";
import { CorruptFileError } from "../formats/mod.ts";
import { ownFile } from "../own_file.ts";
import type { SpmVersion } from "../tokenizer/mod.ts";
import type { RecordsConfig } from "./config.ts";
import { type StreamResult, type StreamSetting, streamSteps, type StreamTask } from "./stream_work.ts";

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
  /** One 32-bit word that the thread counts up while it works. */
  readonly beats: SharedArrayBuffer;
};

/** Tasks for all threads; each takes the next one by counting up the one word of `taken`. */
export type WorkerJob = { readonly tasks: readonly StreamTask[]; readonly taken: SharedArrayBuffer };

/** What a thread says. */
export type WorkerReply =
  | { readonly kind: "begin"; readonly task: number }
  | { readonly kind: "progress"; readonly done: number }
  | { readonly kind: "done"; readonly task: number; readonly result: StreamResult }
  | { readonly kind: "empty" }
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
    onDone: (task: number, result: StreamResult) => void,
    onProgress: (done: number) => void,
  ) => Promise<void>;
  readonly close: () => Promise<void>;
};

/** How this thread takes part. */
export type OwnPart = {
  readonly setting: StreamSetting;
  readonly breathe: () => Promise<void> | undefined;
  readonly signal: AbortSignal | undefined;
};

type Callbacks = {
  readonly onDone: (task: number, result: StreamResult) => void;
  readonly onProgress: (done: number) => void;
};

/** The next task of a job, or none when all are taken. */
export const takeTask = ({ taken }: WorkerJob): number => Atomics.add(new Int32Array(taken), 0, 1);

/**
 * This thread and `others` more. One that is busy and silent for `silence` ms counts as dead: Deno does not tell of a thread
 * that it ended because its heap was full.
 */
export function workerPool(
  own: OwnPart,
  others: number,
  start: Omit<WorkerStart, "stop" | "beats">,
  { silence = 60_000 }: { readonly silence?: number } = {},
): Pool {
  const stop = new SharedArrayBuffer(4);
  const workers = Array.from({ length: others }, () => {
    const beats = new SharedArrayBuffer(4);
    return { thread: startWorker({ ...start, stop, beats }), beats: new Int32Array(beats), silence };
  });
  let busy: Promise<unknown> = Promise.resolve();
  return {
    run: async (tasks, onDone, onProgress) => {
      own.signal?.throwIfAborted();
      const job = { tasks, taken: new SharedArrayBuffer(4) };
      const calls = { onDone, onProgress };
      const theirs = workers.map((worker) => giveJob(worker, job, calls));
      busy = Promise.allSettled(theirs);
      let failed = false;
      const all = Promise.all(theirs);
      all.catch(() => failed = true);
      await takePart(own, job, calls, () => failed);
      await Promise.race([all, aborted(own.signal)]);
    },
    /** Lets threads leave their tasks, so that none still writes when the next run begins. */
    close: async () => {
      Atomics.store(new Int32Array(stop), 0, 1);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([busy, new Promise((late) => timer = setTimeout(late, 10_000))]);
      clearTimeout(timer);
      await Promise.all(workers.map(({ thread }) => thread.terminate()));
    },
  };
}

function startWorker(start: WorkerStart): Worker {
  const file = new URL(
    ownFile("stream_workers").replace(/stream_workers(\.[jt]s)$/, "stream_worker_entry$1"),
  );
  // A heap grows towards its limit before it is cleaned; pieces are the only part of it that a user makes larger.
  const resourceLimits = {
    maxYoungGenerationSizeMb: 4,
    maxOldGenerationSizeMb: 24 + Math.ceil(start.pieces / 500),
  };
  return new Worker(file, { workerData: start, resourceLimits });
}

/** Rejects when the run is stopped, and never else. */
const aborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** Works through tasks in this thread, with pauses, until none is left or another thread failed. */
async function takePart(
  { setting, breathe, signal }: OwnPart,
  job: WorkerJob,
  { onDone, onProgress }: Callbacks,
  failed: () => boolean,
): Promise<void> {
  for (let number = takeTask(job); number < job.tasks.length; number = takeTask(job)) {
    const steps = streamSteps(setting, job.tasks[number]!); // in range
    try {
      for (;;) {
        const step = steps.next();
        if (step.done) {
          onDone(number, step.value);
          break;
        }
        if (step.value > 0) onProgress(step.value);
        if (signal?.aborted) throw signal.reason;
        if (failed()) return;
        const pause = breathe();
        if (pause !== undefined) await pause;
      }
    } finally {
      steps.return(undefined as never); // stopped: its temporary file goes
    }
  }
}

type Helper = { readonly thread: Worker; readonly beats: Int32Array; readonly silence: number };

/** Gives a thread a job; settles when it finds no more task, fails or dies. */
const giveJob = (
  { thread: worker, beats, silence }: Helper,
  job: WorkerJob,
  { onDone, onProgress }: Callbacks,
): Promise<void> => {
  let watch: ReturnType<typeof setInterval> | undefined;
  return new Promise<void>((resolve, reject) => {
    let task: StreamTask | undefined;
    let [beat, since] = [-1, 0];
    watch = setInterval(() => {
      const now = performance.now();
      if (Atomics.load(beats, 0) !== beat) [beat, since] = [Atomics.load(beats, 0), now];
      else if (now - since > silence) {
        reject(
          died(task, `it did nothing for ${Math.round(silence / 1000)} s; its memory may have been full`),
        );
      }
    }, Math.min(1000, silence / 4));
    worker.removeAllListeners();
    worker.on("message", (reply: WorkerReply) => {
      try {
        if (reply.kind === "begin") task = job.tasks[reply.task];
        else if (reply.kind === "progress") onProgress(reply.done);
        else if (reply.kind === "done") onDone(reply.task, reply.result);
        else if (reply.kind === "failed") reject(failure(reply));
        else resolve();
      } catch (error) {
        reject(error);
      }
    });
    worker.on("error", (error) => reject(died(task, error.message)));
    worker.on("exit", (code) => reject(died(task, `it ended with code ${code}`)));
    worker.postMessage(job);
  }).finally(() => clearInterval(watch));
};

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
