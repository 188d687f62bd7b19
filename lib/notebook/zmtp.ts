/**
 * ZMTP 3.0 over TCP, the part that Jupyter kernels speak: NULL mechanism, DEALER and SUB sockets that connect. It is
 * here so that running notebooks needs neither Python nor a native ZeroMQ. Facts: the ZMTP 3.0 specification
 * (ZeroMQ RFC 23), sections "Framing", "The NULL security mechanism" and "Socket semantics".
 */
import { connect, type Socket } from "node:net";

/** Frame flags, RFC 23. */
const MORE = 1;
const LONG = 2;
const COMMAND = 4;

/** A frame above this is damage, not data: 1 GiB. */
const largestFrame = 2 ** 30;

/** One frame as it came over the wire. */
export type ZmtpFrame = {
  /** True for protocol commands (READY, ERROR), false for parts of messages. */
  readonly command: boolean;
  /** True when the message goes on in the next frame. */
  readonly more: boolean;
  /** Content without flags and length. */
  readonly body: Uint8Array;
};

/**
 * Encodes one frame: flags, length in 1 byte (up to 255) or 8 bytes, body.
 *
 * @param body Content.
 * @param options `more`: the message goes on; `command`: a protocol command. Both default to false.
 * @returns The bytes to send.
 * @example
 * ```ts
 * import { encodeFrame } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...encodeFrame(Uint8Array.of(7, 8), { more: true })], [1, 2, 7, 8]);
 * ```
 */
export function encodeFrame(
  body: Uint8Array,
  { more = false, command = false }: { readonly more?: boolean; readonly command?: boolean } = {},
): Uint8Array {
  const long = body.length > 255;
  const head = long ? 9 : 2;
  const bytes = new Uint8Array(head + body.length);
  bytes[0] = (more ? MORE : 0) | (long ? LONG : 0) | (command ? COMMAND : 0);
  if (long) new DataView(bytes.buffer).setBigUint64(1, BigInt(body.length));
  else bytes[1] = body.length;
  bytes.set(body, head);
  return bytes;
}

/**
 * Makes a reader that cuts a byte stream into frames. Time is linear in the bytes: chunks are joined once per frame.
 *
 * @param greetingLength Bytes to pass over before the first frame. Default: 0.
 * @returns A function that takes the next chunk and returns the frames it completes.
 * @example
 * ```ts
 * import { createFrameReader, encodeFrame } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const read = createFrameReader();
 * const bytes = encodeFrame(Uint8Array.of(7, 8));
 * assert.deepEqual(read(bytes.slice(0, 3)), []);
 * assert.deepEqual([...read(bytes.slice(3))[0]!.body], [7, 8]); // the frame is complete now
 * ```
 */
export function createFrameReader(greetingLength = 0): (chunk: Uint8Array) => ZmtpFrame[] {
  let chunks: Uint8Array[] = [];
  let waiting = 0; // bytes in `chunks`
  let head: { readonly flags: number; readonly lengthBytes: number } | undefined;
  let bodyLength: number | undefined;
  let skip = greetingLength;

  const take = (count: number): Uint8Array => {
    const taken = new Uint8Array(count);
    let at = 0;
    let used = 0;
    while (at < count) {
      const chunk = chunks[used]!; // `waiting >= count` was tested, so there is one
      const part = chunk.subarray(0, count - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === chunk.length) used += 1;
      else chunks[used] = chunk.subarray(part.length);
    }
    chunks = chunks.slice(used);
    waiting -= count;
    return taken;
  };

  return (chunk) => {
    if (chunk.length > 0) chunks.push(chunk);
    waiting += chunk.length;
    const frames: ZmtpFrame[] = [];
    while (true) {
      if (skip > 0) {
        if (waiting < skip) return frames;
        checkGreeting(take(skip));
        skip = 0;
      } else if (head === undefined) {
        if (waiting < 1) return frames;
        const flags = take(1)[0] ?? 0;
        if ((flags & ~(MORE | LONG | COMMAND)) !== 0) {
          throw new Error(`Cannot read a ZMTP frame: flags are ${flags}, expected 0 to 7`);
        }
        head = { flags, lengthBytes: flags & LONG ? 8 : 1 };
      } else if (bodyLength === undefined) {
        if (waiting < head.lengthBytes) return frames;
        bodyLength = readLength(take(head.lengthBytes));
      } else {
        if (waiting < bodyLength) return frames;
        const body = take(bodyLength);
        frames.push({ command: (head.flags & COMMAND) !== 0, more: (head.flags & MORE) !== 0, body });
        head = undefined;
        bodyLength = undefined;
      }
    }
  };
}

