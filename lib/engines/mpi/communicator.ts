/**
 * Processes that work together: who they are and how they add up. MPI's launchers start them (mpirun, srun, Kubernetes'
 * MPI operator), nothing here does.
 */
import { openMpi } from "./library.ts";

/**
 * The processes of a job.
 *
 * @example
 * ```ts
 * import { alone, type Communicator } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const world: Communicator = alone();
 * const values = Float32Array.of(1, 2);
 * world.sum(values);
 * assert.deepEqual([world.rank, world.size, ...values], [0, 1, 1, 2]);
 * ```
 */
export type Communicator = {
  /** This process, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** What carries the messages. */
  readonly name: string;
  /** Adds up over all processes, in place; every process must call it, with equally many values. */
  readonly sum: (values: Float32Array | Float64Array) => void;
  /** Waits for all. */
  readonly barrier: () => void;
  /** Ends every process of the job at once. */
  readonly abort: (code: number) => void;
  /** Leaves the job; nothing may be called afterwards. */
  readonly finalize: () => void;
};

/**
 * One process alone.
 *
 * @returns A communicator of one.
 * @example
 * ```ts
 * import { alone } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(alone().size, 1);
 * ```
 */
export const alone = (): Communicator => ({
  rank: 0,
  size: 1,
  name: "one process",
  sum: () => {},
  barrier: () => {},
  abort: () => {},
  finalize: () => {},
});

type Environment = Readonly<Record<string, string | undefined>>;

/** Libraries by the launcher that started this process; the first that loads is taken. */
function candidates(environment: Environment): readonly string[] {
  const own = environment["ALBERT_MPI_LIBRARY"];
  if (own !== undefined && own !== "") return [own];
  const openMpi = ["libmpi.so.40", "libmpi.so"];
  const mpich = ["libmpi_abi.so.1", "libmpich.so.12", "libmpi.so.12", "libmpich.so"];
  if (environment["OMPI_COMM_WORLD_SIZE"] !== undefined || environment["PMIX_RANK"] !== undefined) {
    return openMpi;
  }
  return environment["PMI_RANK"] !== undefined ? mpich : [...openMpi, ...mpich];
}

/**
 * Whether a launcher of MPI started this process as one of several.
 *
 * @param environment Variables, such as `process.env`.
 * @example
 * ```ts
 * import { isLaunched } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([isLaunched({ OMPI_COMM_WORLD_SIZE: "2" }), isLaunched({})], [true, false]);
 * ```
 */
export function isLaunched(environment: Environment): boolean {
  const size = environment["OMPI_COMM_WORLD_SIZE"] ?? environment["PMI_SIZE"] ??
    (environment["PMIX_RANK"] === undefined ? undefined : environment["SLURM_NTASKS"]);
  return Number(size ?? 1) > 1;
}

/**
 * Joins the job that this process was started in.
 *
 * @param environment Variables, such as `process.env`; `ALBERT_MPI_LIBRARY` names a library.
 * @returns The processes; without a launcher it is one.
 * @throws {Error} When no library of MPI can be loaded, or it is of another launcher: what to install or name.
 * @example
 * ```ts
 * import { isLaunched, joinMpi } from "albert-guide";
 * import process from "node:process";
 *
 * if (isLaunched(process.env)) {
 *   const world = await joinMpi(process.env);
 *   world.barrier();
 *   world.finalize();
 * }
 * ```
 */
export async function joinMpi(environment: Environment): Promise<Communicator> {
  const tried: string[] = [];
  for (const path of candidates(environment)) {
    try {
      return joined(await openMpi(path), environment);
    } catch (error) {
      const [reason = ""] = String(error instanceof Error ? error.message : error).split("\n");
      if (/^Cannot (join|use|go on)/.test(reason)) throw error;
      tried.push(`${path}: ${reason}`);
    }
  }
  throw new Error(
    "Cannot join the other processes: no library of MPI can be loaded; install Open MPI (libopenmpi3) or MPICH, or name " +
      `the library by ALBERT_MPI_LIBRARY (${tried.join("; ")})`,
  );
}

function joined(mpi: Awaited<ReturnType<typeof openMpi>>, environment: Environment): Communicator {
  const { rank, size } = mpi;
  const expected = Number(environment["OMPI_COMM_WORLD_SIZE"] ?? environment["PMI_SIZE"] ?? size);
  if (size !== expected) {
    throw new Error(
      `Cannot join the other processes: the launcher started ${expected}, ${mpi.version} sees ${size}; ` +
        "the library is another one than the launcher's: name the right one by ALBERT_MPI_LIBRARY",
    );
  }
  const { sum, barrier, abort, finalize, version } = mpi;
  return { rank, size, name: version, sum, barrier, abort, finalize };
}
