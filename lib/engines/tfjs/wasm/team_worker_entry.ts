/** A thread of a team: keeps an instance of each program, and runs them when the first thread says so. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { power } from "./power.ts";
import { commands, type TeamMessage, type TeamStart, words } from "./team.ts";

type Run = (constants: number, arena: number) => void;

function serve({ memory, words: address, thread }: TeamStart): void {
  const shared = memory as WebAssembly.Memory;
  const state = new Int32Array(shared.buffer, address, words.all);
  const programs = new Map<number, Run>();
  const constant = (value: number): WebAssembly.Global =>
    new WebAssembly.Global({ value: "i32", mutable: false }, value);
  const imports = { e: { m: shared, p: power, t: constant(thread), c: constant(address) } };
  /** Runs what is asked, until it is asked to listen. */
  const work = (seen: number): void => {
    for (let count = seen;;) {
      Atomics.wait(state, words.command, count);
      const now = Atomics.load(state, words.command);
      if (now === count) continue;
      count = now;
      if (Atomics.load(state, words.kind) === commands.listen) return;
      const [id, constants, arena] = [state[words.id], state[words.constants], state[words.arena]];
      programs.get(id as number)?.(constants as number, arena as number);
    }
  };
  parentPort?.on("message", (message: TeamMessage) => {
    if (message.kind === "load") {
      const instance = new WebAssembly.Instance(message.module as WebAssembly.Module, imports);
      programs.set(message.id, instance.exports["run"] as Run);
    } else programs.delete(message.id);
    const seen = Atomics.load(state, words.command); // before the answer: what comes after it counts
    parentPort?.postMessage("done");
    setTimeout(() => work(seen), 0); // the answer leaves first
  });
}

if (!isMainThread && (workerData as TeamStart | undefined)?.task === "albert-guide kernels") {
  serve(workerData as TeamStart);
}
