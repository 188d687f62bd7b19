/**
 * The way of frames into the pipe to the XLA process. A write costs the caller as much as making ten frames, so small
 * ones are joined: all that a step sends before it runs, and what the step before it gave back, are one write.
 */
import { setTimeout } from "node:timers";
import { frameOf } from "./messages.ts";

/** Sends frames in their order. */
export type Sender = {
  /** Sends at the end of this turn of promises. */
  readonly now: (parts: readonly Uint8Array[]) => void;
  /** Sends with the next frame that is sent at once, or else in a few milliseconds. */
  readonly soon: (parts: readonly Uint8Array[]) => void;
  /** Gives values back, soon, as one message. */
  readonly release: (buffers: readonly number[], programs: readonly number[]) => void;
};

/** Bytes up to which frames are joined; more are sent at once, for they take their time. */
const joined = 1 << 16;

/** Milliseconds that frames wait for one that takes them along; a turn of the event loop for each would cost as much. */
const patience = 5;

/** What frames are written to. */
export type Pipe = { readonly write: (part: Uint8Array) => unknown; readonly destroyed: boolean };

/** Sends frames into a pipe. */
export function makeSender(pipe: Pipe): Sender {
  let queue: Uint8Array[] = [];
  let bytes = 0;
  let [asked, planned] = [false, false];
  let freed: { readonly buffers: number[]; readonly programs: number[] } = { buffers: [], programs: [] };
  const put = (parts: readonly Uint8Array[]): void => {
    for (const part of parts) {
      queue.push(part);
      bytes += part.length;
    }
  };
  const putFreed = (): void => {
    if (freed.buffers.length === 0 && freed.programs.length === 0) return;
    put(frameOf({ kind: "release", ...freed }));
    freed = { buffers: [], programs: [] };
  };
  const flush = (): void => {
    putFreed();
    const [parts, total] = [queue, bytes];
    [queue, bytes, asked] = [[], 0, false];
    if (pipe.destroyed || total === 0) return;
    if (total > joined) parts.forEach((part) => pipe.write(part));
    else pipe.write(Buffer.concat(parts, total));
  };
  const atOnce = (): void => {
    if (!asked) queueMicrotask(flush);
    asked = true;
  };
  const later = (): void => {
    if (bytes > joined) return atOnce();
    if (planned) return;
    planned = true;
    setTimeout(() => {
      planned = false;
      flush();
    }, patience).unref();
  };
  return {
    now: (parts) => {
      putFreed(); // before what is asked now: its memory may be needed
      put(parts);
      atOnce();
    },
    soon: (parts) => {
      putFreed();
      put(parts);
      later();
    },
    release: (buffers, programs) => {
      freed.buffers.push(...buffers);
      freed.programs.push(...programs);
      later();
    },
  };
}
