/**
 * The PJRT C API as functions that throw: loads a plugin, checks its version, makes argument structures and turns error
 * objects into exceptions. Handles are addresses; `pjrt_client.ts` wraps them so that a dead one is never used.
 */
import type { CFunction, Ffi } from "./ffi.ts";
import { apiTable, errorCodes, layouts, oldestMinor, slots } from "./pjrt_layout.ts";
import type { PjrtFunction, Structure } from "./pjrt_layout.ts";

/**
 * An error that XLA reported; the process that runs it lives on.
 *
 * @example
 * ```ts
 * import { XlaError } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const error = new XlaError("Cannot compile: no main", "UNKNOWN");
 * assert.ok(error instanceof Error && error.code === "UNKNOWN");
 * ```
 */
export class XlaError extends Error {
  /** PJRT's name for the kind of error: `INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED`, … */
  readonly code: string;
  /** Of a program that is too large: the share of its batch that would fit, about. */
  readonly fits?: number;

  constructor(message: string, code: string, { fits }: { readonly fits?: number } = {}) {
    super(message);
    this.name = "XlaError";
    this.code = code;
    if (fits !== undefined) this.fits = fits;
  }
}

/** The names of a structure's fields. */
export type Field<Name extends Structure> = Exclude<keyof typeof layouts[Name], "size"> & string;

/** An argument structure: memory with named fields. */
export type Struct<Name extends Structure> = {
  readonly name: Name;
  readonly address: bigint;
  /** Sets 8 bytes: a pointer, a size or an int64. */
  readonly set: (field: Field<Name>, value: bigint) => Struct<Name>;
  /** Sets 4 bytes: an enum or an int32. */
  readonly set32: (field: Field<Name>, value: number) => Struct<Name>;
  readonly get: (field: Field<Name>) => bigint;
  readonly get32: (field: Field<Name>) => number;
};

/** A plugin made ready. */
export type PjrtApi = {
  readonly ffi: Ffi;
  readonly minor: number;
  /** A zeroed structure with its size set. */
  readonly struct: <Name extends Structure>(name: Name) => Struct<Name>;
  /** The structure of this name that short calls share: its fields are those of the last call. */
  readonly shared: <Name extends Structure>(name: Name) => Struct<Name>;
  /** Calls a function; `keep` is what its structure points to. Throws what the plugin reports. */
  readonly call: <Name extends PjrtFunction>(args: Struct<Name>, ...keep: readonly unknown[]) => Struct<Name>;
  /** Gives a handle back by a function that cannot fail with one that lives: quicker than a call, an error is not read. */
  readonly free: <Name extends PjrtFunction>(args: Struct<Name>) => void;
  /** UTF-8 text at an address. */
  readonly text: (address: bigint, length: bigint) => string;
  /** The 8-byte words at an address. */
  readonly words: (address: bigint, count: bigint) => readonly bigint[];
};

/** Memory behind every structure; none has grown by more than 40 bytes between versions 0.81 and 0.117. */
const spareBytes = 256;

function makeStruct<Name extends Structure>(ffi: Ffi, name: Name): Struct<Name> {
  const layout = layouts[name] as { readonly size: number } & Readonly<Record<string, number>>;
  // Room behind the last field: a plugin newer than this layout may write fields that it does not know.
  const memory = new ArrayBuffer(Math.ceil(layout.size / 8) * 8 + spareBytes);
  const view = new DataView(memory);
  view.setBigUint64(0, BigInt(layout.size), true);
  const at = (field: string): number => layout[field] as number;
  const self: Struct<Name> = {
    name,
    address: ffi.addressOf(memory),
    set: (field, value) => {
      view.setBigInt64(at(field), value, true);
      return self;
    },
    set32: (field, value) => {
      view.setInt32(at(field), value, true);
      return self;
    },
    get: (field) => view.getBigUint64(at(field), true),
    get32: (field) => view.getInt32(at(field), true),
  };
  return self;
}