function readLength(bytes: Uint8Array): number {
  const length = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  if (length > largestFrame) {
    throw new Error(
      `Cannot read a ZMTP frame: its length is ${length}, expected at most ${largestFrame} bytes`,
    );
  }
  return length;
}

/** Length of the greeting: signature 10, version 2, mechanism 20, as-server 1, filler 31. */
const greetingLength = 64;

function greeting(): Uint8Array {
  const bytes = new Uint8Array(greetingLength);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes.set(new TextEncoder().encode("NULL"), 12);
  return bytes;
}

function checkGreeting(bytes: Uint8Array): void {
  const major = bytes[10] ?? 0;
  const mechanism = new TextDecoder().decode(bytes.subarray(12, 32)).replace(/\0+$/, "");
  if (bytes[0] !== 0xff || major < 3 || mechanism !== "NULL") {
    throw new Error(
      `Cannot speak ZMTP: the peer offers version ${major}, mechanism "${mechanism}", expected 3 and "NULL"`,
    );
  }
}

/** READY command: its name, then pairs of name (1-byte length) and value (4-byte length). */
function readyCommand(socketType: string): Uint8Array {
  const text = new TextEncoder();
  const parts: number[] = [5, ...text.encode("READY")];
  for (const [name, value] of [["Socket-Type", socketType], ["Identity", ""]] as const) {
    parts.push(name.length, ...text.encode(name), 0, 0, 0, value.length, ...text.encode(value));
  }
  return encodeFrame(Uint8Array.from(parts), { command: true });
}

/** A connected socket. */
export type ZmtpSocket = {
  /** Sends one message of one or more frames. */
  readonly send: (frames: readonly Uint8Array[]) => void;
  /** Closes without a callback; harmless when closed. */
  readonly close: () => void;
};

/** Settings of `connectZmtp`. */
export type ZmtpOptions = {
  /** TCP port of the peer. */
  readonly port: number;
  /** Address of the peer. Default: `"127.0.0.1"`. */
  readonly host?: string;
  /** `"SUB"` subscribes to everything. */
  readonly type: "DEALER" | "SUB";
  /** Called with the frames of each message. */
  readonly onMessage: (frames: readonly Uint8Array[]) => void;
  /** Called once when the peer closes or breaks the protocol, not after `close`. */
  readonly onClose: (reason: Error) => void;
};

/**
 * Connects to a ZeroMQ socket and waits for its READY.
 *
 * @param options See {@link ZmtpOptions}.
 * @returns The socket, ready to send.
 * @throws {Error} When nothing listens there, or the peer speaks something else.
 */
export function connectZmtp(
  { port, host = "127.0.0.1", type, onMessage, onClose }: ZmtpOptions,
): Promise<ZmtpSocket> {
  return new Promise((resolve, reject) => {
    const tcp: Socket = connect({ port, host, noDelay: true });
    const read = createFrameReader(greetingLength);
    let state: "starting" | "open" | "closed" = "starting";
    let parts: Uint8Array[] = [];

    const end = (reason: Error): void => {
      const before = state;
      state = "closed";
      tcp.destroy();
      if (before === "starting") reject(reason);
      else if (before === "open") onClose(reason);
    };
    const ready = (): void => {
      state = "open";
      if (type === "SUB") tcp.write(encodeFrame(Uint8Array.of(1))); // 1 and no topic: everything
      resolve({
        send: (frames) => {
          frames.forEach((body, index) => tcp.write(encodeFrame(body, { more: index < frames.length - 1 })));
        },
        close: () => {
          state = "closed";
          tcp.destroy();
        },
      });
    };
    const takeFrame = ({ command, more, body }: ZmtpFrame): void => {
      if (command) {
        const name = new TextDecoder().decode(body.subarray(1, 1 + (body[0] ?? 0)));
        if (name === "READY" && state === "starting") ready();
        else if (name === "ERROR") {
          end(new Error(`Cannot speak ZMTP: the peer says ${new TextDecoder().decode(body)}`));
        }
        return;
      }
      parts.push(body);
      if (more) return;
      const message = parts;
      parts = [];
      onMessage(message);
    };

    tcp.on("connect", () => {
      // While nobody listens, the system may join a connection's two ends when its own port is the one it asks for.
      if (tcp.localPort === port) return end(new Error(`port ${port} was connected to itself`));
      tcp.write(greeting());
      tcp.write(readyCommand(type));
    });
    tcp.on("data", (chunk) => {
      try {
        for (const frame of read(chunk)) if (state !== "closed") takeFrame(frame);
      } catch (error) {
        end(error instanceof Error ? error : new Error(String(error)));
      }
    });
    tcp.on("error", (error) => end(error));
    tcp.on("close", () => end(new Error(`port ${port} was closed`)));
  });
}
