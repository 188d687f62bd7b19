/**
 * A process that compiles programs for the process that runs them. The compiler leaves the heap of its process in
 * thousands of pieces, and glibc then looks long for a place for every block that a step's products take: a step of a
 * process that has compiled takes a sixth longer than that of a process that loads the same program. It also keeps some
 * hundred megabytes, and a compiler that dies takes no values along.
 */
import { setTimeout } from "node:timers";
import type { Signature } from "./pjrt_client.ts";
import { startSession } from "./session.ts";
import type { Session, SessionOptions } from "./session.ts";

/** Compiles for another process. */
export type Compiler = {
  /** Machine code that the other process loads. */
  readonly make: (text: Uint8Array, signature: Signature) => Promise<Uint8Array>;
  /** The number of its process, while there is one. */
  readonly pid: () => number | undefined;
  readonly close: () => Promise<void>;
};

/** Milliseconds that the process waits for another program. */
const patience = 1000;

/**
 * A compiler whose process starts with the first program and ends some time after the last.
 *
 * @param options Those of the process that runs the programs: its plugin, threads, devices and folder of programs.
 */
export function makeCompiler(options: SessionOptions): Compiler {
  let session: Session | undefined;
  let waiting = 0;
  let end: ReturnType<typeof setTimeout> | undefined;
  const close = async (): Promise<void> => {
    clearTimeout(end);
    const ending = session;
    session = undefined;
    await ending?.close();
  };
  return {
    make: async (text, signature) => {
      clearTimeout(end);
      waiting++;
      try {
        if (session === undefined || session.death() !== undefined) {
          session = startSession({ ...options, purpose: "compile" });
        }
        await session.opened;
        return (await session.ask({ kind: "make", signature }, text)).bytes;
      } finally {
        if (--waiting === 0) end = setTimeout(() => void close(), patience).unref();
      }
    },
    pid: () => session?.death() === undefined ? session?.pid : undefined,
    close,
  };
}
