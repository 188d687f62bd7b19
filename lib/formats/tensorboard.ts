/**
 * TensorBoard's event files, as far as curves need them: Event messages in record frames, a version first. Facts:
 * TensorFlow's `event.proto` and `summary.proto` (wall_time 1, step 2, file_version 3, summary 5, session_log 7; a
 * summary's values are field 1 with tag 1 and simple_value 2). A reader takes every file whose name holds `tfevents`.
 */
import { protobufWriter } from "./protobuf.ts";
import { frameRecord } from "./record_frame.ts";

const SESSION_START = 1;

/**
 * What an event file begins with: its version, and for a run that goes on a mark that makes TensorBoard forget points
 * from that step on, which an interrupted run may have left.
 *
 * @param options `wallTime`: seconds since 1970; `step`: the first step that follows.
 * @returns The bytes of both records.
 * @example
 * ```ts
 * import { tensorboardHeader } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const text = new TextDecoder("latin1").decode(tensorboardHeader({ wallTime: 0, step: 1 }));
 * assert.ok(text.includes("brain.Event:2"));
 * ```
 */
export function tensorboardHeader(
  { wallTime, step }: { readonly wallTime: number; readonly step: number },
): Uint8Array {
  const version = protobufWriter().double(1, wallTime).string(3, "brain.Event:2").finish();
  const start = protobufWriter().double(1, wallTime).varint(2, step)
    .message(7, (log) => log.varint(1, SESSION_START)).finish();
  const [a, b] = [frameRecord(version), frameRecord(start)];
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

/**
 * One record of an event file: the values of some curves at one step.
 *
 * @param scalars Values by tag; a tag with a slash is drawn in the group before it.
 * @param options `step`; `wallTime`: seconds since 1970.
 * @returns The bytes of the record.
 * @example
 * ```ts
 * import { maskedCrc32c, tensorboardScalars } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = tensorboardScalars({ "train/loss": 7.5 }, { step: 100, wallTime: 1.5 });
 * const stored = new DataView(bytes.buffer).getUint32(bytes.length - 4, true);
 * assert.equal(stored, maskedCrc32c(bytes, 12, bytes.length - 4));
 * ```
 */
export function tensorboardScalars(
  scalars: { readonly [tag: string]: number },
  { step, wallTime }: { readonly step: number; readonly wallTime: number },
): Uint8Array {
  const event = protobufWriter().double(1, wallTime).varint(2, step).message(5, (summary) => {
    for (const [tag, value] of Object.entries(scalars)) {
      summary.message(1, (entry) => entry.string(1, tag).float(2, value));
    }
  });
  return frameRecord(event.finish());
}
