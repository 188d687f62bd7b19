/**
 * Several processes as one engine, over MPI.
 *
 * @module
 */
export { alone, type Communicator, isLaunched, joinMpi } from "./communicator.ts";
export { mpiEngine, type MpiSignals } from "./engine.ts";
