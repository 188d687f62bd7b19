/**
 * Saves checkpoints while training goes on: the values are handed to a thread that hashes, writes and verifies them. One
 * save at a time: the next one waits for it, so that a slow disk slows the run and never fills the memory.
 */
import { Worker } from "node:worker_threads";
import { ownFile } from "../own_file.ts";
import { type PackedCheckpoint, writeCheckpoint } from "./checkpoint_files.ts";

/** Marks the thread that saves. */
export const saveTask = "albert-guide save";

/** What the thread says. */
export type SaveReply =
  | { readonly kind: "saved"; readonly path: string }
  | { readonly kind: "failed"; readonly message: string };

/** Saves in the background. */
export type Saver = {
  /**
   * Takes over a checkpoint, whose arrays must not be used again, as soon as the one before is written. With `last` it
   * returns when this one is written.
   */
  readonly save: (packed: PackedCheckpoint, options: { readonly last: boolean }) => Promise<void>;
  /** Throws why a save failed, if one did. */
  readonly check: () => void;
  /** Waits for the save that runs, whatever comes of it, and ends the thread. */
  readonly close: () => Promise<void>;
};

/** The memory of the tensors, which moves to the thread instead of being copied. */
function memoryOf({ files }: PackedCheckpoint): ArrayBuffer[] {
  return files.flatMap(({ content }) =>
    "bytes" in content ? [] : Object.values(content.tensors).map(({ data }) => data.buffer as ArrayBuffer)
  );
}

type Thread = {
  readonly send: (packed: PackedCheckpoint) => Promise<string>;
  readonly end: () => Promise<void>;
};

/** The file of this module; none in a bundle, from which no thread can be started. */
function ownFileIfAny(): string | undefined {
  try {
    return ownFile("saver");
  } catch {
    return undefined;
  }
}

/** The thread, or in a bundle this one: saving then holds up the training. */
function startThread(): Thread {
  const own = ownFileIfAny();
  if (own === undefined) {
    return {
      send: (packed) => new Promise((path) => path(writeCheckpoint(packed))),
      end: () => Promise.resolve(),
    };
  }
  const file = new URL(own.replace(/saver(\.[jt]s)$/, "save_worker_entry$1"));
  const worker = new Worker(file, { workerData: { task: saveTask } });
  let waiting: { readonly path: (path: string) => void; readonly error: (error: Error) => void } | undefined;
  let death: Error | undefined;
  const died = (reason: string): void => {
    death = new Error(`Cannot save the checkpoint: the thread that saves died: ${reason}`);
    waiting?.error(death);
  };
  worker.on("message", (reply: SaveReply) => {
    if (reply.kind === "saved") waiting?.path(reply.path);
    else waiting?.error(new Error(reply.message));
  });
  worker.on("error", (error) => died(error.message));
  worker.on("exit", (code) => died(`it ended with code ${code}`));
  return {
    send: (packed) =>
      new Promise((path, error) => {
        waiting = { path, error };
        if (death === undefined) worker.postMessage(packed, memoryOf(packed));
        else error(death);
      }),
    end: async () => void await worker.terminate(),
  };
}

/** Opens a saver; its thread starts with the first save that is not the last one. */
export function openSaver(onSaved: (path: string) => void): Saver {
  let thread: Thread | undefined;
  let running: Promise<void> = Promise.resolve();
  let failure: Error | undefined;
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };
  return {
    check,
    save: async (packed, { last }) => {
      await running;
      check();
      if (last && thread === undefined) return onSaved(writeCheckpoint(packed));
      thread ??= startThread();
      running = thread.send(packed).then(onSaved, (error: Error) => void (failure = error));
      if (!last) return;
      await running;
      check();
    },
    close: async () => {
      await running;
      await thread?.end();
    },
  };
}
