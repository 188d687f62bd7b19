/**
 * Which shard a process is, by what the schedulers that start many of them put into the environment: Slurm job arrays and
 * steps, Kubernetes indexed jobs, Open MPI, MPICH and Intel MPI. Source: the manuals of sbatch, srun, Kubernetes jobs,
 * and mpirun.
 */

/**
 * Place of a process among those that share a corpus.
 *
 * @example
 * ```ts
 * import type { Shard } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shard: Shard = { shard_index: 2, shard_count: 8, source: "flags" };
 * assert.equal(shard.shard_index, 2);
 * ```
 */
export type Shard = {
  /** From 0. */
  readonly shard_index: number;
  /** Number of shards. */
  readonly shard_count: number;
  /** Where the numbers come from: `"flags"`, `"SLURM_ARRAY_TASK_ID"`... or `"none"`. */
  readonly source: string;
};

/** Variables of index and count; `first`, `last` and `step` are those of arrays that do not count from 0 by 1. */
const SOURCES: readonly { index: string; count?: string; first?: string; last?: string; step?: string }[] = [
  {
    index: "SLURM_ARRAY_TASK_ID",
    count: "SLURM_ARRAY_TASK_COUNT",
    first: "SLURM_ARRAY_TASK_MIN",
    last: "SLURM_ARRAY_TASK_MAX",
    step: "SLURM_ARRAY_TASK_STEP",
  },
  { index: "JOB_COMPLETION_INDEX" }, // Kubernetes tells no count
  { index: "OMPI_COMM_WORLD_RANK", count: "OMPI_COMM_WORLD_SIZE" },
  { index: "PMI_RANK", count: "PMI_SIZE" },
  { index: "SLURM_PROCID", count: "SLURM_NTASKS" },
];

/**
 * The shard of this process: flags first, then Slurm, Kubernetes and MPI. Of an array with fewer tasks than `shard_count`
 * the numbers are the shards: it repeats some of a run.
 *
 * @param environment Variables, such as `process.env`.
 * @param flags `shard_index` and `shard_count` where they were given.
 * @returns The shard; 0 of 1 when nothing says otherwise.
 * @throws {RangeError} When an index is known and the count is not.
 * @example
 * ```ts
 * import { shardOf } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const array = { SLURM_ARRAY_TASK_ID: "12", SLURM_ARRAY_TASK_MIN: "10", SLURM_ARRAY_TASK_COUNT: "4" };
 * assert.deepEqual(shardOf(array), { shard_index: 2, shard_count: 4, source: "SLURM_ARRAY_TASK_ID" });
 * assert.equal(shardOf({ JOB_COMPLETION_INDEX: "3" }, { shard_count: 5 }).shard_index, 3);
 * ```
 */
export function shardOf(
  environment: Readonly<Record<string, string | undefined>>,
  { shard_index, shard_count }: {
    readonly shard_index?: number | undefined;
    readonly shard_count?: number | undefined;
  } = {},
): Shard {
  if (shard_count === 1 && shard_index === undefined) return { shard_index: 0, shard_count, source: "flags" };
  if (shard_index !== undefined && shard_count !== undefined) {
    return { shard_index, shard_count, source: "flags" };
  }
  const number = (name: string | undefined): number | undefined => {
    const text = name === undefined ? undefined : environment[name];
    return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
  };
  for (const { index, count, first, last, step } of SOURCES) {
    const found = number(index);
    if (found === undefined) continue;
    const [from, by, tasks, end] = [number(first) ?? 0, number(step) ?? 1, number(count), number(last)];
    const holes = tasks !== undefined && end !== undefined && end !== from + by * (tasks - 1);
    if (holes && shard_count === undefined) {
      throw new RangeError(
        `Cannot tell the shard: the array has ${tasks} tasks from ${from} to ${end}, which are not all of a run; give ` +
          "--shard_count, the number of shards of the whole run: the numbers of the tasks are the shards then",
      );
    }
    // Fewer tasks than shards repeat some of a run, by their numbers.
    const all = shard_count === undefined || tasks === undefined || tasks === shard_count && !holes;
    const place = shard_index ?? (all ? (found - from) / by : found);
    const of = shard_count ?? tasks;
    if (of !== undefined) return { shard_index: place, shard_count: of, source: index };
    throw new RangeError(
      `Cannot tell the number of shards: ${index} is ${found}, but nothing says how many there are; give ` +
        "--shard_count (1 to make everything here)",
    );
  }
  if (shard_index === undefined && shard_count === undefined) {
    return { shard_index: 0, shard_count: 1, source: "none" };
  }
  throw new RangeError(
    `Cannot tell the shard: ${
      shard_index === undefined ? "shard_count" : "shard_index"
    } is given alone; give ` +
      "--shard_index and --shard_count",
  );
}
