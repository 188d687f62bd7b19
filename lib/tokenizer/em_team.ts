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

/**
 * The work as it is sent to a thread: numbers and buffers. Deno lists every index of a typed array that crosses threads,
 * which takes 11 bytes of heap for each byte of it; of a buffer there is nothing to list.
 */
export type SentWork =
  & Pick<TeamWork, "partitions">
  & Pick<Words, "count" | "total">
  & { readonly [array in keyof TeamArrays]: SharedArrayBuffer };

type TeamArrays =
  & Pick<Words, "lengths" | "frequencies">
  & ArcStore
  & Pick<TeamWork, "scores" | "sums" | "objectives">;

/** Opens the work that was sent. */
export function openWork({ count, total, partitions, ...sent }: SentWork): TeamWork {
  return {
    words: {
      count,
      total,
      lengths: new Int32Array(sent.lengths),
      frequencies: new Float32Array(sent.frequencies),
    },
    store: {
      bases: new Int32Array(sent.bases),
      first: new Int32Array(sent.first),
      ids: new Int32Array(sent.ids),
      spans: new Uint16Array(sent.spans),
    },
    partitions,
    scores: new Float32Array(sent.scores),
    sums: new Float32Array(sent.sums),
    objectives: new Float32Array(sent.objectives),
  };
}

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
  const sent: SentWork = {
    count: words.count,
    total: words.total,
    lengths: shared(words.lengths),
    frequencies: shared(words.frequencies),
    bases: shared(store.bases),
    first: shared(store.first),
    ids: shared(store.ids),
    spans: shared(store.spans),
    partitions,
    scores: new SharedArrayBuffer(4 * seeds),
    sums: new SharedArrayBuffer(4 * seeds * partitions),
    objectives: new SharedArrayBuffer(4 * partitions),
  };
  const work = openWork(sent);
  const file = new URL(ownFile("em_team").replace(/em_team(\.[jt]s)$/, "em_worker_entry$1"));
  const workers = Array.from(
    { length: size - 1 },
    () => new Worker(file, { workerData: { task: teamTask, work: sent } }),
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

/** The memory of an array if threads share it already, else a copy that they do. */
function shared(
  { buffer, byteOffset, byteLength }: Int32Array | Uint16Array | Float32Array,
): SharedArrayBuffer {
  if (buffer instanceof SharedArrayBuffer && buffer.byteLength === byteLength) return buffer;
  const copy = new SharedArrayBuffer(byteLength);
  new Uint8Array(copy).set(new Uint8Array(buffer, byteOffset, byteLength));
  return copy;
}