/** Reads the table of functions and refuses one that this layout does not describe. */
function readTable(
  ffi: Ffi,
  path: string,
): { readonly minor: number; readonly functions: readonly bigint[] } {
  let table: bigint;
  try {
    table = ffi.entry(path, "GetPjrtApi");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot load the plugin ${path}: ${reason}`, { cause: error });
  }
  if (table === 0n) throw new Error(`Cannot load the plugin ${path}: it gave no table of functions`);
  const head = ffi.copyFrom(table, apiTable.firstSlot);
  const view = new DataView(head.buffer, head.byteOffset);
  const [major, minor] = [view.getInt32(apiTable.major, true), view.getInt32(apiTable.minor, true)];
  if (major !== 0 || minor < oldestMinor) {
    throw new Error(
      `Cannot use the plugin ${path}: it speaks version ${major}.${minor} of the PJRT C API, ` +
        `wanted is 0.${oldestMinor} or a later 0.x`,
    );
  }
  const size = Number(view.getBigUint64(apiTable.size, true));
  if (size > apiTable.largestSize) {
    throw new Error(`Cannot use the plugin ${path}: its table of functions claims to have ${size} bytes`);
  }
  const whole = ffi.copyFrom(table, size);
  const wholeView = new DataView(whole.buffer, whole.byteOffset);
  const functions: bigint[] = [];
  for (let at: number = apiTable.firstSlot; at + 8 <= size; at += 8) {
    functions.push(wholeView.getBigUint64(at, true));
  }
  const missing = Object.entries(slots).flatMap(([name, slot]) =>
    (functions[slot] ?? 0n) === 0n ? [name] : []
  );
  if (missing.length > 0) {
    throw new Error(`Cannot use the plugin ${path}: it lacks ${missing.join(", ")}`);
  }
  return { minor, functions };
}

/**
 * Loads a plugin.
 *
 * @param ffi How to call C.
 * @param path The shared library.
 * @throws {Error} When the file is no PJRT plugin or of another version.
 */
export function openPjrt(ffi: Ffi, path: string): PjrtApi {
  const { minor, functions } = readTable(ffi, path);
  const bound = new Map<PjrtFunction, CFunction>();
  const raw = (name: PjrtFunction, address: bigint): bigint => {
    const fn = bound.get(name) ?? ffi.callable(functions[slots[name]] as bigint);
    bound.set(name, fn);
    return fn(address);
  };
  const text = (address: bigint, length: bigint): string =>
    length === 0n ? "" : new TextDecoder().decode(ffi.copyFrom(address, Number(length)));
  const thrown = (error: bigint): XlaError => {
    const message = makeStruct(ffi, "Error_Message").set("error", error);
    raw("Error_Message", message.address);
    const code = makeStruct(ffi, "Error_GetCode").set("error", error);
    raw("Error_GetCode", code.address);
    const made = new XlaError(
      text(message.get("message"), message.get("message_size")),
      errorCodes[code.get32("code")] ?? `CODE_${code.get32("code")}`,
    );
    raw("Error_Destroy", makeStruct(ffi, "Error_Destroy").set("error", error).address);
    return made;
  };
  const quick = new Map<PjrtFunction, (argument: bigint) => boolean>();
  const free: PjrtApi["free"] = ({ name, address }) => {
    const fn = quick.get(name as PjrtFunction) ??
      ffi.quick(functions[slots[name as PjrtFunction]] as bigint);
    quick.set(name as PjrtFunction, fn);
    if (!fn(address)) throw new XlaError(`Cannot free a handle: ${name} fails`, "INTERNAL");
  };
  const sharedStructs = new Map<Structure, unknown>();
  // What C may read during a call stays reachable from here.
  const held: { now: readonly unknown[] } = { now: [] };
  const api: PjrtApi = {
    ffi,
    minor,
    struct: (name) => makeStruct(ffi, name),
    shared: <Name extends Structure>(name: Name): Struct<Name> => {
      const known = sharedStructs.get(name) as Struct<Name> | undefined;
      const struct = known ?? makeStruct(ffi, name);
      if (known === undefined) sharedStructs.set(name, struct);
      return struct;
    },
    call: (args, ...keep) => {
      held.now = [args, ...keep];
      const error = raw(args.name as PjrtFunction, args.address);
      held.now = [];
      if (error !== 0n) throw thrown(error);
      return args;
    },
    free,
    text,
    words: (address, count) => {
      const bytes = ffi.copyFrom(address, 8 * Number(count));
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      return Array.from({ length: Number(count) }, (_, i) => view.getBigUint64(8 * i, true));
    },
  };
  api.call(api.struct("Plugin_Initialize"));
  return api;
}
