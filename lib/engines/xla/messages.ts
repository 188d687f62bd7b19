/**
 * What the library and its XLA process say to each other: one frame per message, a head of 16 bytes (mark and version,
 * length of the JSON, length of the bytes behind it) and both parts. Uploads, runs and releases are not answered one by
 * one: the sender names its values itself, goes on, and meets a failure where it reads.
 */
import type { TensorType } from "../../tensor/types.ts";
import type { ProgramMemory, Signature } from "./pjrt_client.ts";

/** First four bytes of a frame: "AX", and the version of this protocol. */
const mark = 0x0005_5841;

/** Bytes before the JSON. */
export const headBytes = 16;

/** Refuse larger parts: no tensor of this library comes near, a broken stream does. */
const largestPart = 2 ** 40;

/** To the process. The bytes of `open` and `release` are empty. */
export type Request =
  | {
    readonly kind: "open";
    readonly plugin: string;
    /** Devices that every program runs on. */
    readonly devices: number;
    /** Where compiled programs are kept; empty: nowhere. */
    readonly cache: string;
    /** Bytes that the compiled programs may take. */
    readonly cacheBytes: number;
    readonly parent: number;
  }
  // Bytes: the program's text. One that is not on the disk is compiled in this process, or its absence is said.
  | {
    readonly kind: "compile";
    readonly program: number;
    readonly signature: Signature;
    readonly absent: "compile" | "say";
  }
  // Bytes: the program's text. It is compiled for another process, whose bytes the answer brings.
  | { readonly kind: "make"; readonly signature: Signature }
  // Bytes: what `make` gave.
  | { readonly kind: "load"; readonly program: number; readonly signature: Signature }
  // Bytes: the values, for every device the same, or one part after the other; `type` is that of one device's value.
  | { readonly kind: "upload"; readonly buffer: number; readonly type: TensorType; readonly split: boolean }
  | {
    readonly kind: "run";
    readonly program: number;
    readonly inputs: readonly number[];
    readonly outputs: readonly number[];
  }
  // From one device, or the parts of all.
  | { readonly kind: "download"; readonly buffer: number; readonly device: number | "all" }
  | { readonly kind: "release"; readonly buffers: readonly number[]; readonly programs: readonly number[] }
  | { readonly kind: "status" };

/** What the process is. */
export type Opened = {
  readonly platform: string;
  readonly version: string;
  readonly devices: readonly string[];
  /** Minor version of the PJRT C API. */
  readonly minor: number;
  /** Resident memory of the process, bytes. */
  readonly resident: number;
};

/** How a program came to be. */
export type Compiled = {
  readonly memory: ProgramMemory;
  readonly cached: boolean;
  readonly milliseconds: number;
  /** Resident memory of the process afterwards and at its peak, and what the values in it take, bytes. */
  readonly resident: number;
  readonly peak: number;
  readonly held: number;
};

/** Counters of the process. */
export type Status = {
  readonly buffers: number;
  readonly programs: number;
  /** Page faults that needed no disk, since the start. */
  readonly minorFaults: number;
  /** Seconds of processor time, user and kernel. */
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** Resident memory now and at its peak, bytes. */
  readonly resident: number;
  readonly peak: number;
  /** What the values in it take, bytes. */
  readonly held: number;
};

/** From the process: one per request but `upload` and `release`, in their order. */
export type Reply =
  | { readonly kind: "opened"; readonly opened: Opened }
  | { readonly kind: "compiled"; readonly compiled: Compiled }
  | { readonly kind: "absent" }
  | { readonly kind: "made" }
  | { readonly kind: "ran" }
  | { readonly kind: "downloaded" }
  | { readonly kind: "status"; readonly status: Status }
  | { readonly kind: "failed"; readonly message: string; readonly code: string };

/** A message and the bytes behind it. */
export type Frame<Message> = { readonly message: Message; readonly bytes: Uint8Array };

const none = new Uint8Array(0);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The JSON of a message: of a run the lists of names are only counted, the names themselves are numbers in the bytes. */
function jsonOf(message: Request | Reply): string {
  return message.kind === "run"
    ? `{"kind":"run","program":${message.program},"inputs":${message.inputs.length}}`
    : JSON.stringify(message);
}

