/**
 * Files out of a wheel, which is a zip: the central directory at the end names every member with its place and size
 * (APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16). Members are inflated piece by piece, so a library of 400 MB needs
 * no such memory.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  readSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { PassThrough, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { CorruptFileError } from "../../formats/mod.ts";

const endMark = 0x06054b50;
const entryMark = 0x02014b50;
const localMark = 0x04034b50;

/** Where a member lies; `method` 0 is stored, 8 deflated. */
type Member = {
  readonly name: string;
  readonly method: number;
  readonly at: number;
  readonly packed: number;
  readonly size: number;
  /** Permissions of a Unix file, 0 when the zip has none. */
  readonly mode: number;
};

const damaged = (path: string, reason: string): CorruptFileError =>
  new CorruptFileError(`Cannot read the wheel ${path}: ${reason}`, { path });

function readAt(file: number, position: number, length: number): DataView {
  const bytes = new Uint8Array(length);
  const count = readSync(file, bytes, 0, length, position);
  return new DataView(bytes.buffer, 0, count);
}

/** The bytes of the central directory. */
function readDirectory(path: string, file: number): DataView {
  const { size } = statSync(path);
  const tailLength = Math.min(size, 65_557); // The end record and the longest comment behind it.
  const tail = readAt(file, size - tailLength, tailLength);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== endMark) end--;
  if (end < 0) throw damaged(path, "it is no zip file, or it is cut off");
  const [length, start] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (start + length > size) throw damaged(path, "its directory lies outside the file");
  return readAt(file, start, length);
}

/** The members whose name a test accepts. */
function listMembers(path: string, accept: (name: string) => boolean): Member[] {
  const file = openSync(path, "r");
  try {
    const directory = readDirectory(path, file);
    const members: Member[] = [];
    for (let at = 0; at + 46 <= directory.byteLength;) {
      if (directory.getUint32(at, true) !== entryMark) throw damaged(path, "its directory is damaged");
      const [nameLength, extra, comment] = [28, 30, 32].map((offset) =>
        directory.getUint16(at + offset, true)
      ) as [number, number, number];
      const name = new TextDecoder().decode(
        new Uint8Array(directory.buffer, at + 46, Math.min(nameLength, directory.byteLength - at - 46)),
      );
      if (accept(name)) {
        const local = directory.getUint32(at + 42, true);
        const head = readAt(file, local, 30);
        if (head.byteLength < 30 || head.getUint32(0, true) !== localMark) {
          throw damaged(path, `${name} is not there`);
        }
        members.push({
          name,
          method: directory.getUint16(at + 10, true),
          at: local + 30 + head.getUint16(26, true) + head.getUint16(28, true),
          packed: directory.getUint32(at + 20, true),
          size: directory.getUint32(at + 24, true),
          mode: (directory.getUint32(at + 38, true) >>> 16) & 0o777,
        });
      }
      at += 46 + nameLength + extra + comment;
    }
    return members;
  } finally {
    closeSync(file);
  }
}

/** Writes a member to a file and returns its sha256. */
async function writeMember(
  path: string,
  { name, method, at, packed, size, mode }: Member,
  target: string,
  onBytes: (done: number, total: number) => void,
): Promise<string> {
  if (method !== 0 && method !== 8) throw damaged(path, `${name} is packed in a way that is not known`);
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
  const write = createWriteStream(target, { mode: mode === 0 ? 0o644 : mode | 0o600 });
  if (packed === 0) {
    await pipeline([], write);
    return hash.digest("hex");
  }
  try {
    await pipeline(
      createReadStream(path, { start: at, end: at + packed - 1 }),
      method === 0 ? new PassThrough() : createInflateRaw(),
      count,
      write,
    );
  } catch (error) {
    throw damaged(path, `${name} does not unpack (${(error as Error).message})`);
  }
  if (done !== size) throw damaged(path, `${name} has ${done} bytes, expected ${size}`);
  return hash.digest("hex");
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
  const [found] = listMembers(path, (name) => name === member);
  if (found === undefined) throw damaged(path, `it has no ${member}`);
  return await writeMember(path, found, target, onBytes);
}

/**
 * Writes the members of a wheel into a folder, with their paths.
 *
 * @param path The wheel.
 * @param folder Folder to write into; the caller gives one that is not in use.
 * @param accept Which members, by name.
 * @throws {CorruptFileError} When the wheel is damaged, or a name leads out of the folder.
 */
export async function extractAll(
  path: string,
  folder: string,
  accept: (name: string) => boolean,
): Promise<void> {
  for (const member of listMembers(path, (name) => !name.endsWith("/") && accept(name))) {
    const { name } = member;
    if (name.startsWith("/") || name.includes("\\") || name.split("/").includes("..")) {
      throw damaged(path, `${name} leads out of the folder`);
    }
    const target = join(folder, name);
    mkdirSync(dirname(target), { recursive: true });
    await writeMember(path, member, target, () => {});
  }
}
