/**
 * Jupyter messages on the wire: what stands in which frame, and the signature over it. Facts: "Messaging in Jupyter",
 * protocol 5.3: identities, the delimiter `<IDS|MSG>`, HMAC-SHA256 in hex, then header, parent header, metadata and
 * content as JSON, then raw buffers.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { randomUUID } from "node:crypto";

/** A JSON object whose fields are not known beforehand. */
export type JsonObject = { readonly [name: string]: unknown };

/** A message of a kernel, as far as a runner looks at it. */
export type KernelMessage = {
  /** Such as `"execute_reply"`, `"stream"`, `"display_data"`. */
  readonly type: string;
  /** Identifier of the request this belongs to; empty when the kernel names none. */
  readonly parent: string;
  /** What the message says. */
  readonly content: JsonObject;
};

/** One client's way to write and read messages. */
export type Wire = {
  /** Signs a request; returns its identifier and its frames. */
  readonly encode: (
    type: string,
    content: JsonObject,
  ) => { readonly id: string; readonly frames: Uint8Array[] };
  /** Reads a message. Throws when the signature is wrong or the content is not JSON. */
  readonly decode: (frames: readonly Uint8Array[]) => KernelMessage;
};

const delimiter = "<IDS|MSG>";

/**
 * Makes the two ends of the signature for one kernel.
 *
 * @param key The secret of the connection file.
 * @returns Functions that sign and verify messages.
 */
export function createWire(key: string): Wire {
  const session = randomUUID();
  const sign = (parts: readonly Uint8Array[]): string => {
    const hmac = createHmac("sha256", key);
    for (const part of parts) hmac.update(part);
    return hmac.digest("hex");
  };
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

  return {
    encode: (type, content) => {
      const id = randomUUID();
      const header = {
        msg_id: id,
        session,
        username: "runner",
        date: new Date().toISOString(),
        msg_type: type,
      };
      const parts = [json({ ...header, version: "5.3" }), json({}), json({}), json(content)];
      const ends = [delimiter, sign(parts)].map((each) => new TextEncoder().encode(each));
      return { id, frames: [...ends, ...parts] };
    },
    decode: (frames) => {
      const start = frames.findIndex((frame) =>
        frame.length === delimiter.length && text(frame) === delimiter
      );
      const parts = frames.slice(start + 2, start + 6);
      if (start < 0 || parts.length < 4) {
        throw new Error(`Cannot read a kernel message: ${frames.length} frames without all of its parts`);
      }
      const given = frames[start + 1] ?? new Uint8Array();
      const expected = new TextEncoder().encode(sign(parts));
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw new Error("Cannot trust a kernel message: its signature is wrong");
      }
      const [header, parent, , content] = parts.map((part) => JSON.parse(text(part)) as JsonObject);
      return {
        type: String(header?.["msg_type"] ?? ""),
        parent: String(parent?.["msg_id"] ?? ""),
        content: content ?? {},
      };
    },
  };
}