/**
 * A message as it is sent: head and JSON, then the bytes, which are not copied here because they may be large.
 *
 * @param message A run names dozens of values: these go as numbers, in place of bytes.
 */
export function frameOf(message: Request | Reply, bytes: Uint8Array = none): readonly Uint8Array[] {
  const behind = message.kind === "run"
    ? new Uint8Array(Float64Array.from([...message.inputs, ...message.outputs]).buffer)
    : bytes;
  const json = jsonOf(message);
  const head = new Uint8Array(headBytes + 3 * json.length); // UTF-8 has at most three bytes a UTF-16 unit
  const { written } = encoder.encodeInto(json, head.subarray(headBytes));
  const view = new DataView(head.buffer);
  view.setUint32(0, mark, true);
  view.setUint32(4, written, true);
  view.setFloat64(8, behind.length, true);
  const filled = head.subarray(0, headBytes + written);
  return behind.length === 0 ? [filled] : [filled, behind];
}

/** The message of a frame, of a run with the names out of the bytes. */
function messageOf<Message>(json: string, bytes: Uint8Array): Frame<Message> {
  const message = JSON.parse(json) as { readonly kind: string; readonly inputs?: number };
  if (message.kind !== "run") return { message: message as Message, bytes };
  const names = Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8));
  const lists = { inputs: names.slice(0, message.inputs), outputs: names.slice(message.inputs) };
  return { message: { ...message, ...lists } as Message, bytes: none };
}

/** Lengths of the two parts behind a head at a place. */
function readHead(head: Uint8Array, at: number): { readonly json: number; readonly bytes: number } {
  const view = new DataView(head.buffer, head.byteOffset + at);
  const bytes = view.getFloat64(8, true);
  if (view.getUint32(0, true) !== mark || !(bytes >= 0 && bytes <= largestPart)) {
    throw new Error(
      "Cannot read a message of the XLA process: it is of another version or something else wrote to the pipe",
    );
  }
  return { json: view.getUint32(4, true), bytes };
}

/** A frame that a chunk holds as a whole from a place on, as most are, and the place behind it. */
function wholeFrame<Message>(
  chunk: Uint8Array,
  at: number,
): { readonly frame: Frame<Message>; readonly end: number } | undefined {
  const start = at + headBytes;
  if (chunk.length < start) return undefined;
  const { json, bytes } = readHead(chunk, at);
  const end = start + json + bytes;
  if (chunk.length < end) return undefined;
  const behind = bytes === 0 ? none : new Uint8Array(chunk.subarray(start + json, end)); // copied: chunks are used again
  return { frame: messageOf<Message>(decoder.decode(chunk.subarray(start, start + json)), behind), end };
}

/** Cuts a stream of chunks into frames. */
export function frameReader<Message>(): (chunk: Uint8Array) => readonly Frame<Message>[] {
  let head = new Uint8Array(0);
  let open: { readonly json: Uint8Array; readonly bytes: Uint8Array; filled: number } | undefined;
  return (chunk) => {
    const done: Frame<Message>[] = [];
    let at = 0;
    const fill = (target: Uint8Array, from: number): number => {
      const count = Math.min(target.length - from, chunk.length - at);
      target.set(chunk.subarray(at, at + count), from);
      at += count;
      return count;
    };
    for (;;) {
      if (open === undefined) {
        const whole = head.length === 0 ? wholeFrame<Message>(chunk, at) : undefined;
        if (whole !== undefined) {
          done.push(whole.frame);
          at = whole.end;
          continue;
        }
        const rest = chunk.subarray(at, at + headBytes - head.length);
        const joined = new Uint8Array(head.length + rest.length);
        joined.set(head);
        joined.set(rest, head.length);
        head = joined;
        at += rest.length;
        if (head.length < headBytes) return done;
        const { json, bytes } = readHead(head, 0);
        open = { json: new Uint8Array(json), bytes: bytes === 0 ? none : new Uint8Array(bytes), filled: 0 };
        head = new Uint8Array(0);
      }
      const { json, bytes } = open;
      if (open.filled < json.length) open.filled += fill(json, open.filled);
      if (open.filled >= json.length) open.filled += fill(bytes, open.filled - json.length);
      if (open.filled < json.length + bytes.length) return done;
      done.push(messageOf<Message>(decoder.decode(json), bytes));
      open = undefined;
    }
  };
}
