/**
 * The counting of EM spread over threads. The partitions of spm_train's threads have sums of their own, so who counts which
 * of them changes nothing; they are added up in order here. Words, arcs and sums lie in shared memory.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { ownFile } from "../own_file.ts";
import { type ArcStore, wordLoader } from "./arcs.ts";
import { countPartition, type Team } from "./em.ts";
import { runSteps } from "./pace.ts";
import type { Words } from "./words.ts";

/** Marks the threads. */
export const teamTask = "albert-guide unigram";

/** What a thread works on; all arrays are shared. */
export type TeamWork = {
  readonly words: Pick<Words, "count" | "lengths" | "frequencies" | "total">;
  readonly store: ArcStore;
  readonly partitions: number;
  /** Scores of the pieces of this round. */
  readonly scores: Float32Array;
  /** The sums of partition p begin at p * scores.length. */
  readonly sums: Float32Array;
  /** The objective of each partition. */
  readonly objectives: Float32Array;
};

/** What a thread is told: how many pieces there are now, and which partitions are its own. */
export type TeamOrder = { readonly pieces: number; readonly share: readonly number[] };

/** What a thread answers; `error` when it could not. */
export type TeamReply = { readonly error?: string };

const leastPlaces = 300_000; // below, starting a thread takes longer than it saves
const mostBytes = 1 << 28; // of sums

/** How many threads to use: one without a team. */
export function teamSize(
  wished: number | undefined,
  { partitions, places, seeds }: {
    readonly partitions: number;
    readonly places: number;
    readonly seeds: number;
  },
): number {
  if (4 * partitions * seeds > mostBytes) return 1;
  if (wished !== undefined) return Math.min(wished, partitions);
  return places < leastPlaces ? 1 : Math.min(availableParallelism(), partitions);
}

/** The sums of one partition, in steps. */
export function* countShared(
  { words, store, partitions, scores, sums, objectives }: TeamWork,
  { pieces, share }: TeamOrder,
): Generator<void, void> {
  const lattice = wordLoader(scores.subarray(0, pieces), words, store);
  for (const partition of share) {
    const own = sums.subarray(partition * scores.length, partition * scores.length + pieces).fill(0);
    objectives[partition] = yield* countPartition(lattice, words, { partition, partitions, own });
  }
}

/** Starts the threads; this one is the first of them. */
export function startTeam(
  size: number,
  { words, store, partitions, seeds }: {
    readonly words: Words;
    readonly store: ArcStore;
    readonly partitions: number;
    readonly seeds: number;
  },
): Team {
  const work: TeamWork = {
    words: {
      count: words.count,
      total: words.total,
      lengths: shared(words.lengths, Int32Array),
      frequencies: shared(words.frequencies, Float32Array),
    },
    store,
    partitions,
    scores: new Float32Array(new SharedArrayBuffer(4 * seeds)),
    sums: new Float32Array(new SharedArrayBuffer(4 * seeds * partitions)),
    objectives: new Float32Array(new SharedArrayBuffer(4 * partitions)),
  };
  const file = new URL(ownFile("em_team").replace(/em_team(\.[jt]s)$/, "em_worker_entry$1"));
  const workers = Array.from(
    { length: size - 1 },
    () => new Worker(file, { workerData: { task: teamTask, work } }),
  );
  const shares = Array.from(
    { length: size },
    (_, k) => Array.from({ length: partitions }, (_, p) => p).filter((p) => p % size === k),
  );
  return {
    count: async (pieces, pace) => {
      work.scores.set(pieces.scores);
      const order = (k: number): TeamOrder => ({ pieces: pieces.count, share: shares[k] ?? [] });
      const replies = Promise.all(workers.map((worker, k) => ask(worker, order(k + 1))));
      replies.catch(() => {}); // it is told below, after the own share
      await runSteps(countShared(work, order(0)), pace);
      await replies;
      return (partition) => ({
        own: work.sums.subarray(partition * seeds, partition * seeds + pieces.count),
        objective: work.objectives[partition] as number,
      });
    },
    close: async () => void await Promise.all(workers.map((worker) => worker.terminate())),
  };
}

/** Sends an order and waits for the answer. */
function ask(worker: Worker, order: TeamOrder): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(
        new Error(
          `Cannot train the tokenizer: a thread died: ${reason}; set workers to 1 to do without threads`,
        ),
      );
    worker.removeAllListeners();
    worker.on("message", ({ error }: TeamReply) => error === undefined ? resolve() : fail(error));
    worker.on("error", (error) => fail(error.message));
    worker.on("exit", (code) => fail(`it ended with code ${code}`));
    worker.postMessage(order);
  });
}

function shared<T extends Int32Array | Float32Array>(
  array: T,
  kind: new (buffer: SharedArrayBuffer) => T,
): T {
  const copy = new kind(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}
