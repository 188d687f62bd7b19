/**
 * The header of a safetensors file: every rule of the format is checked before a value is used. Not part of the public door.
 * Source: the format description of huggingface/safetensors.
 */
import { count, layouts } from "./elements.ts";
import { CorruptFileError } from "./errors.ts";
import { parseJson } from "./json.ts";
import type { SafetensorsTensor, SafetensorsType } from "./safetensors.ts";

/** Most bytes of a header. */
export const maxHeader = 100_000_000;
const order = Object.keys(layouts);

/** Makes the error of a broken rule; `path` is the file that it names. */
export type Refuse = ((reason: string, byte: number) => CorruptFileError) & { readonly path: string };
/** Names the file in that error. */
export function refuser(path: string): Refuse {
  const refuse = (reason: string, byte: number): CorruptFileError =>
    new CorruptFileError(`Cannot read safetensors ${path}: ${reason} (byte ${byte})`, { path, byte });
  return Object.assign(refuse, { path });
}

/** A scanner for duplicate keys, which JSON.parse drops silently: keys of the top object and of each entry. */
function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (const token of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}]/g)) {
    const text = token[0];
    if (text === "{") open.push(new Set());
    else if (text === "}") open.pop();
    else if (token[1] !== undefined) {
      const key = JSON.parse(text.slice(0, text.lastIndexOf('"') + 1)) as string;
      const keys = open[open.length - 1];
      if (keys?.has(key) === true) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

/** Where a tensor lies, counted from the end of the header. */
export type Entry = {
  readonly name: string;
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
};

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(name: string, value: unknown, refuse: Refuse): Entry {
  const bad = (reason: string): CorruptFileError => refuse(`tensor ${name} ${reason}`, 8);
  if (typeof value !== "object" || value === null) throw bad("has no entry of dtype, shape and data_offsets");
  const { dtype, shape, data_offsets: offsets, ...rest } = value as Readonly<Record<string, unknown>>;
  const surplus = Object.keys(rest)[0];
  if (surplus !== undefined) throw bad(`has the unknown key ${surplus}`);
  if (typeof dtype !== "string" || !order.includes(dtype)) {
    throw bad(`has the unknown dtype ${String(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) throw bad("has no shape of whole numbers");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw bad("has no pair of data_offsets");
  }
  const [begin, end] = offsets as [number, number];
  if (end < begin) throw bad(`ends at ${end}, before its begin ${begin}`);
  const bytes = count(shape as number[]) * layouts[dtype as SafetensorsType].bytes;
  if (!Number.isSafeInteger(bytes)) throw bad("has a shape too large to count");
  if (end - begin !== bytes) {
    throw bad(`has ${end - begin} bytes, ${dtype} [${shape.join(", ")}] needs ${bytes}`);
  }
  return { name, dtype: dtype as SafetensorsType, shape: shape as number[], begin, end };
}

/** What a header says. */
export type Header = { readonly entries: readonly Entry[]; readonly metadata: Record<string, string> };

/** Reads and checks the header; `buffer` is the number of bytes behind it. */
export function parseHeader(bytes: Uint8Array, buffer: number, refuse: Refuse): Header {
  if (bytes[0] !== 0x7b) throw refuse("the header does not start with {", 8);
  const header = parseJson(bytes, { path: refuse.path, start: 8, what: `the header of ${refuse.path}` });
  const twice = duplicateKey(new TextDecoder().decode(bytes));
  if (twice !== undefined) throw refuse(`the key ${twice} stands twice in the header`, 8);
  const { __metadata__: metadata = {}, ...tensors } = header as Readonly<Record<string, unknown>>;
  if (
    typeof metadata !== "object" || metadata === null || Array.isArray(metadata) ||
    !Object.values(metadata).every((value) => typeof value === "string")
  ) throw refuse("__metadata__ is no map of text to text", 8);
  const entries = Object.entries(tensors).map(([name, value]) => readEntry(name, value, refuse))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  const start = 8 + bytes.length;
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin < at) throw refuse(`tensor ${name} overlaps the one before it`, start + begin);
    if (begin > at) throw refuse(`${begin - at} bytes before tensor ${name} belong to no tensor`, start + at);
    at = end;
  }
  if (at > buffer) {
    throw refuse(`the tensors need ${at} bytes, the file ends after ${buffer}`, start + buffer);
  }
  if (at < buffer) throw refuse(`${buffer - at} bytes at the end belong to no tensor`, start + at);
  return { entries, metadata: metadata as Record<string, string> };
}

/** The length of the header, checked against the size of the file. */
export function headerLength(first: Uint8Array, size: number, refuse: Refuse): number {
  if (size < 8) throw refuse(`the file has ${size} bytes, a header length takes 8`, 0);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeader)) throw refuse(`the header has ${length} bytes, at most ${maxHeader}`, 0);
  if (length > BigInt(size - 8)) {
    throw refuse(`the header has ${length} bytes, the file only ${size - 8} more`, 0);
  }
  if (length < 2n) throw refuse("the header is empty", 0);
  return Number(length);
}

/** The tensor of an entry; `own` is memory of its own, at a place its type allows. */
export function tensorOf({ dtype, shape }: Entry, own: Uint8Array): SafetensorsTensor {
  return { dtype, shape, data: layouts[dtype].view(own.buffer as ArrayBuffer, own.byteOffset, count(shape)) };
}
