/**
 * MPI's C functions under Deno and Node. There are three binary interfaces, which differ in what a handle is: MPICH's family
 * (whole numbers of 32 bits), Open MPI (addresses) and the standard one of MPI 5. Facts: the headers of MPICH 4.0, Open MPI
 * 4.1 and the MPI 5.0 standard.
 */

/** A C function. Arrays are given as such and written in place. */
type CValue = number | bigint | ArrayBufferView;
type CFunction = (...values: readonly CValue[]) => number | bigint;
type Kind = "i32" | "usize" | "buffer";
type Signatures = { readonly [name: string]: readonly Kind[] };

/** What is used of MPI, whatever its binary interface. */
export type MpiLibrary = {
  /** What the library calls itself. */
  readonly version: string;
  readonly rank: number;
  readonly size: number;
  /** Sums over all ranks, in place. */
  readonly sum: (values: Float32Array | Float64Array) => void;
  readonly barrier: () => void;
  readonly abort: (code: number) => void;
  readonly finalize: () => void;
};

type Handles = {
  readonly world: number | bigint;
  readonly float: number | bigint;
  readonly double: number | bigint;
  readonly sum: number | bigint;
  /** The address that says that values are replaced. */
  readonly inPlace: bigint;
};

const MPICH: Handles = {
  world: 0x44000000,
  float: 0x4c00040a,
  double: 0x4c00080b,
  sum: 0x58000003,
  inPlace: -1n & 0xffffffffffffffffn,
};
const STANDARD: Handles = {
  world: 0x101n,
  float: 0x210n,
  double: 0x214n,
  sum: 0x21n,
  inPlace: 1n,
};

/** Loads functions of a library; in Node by koffi. */
async function loader(): Promise<
  (path: string, signatures: Signatures) => Readonly<Record<string, CFunction>>
> {
  const { Deno: deno } = globalThis as {
    readonly Deno?: {
      readonly dlopen: (
        path: string,
        symbols: object,
      ) => { readonly symbols: Readonly<Record<string, CFunction>> };
    };
  };
  if (deno !== undefined) {
    return (path, signatures) =>
      deno.dlopen(
        path,
        Object.fromEntries(
          Object.entries(signatures).map((
            [name, parameters],
          ) => [name, { parameters, result: resultOf(name) }]),
        ),
      ).symbols;
  }
  type Koffi = {
    readonly load: (path: string, options: object) => { readonly func: (prototype: string) => CFunction };
  };
  const loaded = await import("koffi") as unknown as { readonly default?: Koffi } & Koffi;
  const koffi = loaded.default ?? loaded;
  const types = { i32: "int", usize: "uintptr_t", buffer: "void *" } as const;
  return (path, signatures) => {
    const library = koffi.load(path, { global: true });
    return Object.fromEntries(
      Object.entries(signatures).map(([name, parameters]) => {
        const list = parameters.map((kind, i) => `${types[kind]} a${i}`).join(", ");
        return [name, library.func(`${types[resultOf(name)]} ${name}(${list})`)];
      }),
    );
  };
}

const resultOf = (name: string): "i32" | "usize" => name.endsWith("_f2c") ? "usize" : "i32";

/** Opens a library of MPI by path or name, and joins the job. */
export async function openMpi(path: string): Promise<MpiLibrary> {
  const load = await loader();
  const early = load(path, { MPI_Get_library_version: ["buffer", "buffer"] }) as {
    readonly MPI_Get_library_version: CFunction;
  };
  const text = new Uint8Array(8192);
  early.MPI_Get_library_version(text, new Int32Array(1)); // may be called before MPI_Init
  const version = new TextDecoder().decode(text.subarray(0, text.indexOf(0))).split("\n")[0]?.trim() ?? "";
  const kind = kindOf(path, version);
  const mpi = load(path, {
    MPI_Init_thread: ["usize", "usize", "i32", "buffer"],
    MPI_Comm_rank: [kind, "buffer"],
    MPI_Comm_size: [kind, "buffer"],
    MPI_Allreduce: ["usize", "buffer", "i32", kind, kind, kind],
    MPI_Barrier: [kind],
    MPI_Abort: [kind, "i32"],
    MPI_Finalize: [],
  });
  const call = (name: string, ...values: readonly CValue[]): void => {
    const code = Number(mpi[name]?.(...values));
    if (code !== 0) throw new Error(`Cannot go on over MPI: ${name} failed with code ${code} (${version})`);
  };
  call("MPI_Init_thread", 0n, 0n, 1, new Int32Array(1)); // one thread calls: funneled
  const handles = handlesOf(path, version, load); // Open MPI's exist from now on
  const { world, inPlace } = handles;
  const number = (name: string): number => {
    const out = new Int32Array(1);
    call(name, world, out);
    return out[0] ?? 0;
  };
  return {
    version,
    rank: number("MPI_Comm_rank"),
    size: number("MPI_Comm_size"),
    sum: (values) => {
      const type = values instanceof Float32Array ? handles.float : handles.double;
      const most = 1 << 28; // counts have 32 bits
      for (let from = 0; from < values.length; from += most) {
        const part = values.subarray(from, Math.min(values.length, from + most));
        call("MPI_Allreduce", inPlace, part, part.length, type, handles.sum, world);
      }
    },
    barrier: () => call("MPI_Barrier", world),
    abort: (code) => call("MPI_Abort", world, code),
    finalize: () => call("MPI_Finalize"),
  };
}

const isMpich = (version: string): boolean => /MPICH|Intel|MVAPICH|CRAY/i.test(version);

/** What a handle is for the caller. */
function kindOf(path: string, version: string): "i32" | "usize" {
  if (/libmpi_abi/.test(path) || version.startsWith("Open MPI")) return "usize";
  if (isMpich(version)) return "i32";
  throw new Error(
    `Cannot use ${path}: "${version}" is neither Open MPI, nor of MPICH's family, nor the standard interface`,
  );
}

function handlesOf(path: string, version: string, load: Awaited<ReturnType<typeof loader>>): Handles {
  if (/libmpi_abi/.test(path)) return STANDARD;
  if (version.startsWith("Open MPI")) {
    // Handles are addresses of its own; from Fortran's numbers it tells them by functions.
    const from = load(path, { MPI_Comm_f2c: ["i32"], MPI_Op_f2c: ["i32"], MPI_Type_f2c: ["i32"] }) as {
      readonly [name in "MPI_Comm_f2c" | "MPI_Op_f2c" | "MPI_Type_f2c"]: CFunction;
    };
    return {
      world: BigInt(from.MPI_Comm_f2c(0)),
      float: BigInt(from.MPI_Type_f2c(13)),
      double: BigInt(from.MPI_Type_f2c(15)),
      sum: BigInt(from.MPI_Op_f2c(3)),
      inPlace: 1n,
    };
  }
  return MPICH;
}
