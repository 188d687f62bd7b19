/**
 * Calling C from TypeScript: seven functions, and one adapter each for Deno (`Deno.dlopen`) and Node (`koffi`). Every
 * function of the PJRT C API takes one pointer and returns one, so a single signature is enough. Only the worker process
 * loads libraries; they are never unloaded, because a plugin's threads outlive every handle (Deno unloads at a normal
 * end, so the worker ends by `process.exit`).
 */

/** A C function of one address that returns one; 0 is the null pointer. */
export type CFunction = (argument: bigint) => bigint;

/** What a runtime must give. */
export type Ffi = {
  /** Calls a library's function without arguments that returns an address; the library stays loaded. */
  readonly entry: (library: string, name: string) => bigint;
  /** Makes an address callable. */
  readonly callable: (address: bigint) => CFunction;
  /** The same for a function of which only matters whether it gives the null pointer: whether it did. */
  readonly quick: (address: bigint) => (argument: bigint) => boolean;
  /** Where a buffer lies; it must be kept alive as long as C uses it. */
  readonly addressOf: (buffer: ArrayBuffer) => bigint;
  /** A copy of `length` bytes at an address. */
  readonly copyFrom: (address: bigint, length: number) => Uint8Array;
  /** `prctl(option, value)` of the C library: used to end with the parent. */
  readonly prctl: (option: number, value: number) => void;
  /** The C library's heap, which the plugin's memory comes from; undefined where that is not glibc's. */
  readonly heap: () => Heap | undefined;
};

/** glibc's heap; addresses are below 2^48, so numbers hold them. */
export type Heap = {
  /** `memalign` at 64 bytes, as XLA asks for its memory; 0 when there is none. */
  readonly take: (bytes: number) => number;
  /** `free`. */
  readonly give: (address: number) => void;
  /** `malloc_trim`: gives the pages of all gaps back to the system. */
  readonly trim: () => void;
};

type DenoPointer = { readonly brand: "pointer" };
type CSymbol = (...values: readonly (number | bigint)[]) => number | bigint;

/** The part of Deno that is used here; declared because the same source is compiled for Node. */
type DenoFfi = {
  readonly dlopen: (
    path: string,
    symbols: Readonly<Record<string, object>>,
  ) => { readonly symbols: Readonly<Record<string, CSymbol>> };
  readonly UnsafePointer: {
    readonly of: (view: ArrayBufferView) => DenoPointer | null;
    readonly value: (pointer: DenoPointer | null) => bigint | number;
    readonly create: (address: bigint) => DenoPointer | null;
  };
  readonly UnsafePointerView: {
    readonly getArrayBuffer: (pointer: DenoPointer, length: number) => ArrayBuffer;
  };
  readonly UnsafeFnPointer: new (
    pointer: DenoPointer,
    definition: object,
  ) => { readonly call: (argument: bigint) => bigint | number };
};

const libc = "libc.so.6";

/** The heap through functions of the C library, given what loads one that takes so many words. */
function heapWith(load: (name: string, words: number) => CSymbol): Heap | undefined {
  try {
    const [memalign, free, trim] = [load("memalign", 2), load("free", 1), load("malloc_trim", 1)];
    return {
      take: (bytes) => Number(memalign(64, bytes)),
      give: (address) => void free(address),
      trim: () => void trim(0),
    };
  } catch {
    return undefined; // malloc_trim is glibc's own
  }
}

/**
 * Deno calls a function by its address in 1.2 µs and one by its name in 0.02 µs, and a step ends with a call for each
 * value that it gives back. The C library's `bsearch` makes the one from the other: looking for a key among one element,
 * it calls the comparison once, with the key, and gives the element if that returns 0. Without that library: as usual.
 */
function throughSearch(load: (definition: object) => CSymbol, usual: Ffi["callable"]): Ffi["quick"] {
  try {
    const search = load({ parameters: ["usize", "usize", "usize", "usize", "usize"], result: "usize" });
    return (address) => (argument) => BigInt(search(argument, argument, 1n, 1n, address)) !== 0n;
  } catch {
    return isNull(usual);
  }
}

