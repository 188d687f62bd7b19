/**
 * How the threads of a team share a kernel: each walks its part of one axis, which is chosen so that every element and every
 * sum is computed by one thread in the order in which one alone computes it. So results do not depend on their number.
 */
import { functionBuilder } from "./assembler.ts";
import type { FunctionBuilder } from "./assembler.ts";

/** Elements below which a kernel is left to the first thread: the others would wait longer than they help. */
export const worthSharing: number = 1 << 12;

/** Pushes nothing; sets two locals: where this thread's part of `count` begins, and how much it is. */
export function ownShare(f: FunctionBuilder, count: number, team: number): { from: number; share: number } {
  const [from, share] = [f.local("i32"), f.local("i32")];
  const border = (next: number): void => {
    f.i32(count);
    f.global("thread");
    f.i32(next);
    f.emit("add", "mul");
    f.i32(team);
    f.emit("divU");
  };
  border(0);
  f.set(from);
  border(1);
  f.get(from);
  f.emit("sub");
  f.set(share);
  return { from, share };
}

/** Moves a local by `steps` (a local) times so many bytes. */
export function moveBy(f: FunctionBuilder, local: number, steps: number, bytes: number): void {
  if (bytes === 0) return;
  f.get(local, steps);
  f.i32(bytes);
  f.emit("mul", "add");
  f.set(local);
}

/** Writes a body that only the first thread runs. */
export function firstOnly(f: FunctionBuilder, body: () => void): void {
  f.global("thread");
  f.emit("eqz");
  f.when(body);
}

/** Times that a thread looks before it sleeps, and seconds after which one that does not come is given up. */
const [looks, patience] = [20_000, 300];

/**
 * A function without parameters in which each thread waits for all others. Words of the team: how many have come, and how
 * often all have.
 */
export function barrier(team: number): number[] {
  const f = functionBuilder(0);
  const [round, left] = [f.local("i32"), f.local("i32")];
  const atomic = (code: number, offset: number): void => f.raw(0xfe, code, 2, offset);
  const sameRound = (): void => {
    f.global("words");
    atomic(0x10, 4); // load
    f.get(round);
    f.emit("sub", "eqz");
  };
  f.global("words");
  atomic(0x10, 4);
  f.set(round);
  f.global("words");
  f.i32(1);
  atomic(0x1e, 0); // add
  f.i32(team - 1);
  f.emit("sub", "eqz");
  f.raw(0x04, 0x40); // if: the last one
  f.global("words");
  f.i32(0);
  atomic(0x17, 0); // store
  f.global("words");
  f.i32(1);
  atomic(0x1e, 4);
  f.raw(0x1a);
  f.global("words");
  f.i32(team);
  atomic(0x00, 4); // notify
  f.raw(0x1a, 0x05, 0x02, 0x40); // drop, else, block
  f.i32(looks);
  f.set(left);
  f.raw(0x03, 0x40); // loop: look
  sameRound();
  f.emit("eqz");
  f.raw(0x0d, 1); // out of the block
  f.get(left);
  f.i32(1);
  f.emit("sub");
  f.tee(left);
  f.raw(0x0d, 0, 0x0b);
  f.raw(0x03, 0x40); // loop: sleep
  sameRound();
  f.emit("eqz");
  f.raw(0x0d, 1);
  f.global("words");
  f.get(round);
  f.raw(0x42, ...signed64(patience * 1e9));
  atomic(0x01, 4); // wait
  f.i32(2);
  f.emit("sub", "eqz");
  f.raw(0x04, 0x40, 0x00, 0x0b); // if it took too long: unreachable
  f.raw(0x0c, 0, 0x0b, 0x0b, 0x0b); // again; ends of loop, block, if
  return f.finish();
}

function signed64(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt(value);;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if (rest === 0n && (low & 0x40) === 0) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}
