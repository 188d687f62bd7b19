/**
 * The threads that share our kernels: each has an instance of every program on one shared memory and runs it with a number
 * of its own. Between programs they sleep on a word of that memory. The thread that owns the engine is the first of them.
 */
import { Worker } from "node:worker_threads";
import { ownFile } from "../../../own_file.ts";

/** What a thread is started with. */
export type TeamStart = {
  readonly task: "albert-guide kernels";
  readonly memory: object;
  /** Address of the team's words. */
  readonly words: number;
  readonly thread: number;
};

/** What a thread is asked while it listens. */
export type TeamMessage =
  | { readonly kind: "load"; readonly id: number; readonly module: object }
  | { readonly kind: "unload"; readonly id: number };

/**
 * The team's words, by their place: two of the barrier, then the count of commands, the last command, and what it is for.
 */
export const words = { barrier: 0, command: 2, kind: 3, id: 4, constants: 5, arena: 6, all: 8 } as const;

/** Commands: run a program, or listen to messages. */
export const commands = { run: 0, listen: 1 } as const;

/** Threads of one memory. */
export type Team = {
  /** How many they are, the first included. */
  readonly size: number;
  /** Gives a program to the others; returns its number. */
  readonly load: (module: object) => Promise<number>;
  readonly unload: (id: number) => void;
  /**
   * Runs a program in all threads: `own` does this thread's part, between the command and its end nothing else happens. At
   * once, or in its turn behind what is being loaded or waits.
   */
  readonly run: (id: number, own: (start: (constants: number, arena: number) => void) => void) =>
    | Promise<void>
    | undefined;
  readonly close: () => Promise<void>;
};

/**
 * Makes a team; the threads start with the first program.
 *
 * @param memory A shared WebAssembly.Memory; typed loosely, because declarations are read where that name is unknown.
 * @param address Of the team's words.
 * @param size Threads, this one included.
 */
export function makeTeam(memory: object, address: number, size: number): Team {
  const state = new Int32Array((memory as WebAssembly.Memory).buffer, address, words.all);
  const loaded = new Map<number, object>();
  let others: readonly Worker[] = [];
  let listening = true;
  let next = 1;
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const command = (kind: number): void => {
    Atomics.store(state, words.kind, kind);
    Atomics.add(state, words.command, 1);
    Atomics.notify(state, words.command);
  };
  const begin = (): void => {
    const file = ownFile("team").replace(/team(\.[jt]s)$/, "team_worker_entry$1");
    others = Array.from({ length: size - 1 }, (_, i) => {
      const workerData: TeamStart = { task: "albert-guide kernels", memory, words: address, thread: i + 1 };
      const worker = new Worker(new URL(file), { workerData });
      worker.unref();
      return worker;
    });
    listening = true;
  };
  const tell = (message: TeamMessage): Promise<unknown> =>
    Promise.all(others.map((worker) =>
      new Promise<void>((resolve, reject) => {
        worker.ref();
        const done = (): void => {
          worker.off("error", failed);
          worker.unref();
          resolve();
        };
        const failed = (error: unknown): void => {
          worker.off("message", done);
          reject(error instanceof Error ? error : new Error(String(error)));
        };
        worker.once("message", done);
        worker.once("error", failed);
        worker.postMessage(message);
      })
    ));
  const inTurn = (action: () => void | Promise<void>): Promise<void> => {
    waiting++;
    const done = turn.then(action).finally(() => waiting--);
    turn = done.catch(() => {});
    return done;
  };
  const talk = (message: TeamMessage): Promise<void> =>
    inTurn(async () => {
      if (others.length === 0) {
        begin();
        for (const [id, module] of loaded) await tell({ kind: "load", id, module });
      }
      if (!listening) command(commands.listen);
      await tell(message);
      listening = false;
    });
  const go = (id: number, constants: number, arena: number): void => {
    state[words.id] = id;
    state[words.constants] = constants;
    state[words.arena] = arena;
    command(commands.run);
  };
  return {
    size,
    load: async (module) => {
      const id = next++;
      await talk({ kind: "load", id, module });
      loaded.set(id, module);
      return id;
    },
    unload: (id) => {
      loaded.delete(id);
      if (others.length > 0) talk({ kind: "unload", id }).catch(() => {});
    },
    run: (id, own) => {
      const module = loaded.get(id);
      if (others.length === 0 && module !== undefined) talk({ kind: "load", id, module }).catch(() => {}); // after close()
      const both = (): void => own((constants, arena) => go(id, constants, arena));
      return waiting === 0 ? both() as undefined : inTurn(both);
    },
    close: async () => {
      await turn;
      const ending = others;
      others = [];
      await Promise.all(ending.map((worker) => worker.terminate()));
    },
  };
}