const isNull = (callable: Ffi["callable"]): Ffi["quick"] => (address) => {
  const fn = callable(address);
  return (argument) => fn(argument) === 0n;
};

function denoFfi(deno: DenoFfi): Ffi {
  const pointer = (address: bigint): DenoPointer => {
    const made = deno.UnsafePointer.create(address);
    if (made === null) throw new TypeError("Cannot use the null pointer");
    return made;
  };
  const load = (library: string, name: string, definition: object): CSymbol =>
    deno.dlopen(library, { [name]: definition }).symbols[name] as CSymbol;
  const callable: Ffi["callable"] = (address) => {
    const fn = new deno.UnsafeFnPointer(pointer(address), { parameters: ["usize"], result: "usize" });
    return (argument) => BigInt(fn.call(argument));
  };
  return {
    entry: (library, name) => BigInt(load(library, name, { parameters: [], result: "usize" })()),
    callable,
    quick: throughSearch((definition) => load(libc, "bsearch", definition), callable),
    addressOf: (buffer) => BigInt(deno.UnsafePointer.value(deno.UnsafePointer.of(new Uint8Array(buffer)))),
    copyFrom: (address, length) =>
      length === 0
        ? new Uint8Array(0)
        : new Uint8Array(deno.UnsafePointerView.getArrayBuffer(pointer(address), length)).slice(),
    prctl: (option, value) => {
      load(libc, "prctl", { parameters: ["i32", "usize"], result: "i32" })(option, BigInt(value));
    },
    heap: () =>
      heapWith((name, words) =>
        load(libc, name, { parameters: Array.from({ length: words }, () => "usize"), result: "usize" })
      ),
  };
}

/** The part of koffi that is used here. */
type Koffi = {
  readonly load: (path: string) => { readonly func: (prototype: string) => CSymbol };
  readonly proto: (prototype: string) => object;
  readonly decode: (address: bigint, type: object) => CSymbol;
  readonly address: (buffer: ArrayBuffer) => bigint | number;
  readonly view: (address: bigint, length: number) => ArrayBuffer;
};

function koffiFfi(koffi: Koffi): Ffi {
  const one = koffi.proto("uintptr_t albert_pjrt_function(uintptr_t argument)");
  const callable: Ffi["callable"] = (address) => {
    const fn = koffi.decode(address, one);
    return (argument) => BigInt(fn(argument));
  };
  return {
    entry: (library, name) => BigInt(koffi.load(library).func(`uintptr_t ${name}()`)()),
    callable,
    quick: isNull(callable),
    addressOf: (buffer) => BigInt(koffi.address(buffer)),
    copyFrom: (address, length) =>
      length === 0 ? new Uint8Array(0) : new Uint8Array(koffi.view(address, length)).slice(),
    prctl: (option, value) => {
      koffi.load(libc).func("int prctl(int option, uintptr_t value)")(option, value);
    },
    heap: () =>
      heapWith((name, words) => {
        const list = Array.from({ length: words }, (_, i) => `uintptr_t word${i}`).join(", ");
        return koffi.load(libc).func(`uintptr_t ${name}(${list})`);
      }),
  };
}

/**
 * The adapter for the runtime that this program runs in.
 *
 * @throws {Error} When `koffi` cannot be loaded in Node.
 */
export async function openFfi(): Promise<Ffi> {
  const { Deno: deno } = globalThis as { readonly Deno?: unknown };
  if (deno !== undefined) return denoFfi(deno as DenoFfi);
  let loaded: { readonly default?: Koffi } & Koffi;
  try {
    loaded = await import("koffi") as unknown as typeof loaded;
  } catch (cause) {
    const [reason] = String((cause as Error).message).split("\n");
    throw new Error(
      `Cannot call XLA from Node: the package koffi cannot be loaded (${reason}); ` +
        "`npm install --include=optional` brings it",
      { cause },
    );
  }
  return koffiFfi(loaded.default ?? loaded);
}
