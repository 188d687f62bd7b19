/**
 * The bytes of a record file, plain or unpacked while they are read: a window that moves forward. A plain file is read at
 * any offset; a compressed one from its start.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { createGunzip, createInflate } from "node:zlib";
import { CorruptFileError, maskedCrc32c } from "../formats/mod.ts";

const BLOCK = 1 << 20; // bytes read at a time

/** A window on the bytes. */
export type RecordSource = {
  /** Size of the file; unknown for a compressed one. */
  readonly size: number | undefined;
  /** Offset of the window. */
  readonly position: () => number;
  /** Bytes in the window. */
  readonly available: () => number;
  /** The window. */
  readonly view: () => Uint8Array;
  /** Reads until the window has `count` bytes or the file ends; returns what it has. */
  readonly need: (
    count: number,
    at: { readonly path: string; readonly index: number } | undefined,
  ) => Promise<number>;
  /** Moves the window forward inside itself. */
  readonly advance: (count: number) => void;
  /** Moves it back over bytes that were just passed. */
  readonly retreat: (count: number) => void;
  /** Moves the window to an offset ahead. */
  readonly skipTo: (offset: number) => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Fills a target; returns the number of bytes, 0 at the end. */
type Fill = (target: Uint8Array, from: number, offset: number) => Promise<number>;

type Kind = "plain" | "gzip" | "zlib";

async function kindOf(handle: FileHandle): Promise<Kind> {
  const head = new Uint8Array(12);
  const { bytesRead } = await handle.read(head, 0, 12, 0);
  const view = new DataView(head.buffer);
  if (bytesRead === 12 && view.getUint32(8, true) === maskedCrc32c(head, 0, 8)) return "plain";
  if (bytesRead >= 2 && head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const zlib = bytesRead >= 2 && ((head[0] ?? 0) & 15) === 8 && (head[0] ?? 0) <= 0x78 &&
    view.getUint16(0) % 31 === 0;
  return zlib ? "zlib" : "plain";
}

/** Opens a file; throws when it cannot be read. */
export async function openSource(path: string): Promise<RecordSource> {
  const handle = await open(path, "r").catch((error: unknown) => {
    throw openError(path, error);
  });
  const kind = await kindOf(handle);
  if (kind === "plain") {
    const { size } = await handle.stat();
    const fill: Fill = async (target, from, offset) =>
      (await handle.read(target, from, target.length - from, offset)).bytesRead;
    return windowOn(fill, size, () => handle.close());
  }
  await handle.close();
  const unpacked = unpack(path, kind);
  return windowOn(unpacked.fill, undefined, unpacked.close);
}

/** Unpacks a file as a stream. */
function unpack(
  path: string,
  kind: "gzip" | "zlib",
): { readonly fill: Fill; readonly close: () => Promise<void> } {
  const file = createReadStream(path, { highWaterMark: BLOCK });
  const stream = kind === "gzip" ? createGunzip() : createInflate();
  file.on("error", (error) => stream.destroy(error));
  file.pipe(stream);
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let rest = new Uint8Array(0);
  return {
    fill: async (target, from, offset) => {
      while (rest.length === 0) {
        const next = await chunks.next().catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          throw new CorruptFileError(
            `Cannot read ${path}: the ${kind}-compressed file is damaged or cut behind byte ${offset} of its content ` +
              `(${reason}); copy it again or make the records again`,
            { path, byte: offset },
          );
        });
        if (next.done) return 0;
        rest = new Uint8Array(next.value);
      }
      const count = Math.min(rest.length, target.length - from);
      target.set(rest.subarray(0, count), from);
      rest = rest.subarray(count);
      return count;
    },
    close: () => {
      file.destroy();
      stream.destroy();
      return Promise.resolve();
    },
  };
}

function windowOn(fill: Fill, size: number | undefined, close: () => Promise<void>): RecordSource {
  let block = new Uint8Array(0);
  let base = 0; // offset of the block in the file
  let at = 0; // offset of the window in the block
  const need: RecordSource["need"] = async (count, place) => {
    if (block.length - at >= count) return block.length - at;
    const kept = block.subarray(at);
    const left = size === undefined ? Infinity : size - base - at;
    let grown = new Uint8Array(Math.min(Math.max(BLOCK, Math.min(count, 8 * BLOCK)), left));
    grown.set(kept);
    let filled = kept.length;
    const wanted = Math.min(size === undefined ? count : Math.max(BLOCK, count), left);
    while (filled < wanted) {
      if (filled === grown.length) {
        const larger = new Uint8Array(Math.min(wanted, 2 * filled));
        larger.set(grown);
        grown = larger;
      }
      const got = await fill(grown, filled, base + at + filled).catch((error: unknown) => {
        if (!(error instanceof CorruptFileError) || place === undefined) throw error;
        throw new CorruptFileError(error.message, { ...error.place, record: place.index });
      });
      if (got === 0) break;
      filled += got;
    }
    base += at;
    at = 0;
    block = grown.subarray(0, filled);
    return filled;
  };
  const skipTo = async (offset: number): Promise<void> => {
    if (size !== undefined) {
      base = Math.min(offset, size);
      at = 0;
      block = new Uint8Array(0);
      return;
    }
    while (base + at < offset) {
      const got = await need(Math.min(BLOCK, offset - base - at), undefined);
      if (got === 0) return;
      at += Math.min(got, offset - base - at);
    }
  };
  return {
    size,
    position: () => base + at,
    available: () => block.length - at,
    view: () => block.subarray(at),
    need,
    advance: (count) => void (at = Math.min(at + count, block.length)),
    retreat: (count) => void (at = Math.max(0, at - count)),
    skipTo,
    close,
  };
}

function openError(path: string, cause: unknown): Error {
  const { code } = cause as { code?: string };
  const reason = code === "ENOENT"
    ? "there is no such file"
    : code === "EACCES"
    ? "no permission to read it"
    : String(cause);
  return new Error(`Cannot read ${path}: ${reason}`, { cause });
}
