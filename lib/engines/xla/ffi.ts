/**
 * Calling C from TypeScript: five functions, and one adapter each for Deno (`Deno.dlopen`) and Node (`koffi`). Every
 * function of the PJRT C API takes one pointer and returns one, so a single signature is enough; two functions of the
 * C library have their own. Only the worker process loads this file's libraries.
 */

/** A C function of one address that returns one; 0 is the null pointer. */
export type CFunction = (argument: bigint) => bigint;

/** What a runtime must give. */
export type Ffi = {
  /** The address of a symbol in a shared library, which is loaded at first use and stays; throws when either is missing. */
  readonly symbol: (library: string, name: string) => bigint;
  /** Makes an address callable. */
  readonly callable: (address: bigint) => CFunction;
  /** Where a buffer lies; it must be kept alive as long as C uses it. */
  readonly addressOf: (buffer: ArrayBuffer) => bigint;
  /** A copy of `length` bytes at an address. */
  readonly copyFrom: (address: bigint, length: number) => Uint8Array;
  /** `prctl(option, value)` of the C library: used to end with the parent. */
  readonly prctl: (option: number, value: number) => void;
};

type DenoPointer = { readonly brand: unique symbol };

/** The part of Deno that is used here; declared because the same source is compiled for Node. */
type DenoFfi = {
  readonly dlopen: (
    path: string,
    symbols: Readonly<Record<string, object>>,
  ) => { readonly symbols: Readonly<Record<string, unknown>> };
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

const pointerOf = (deno: DenoFfi, address: bigint): DenoPointer => {
  const pointer = deno.UnsafePointer.create(address);
  if (pointer === null) throw new TypeError("Cannot use the null pointer");
  return pointer;
};

function denoFfi(deno: DenoFfi): Ffi {
  const signature = { parameters: ["usize"], result: "usize" };
  return {
    symbol: (library, name) => {
      const { symbols } = deno.dlopen(library, { [name]: { type: "pointer" } });
      // dlsym gives the address of the symbol itself as the value of a static of type pointer's location.
      return BigInt(deno.UnsafePointer.value(symbols[name] as DenoPointer));
    },
    callable: (address) => {
      const fn = new deno.UnsafeFnPointer(pointerOf(deno, address), signature);
      return (argument) => BigInt(fn.call(argument));
    },
    addressOf: (buffer) => BigInt(deno.UnsafePointer.value(deno.UnsafePointer.of(new Uint8Array(buffer)))),
    copyFrom: (address, length) =>
      length === 0
        ? new Uint8Array(0)
        : new Uint8Array(deno.UnsafePointerView.getArrayBuffer(pointerOf(deno, address), length)).slice(),
    prctl: (option, value) => {
      const { symbols } = deno.dlopen("libc.so.6", {
        prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
      });
      (symbols["prctl"] as (...values: (number | bigint)[]) => number)(option, BigInt(value), 0n, 0n, 0n);
    },
  };
}
