/**
 * One file out of a wheel, which is a zip: the central directory at the end names every member with its place and
 * size (APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16). The member is inflated piece by piece, so a library of 200
 * MB needs no such memory.
 */
import { createHash } from "node:crypto";
import { closeSync, createReadStream, createWriteStream, openSync, readSync, statSync } from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { CorruptFileError } from "../../formats/mod.ts";

const endMark = 0x06054b50;
const entryMark = 0x02014b50;
const localMark = 0x04034b50;
const deflated = 8;

type Member = { readonly at: number; readonly packed: number; readonly size: number };

function readAt(file: number, position: number, length: number): DataView {
  const bytes = new Uint8Array(length);
  const count = readSync(file, bytes, 0, length, position);
  return new DataView(bytes.buffer, 0, count);
}

function findMember(path: string, member: string): Member {
  const damage = (reason: string): CorruptFileError =>
    new CorruptFileError(`Cannot read the wheel ${path}: ${reason}`, { path });
  const { size: fileSize } = statSync(path);
  const file = openSync(path, "r");
  try {
    const tailLength = Math.min(fileSize, 65_557); // The end record and the longest comment behind it.
    const tail = readAt(file, fileSize - tailLength, tailLength);
    let end = tail.byteLength - 22;
    while (end >= 0 && tail.getUint32(end, true) !== endMark) end--;
    if (end < 0) throw damage("it is no zip file, or it is cut off");
    const [length, start] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
    if (start + length > fileSize) throw damage("its directory lies outside the file");
    const directory = readAt(file, start, length);
    for (let at = 0; at + 46 <= directory.byteLength;) {
      if (directory.getUint32(at, true) !== entryMark) throw damage("its directory is damaged");
      const [nameLength, extra, comment] = [28, 30, 32].map((offset) =>
        directory.getUint16(at + offset, true)
      ) as [number, number, number];
      const name = new TextDecoder().decode(
        new Uint8Array(directory.buffer, at + 46, Math.min(nameLength, directory.byteLength - at - 46)),
      );
      if (name === member) {
        if (directory.getUint16(at + 10, true) !== deflated) throw damage(`${member} is not deflated`);
        const local = directory.getUint32(at + 42, true);
        const head = readAt(file, local, 30);
        if (head.byteLength < 30 || head.getUint32(0, true) !== localMark) {
          throw damage(`${member} is not there`);
        }
        return {
          at: local + 30 + head.getUint16(26, true) + head.getUint16(28, true),
          packed: directory.getUint32(at + 20, true),
          size: directory.getUint32(at + 24, true),
        };
      }
      at += 46 + nameLength + extra + comment;
    }
    throw damage(`it has no ${member}`);
  } finally {
    closeSync(file);
  }
}

/**
 * Writes one member of a wheel to a file.
 *
 * @param path The wheel.
 * @param member Name inside it.
 * @param target File to write; the caller gives a temporary name.
 * @param onBytes Called with the bytes written so far.
 * @returns The member's sha256, hexadecimal.
 * @throws {CorruptFileError} When the wheel is damaged or has no such member.
 */
export async function extractMember(
  path: string,
  member: string,
  target: string,
  onBytes: (done: number, total: number) => void = () => {},
): Promise<string> {
  const { at, packed, size } = findMember(path, member);
  const hash = createHash("sha256");
  let done = 0;
  const count = new Transform({
    transform: (chunk: Uint8Array, _, next) => {
      hash.update(chunk);
      done += chunk.length;
      onBytes(done, size);
      next(null, chunk);
    },
  });
  try {
    await pipeline(
      createReadStream(path, { start: at, end: at + packed - 1 }),
      createInflateRaw(),
      count,
      createWriteStream(target),
    );
  } catch (error) {
    throw new CorruptFileError(
      `Cannot read the wheel ${path}: ${member} does not unpack (${(error as Error).message})`,
      { path },
    );
  }
  return hash.digest("hex");
}
