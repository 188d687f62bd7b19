/**
 * A client of a PJRT plugin: its devices, buffers and programs, every program running on all devices at once. Every handle knows whether it is alive, so no dead
 * address reaches the plugin, and every argument is compared with the program's signature, because the plugin itself
 * reinterprets a buffer of equal size. The client lives as long as the process: destroying one while its threads run is
 * a known way to crash.
 */
import type { DType, Shape, TensorType } from "../../tensor/types.ts";
import { namedValues } from "./client_options.ts";
import type { CreateOptions } from "./client_options.ts";
import type { PjrtApi, Struct } from "./pjrt_api.ts";
import { XlaError } from "./pjrt_api.ts";
import { elementTypes } from "./pjrt_layout.ts";

/** A value on the device. */
export type PjrtBuffer = {
  readonly type: TensorType;
  /** Number of the device, from 0. */
  readonly device: number;
  /** The handle; throws when the buffer is dead. */
  readonly handle: () => bigint;
  /** Copies to the host: row-major, elements as the device has them. */
  readonly download: () => Uint8Array;
  /** Gives the memory back; harmless when repeated. */
  readonly destroy: () => void;
};

/** What the compiler says about a program's memory on one device, bytes. */
export type ProgramMemory = {
  readonly code: number;
  readonly arguments: number;
  readonly outputs: number;
  /** Of the outputs, what lies in donated arguments. */
  readonly alias: number;
  readonly temporary: number;
};

/** A compiled program. */
export type PjrtProgram = {
  readonly memory: ProgramMemory;
  /** Runs once on every device, to the end where that is a processor; arguments marked as donated in the text are dead afterwards. */
  readonly run: (inputs: readonly (readonly PjrtBuffer[])[]) => readonly (readonly PjrtBuffer[])[];
  /** The machine code, for `load`. */
  readonly serialize: () => Uint8Array;
  readonly destroy: () => void;
};

/** What a program takes and gives. */
export type Signature = {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donated: readonly number[];
};

/** A client. */
export type PjrtClient = {
  readonly platform: string;
  readonly version: string;
  readonly devices: readonly string[];
  /** CompileOptionsProto of its programs. */
  readonly compileOptions: Uint8Array;
  readonly upload: (bytes: Uint8Array, type: TensorType, device: number) => PjrtBuffer;
  /** Compiles StableHLO text. */
  readonly compile: (text: string, signature: Signature) => PjrtProgram;
  /** Loads what `serialize` gave. */
  readonly load: (serialized: Uint8Array, signature: Signature) => PjrtProgram;
};

/**
 * CompileOptionsProto { executable_build_options { num_replicas, num_partitions: 1 } }: XLA aborts without it, and when
 * there are no replicas.
 */
function compileOptionsFor(replicas: number): Uint8Array {
  if (!(Number.isInteger(replicas) && replicas >= 1 && replicas <= 127)) {
    throw new RangeError(`Cannot compile for ${replicas} replicas: there must be 1 to 127`);
  }
  return Uint8Array.of(0x1a, 4, 0x20, replicas, 0x28, 1);
}

const sizeOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
/** Bytes of a value on one device. */
export const bytesOf = ({ dtype, shape }: TensorType): number => sizeOf(shape) * elementTypes[dtype].bytes;
const describe = ({ dtype, shape }: TensorType): string => `${dtype} [${shape.join(", ")}]`;
const equalTypes = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((n, i) => n === b.shape[i]);

/** Memory of its own for C: never a view on a small array that the collector may move. */
function own(bytes: Uint8Array): ArrayBuffer {
  const memory = new ArrayBuffer(Math.max(8, bytes.length));
  new Uint8Array(memory).set(bytes);
  return memory;
}

function wordsOf(values: readonly (number | bigint)[]): ArrayBuffer {
  const memory = new ArrayBuffer(Math.max(8, 8 * values.length));
  const view = new DataView(memory);
  values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true));
  return memory;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function createClient(api: PjrtApi, options: CreateOptions): bigint {
  const { list, count, keep } = namedValues(api.ffi, options);
  const args = api.struct("Client_Create").set("create_options", api.ffi.addressOf(list))
    .set("num_options", BigInt(count));
  return api.call(args, keep).get("client");
}

function makeBuffer(api: PjrtApi, type: TensorType, address: bigint, device: number): PjrtBuffer {
  let live = address;
  const handle = (): bigint => {
    if (live === 0n) {
      throw new XlaError(`Cannot use ${describe(type)}: the buffer is freed`, "INVALID_ARGUMENT");
    }
    return live;
  };
  const download = (): Uint8Array => {
    const length = bytesOf(type);
    if (length === 0) return new Uint8Array(0);
    const memory = new ArrayBuffer(Math.max(8, length));
    const args = api.struct("Buffer_ToHostBuffer").set("src", handle())
      .set("dst", api.ffi.addressOf(memory)).set("dst_size", BigInt(length));
    const event = api.call(args, memory).get("event");
    try {
      api.call(api.shared("Event_Await").set("event", event), memory);
    } finally {
      api.free(api.shared("Event_Destroy").set("event", event));
    }
    return new Uint8Array(memory, 0, length);
  };
  const destroy = (): void => {
    if (live === 0n) return;
    const dead = live;
    live = 0n;
    api.free(api.shared("Buffer_Destroy").set("buffer", dead));
  };
  return { type, device, handle, download, destroy };
}

function upload(
  api: PjrtApi,
  client: bigint,
  devices: readonly bigint[],
  bytes: Uint8Array,
  type: TensorType,
  number: number,
): PjrtBuffer {
  const device = devices[number];
  if (device === undefined) throw new XlaError(`Cannot upload: there is no device ${number}`, "NOT_FOUND");
  if (bytes.length !== bytesOf(type)) {
    throw new XlaError(
      `Cannot upload ${describe(type)}: it has ${bytesOf(type)} bytes, ${bytes.length} are given`,
      "INVALID_ARGUMENT",
    );
  }
  const data = bytes.byteOffset === 0 && bytes.length >= 8 && bytes.buffer instanceof ArrayBuffer
    ? bytes.buffer
    : own(bytes);
  const dims = wordsOf(type.shape);
  const args = api.shared("Client_BufferFromHostBuffer").set("client", client)
    .set("data", api.ffi.addressOf(data)).set32("type", elementTypes[type.dtype].code)
    .set("dims", api.ffi.addressOf(dims)).set("num_dims", BigInt(type.shape.length))
    .set("device", device); // Semantics 0: copied before the call returns.
  api.call(args, data, dims);
  const event = args.get("done_with_host_buffer");
  if (event !== 0n) api.free(api.shared("Event_Destroy").set("event", event));
  return makeBuffer(api, type, args.get("buffer"), number);
}

/** The types of a program's outputs, as the plugin has them. */
function outputTypes(api: PjrtApi, executable: bigint): TensorType[] {
  const types = api.call(api.struct("Executable_OutputElementTypes").set("executable", executable));
  const count = Number(types.get("num_output_types"));
  const codes = api.ffi.copyFrom(types.get("output_types"), 4 * count);
  const codeView = new DataView(codes.buffer, codes.byteOffset);
  const dims = api.call(api.struct("Executable_OutputDimensions").set("executable", executable));
  const ranks = api.words(dims.get("dim_sizes"), BigInt(count)).map(Number);
  const flat = api.words(dims.get("dims"), BigInt(ranks.reduce((a, b) => a + b, 0))).map(Number);
  let next = 0;
  return ranks.map((rank, i) => {
    const code = codeView.getInt32(4 * i, true);
    const found = Object.entries(elementTypes).find(([, { code: known }]) => known === code);
    if (found === undefined) {
      throw new XlaError(`Cannot use the program: output ${i} has the unknown type ${code}`, "UNIMPLEMENTED");
    }
    return { dtype: found[0] as DType, shape: flat.slice(next, next += rank) };
  });
}

function memoryOf(api: PjrtApi, executable: bigint): ProgramMemory {
  const stats = api.call(api.struct("Executable_GetCompiledMemoryStats").set("executable", executable));
  return {
    code: Number(stats.get("generated_code_size_in_bytes")),
    arguments: Number(stats.get("argument_size_in_bytes")),
    outputs: Number(stats.get("output_size_in_bytes")),
    alias: Number(stats.get("alias_size_in_bytes")),
    temporary: Number(stats.get("temp_size_in_bytes")),
  };
}

function serialize(api: PjrtApi, executable: bigint): Uint8Array {
  const out = api.call(api.struct("Executable_Serialize").set("executable", executable));
  const bytes = api.ffi.copyFrom(out.get("serialized_bytes"), Number(out.get("serialized_bytes_size")));
  api.ffi.callable(out.get("serialized_executable_deleter"))(out.get("serialized_executable"));
  return bytes;
}

function checkInputs(inputs: readonly PjrtBuffer[], signature: Signature, device: number): void {
  const refuse = (reason: string): XlaError =>
    new XlaError(`Cannot run the program: ${reason}`, "INVALID_ARGUMENT");
  if (inputs.length !== signature.inputs.length) {
    throw refuse(`it takes ${signature.inputs.length} arguments, ${inputs.length} are given`);
  }
  const places = new Map<PjrtBuffer, number>();
  inputs.forEach((input, i) => {
    const wanted = signature.inputs[i] as TensorType;
    if (!equalTypes(input.type, wanted)) {
      throw refuse(`argument ${i} must be ${describe(wanted)}, it is ${describe(input.type)}`);
    }
    if (input.device !== device) {
      throw refuse(`argument ${i} lies on device ${input.device}, not on ${device}`);
    }
    const earlier = places.get(input);
    if (earlier !== undefined && (signature.donated.includes(i) || signature.donated.includes(earlier))) {
      throw refuse(`arguments ${earlier} and ${i} are one buffer, and it is donated`);
    }
    places.set(input, i);
  });
}

/** On how many devices programs run, and whether a run is over when it returns. */
type Running = { readonly count: number; readonly waits: boolean };

/** Memory that one program's runs share; lists of handles by device. */
function executeArguments(
  api: PjrtApi,
  executable: bigint,
  { inputs, outputs }: Signature,
  { count, waits }: Running,
): {
  readonly args: Struct<"LoadedExecutable_Execute">;
  readonly inputs: readonly DataView[];
  readonly outputs: readonly DataView[];
  /** An event a device, which tells that its run has ended. */
  readonly ends: DataView;
  readonly keep: readonly unknown[];
} {
  const each = (values: readonly unknown[]): ArrayBuffer[] =>
    Array.from({ length: count }, () => wordsOf(values.map(() => 0)));
  const [given, results] = [each(inputs), each(outputs)];
  const lists = [wordsOf(given.map(api.ffi.addressOf)), wordsOf(results.map(api.ffi.addressOf))] as const;
  const ends = wordsOf(given.map(() => 0));
  const options = api.struct("ExecuteOptions");
  const args = api.struct("LoadedExecutable_Execute").set("executable", executable)
    .set("options", options.address)
    .set("argument_lists", api.ffi.addressOf(lists[0]))
    .set("num_devices", BigInt(count)).set("num_args", BigInt(inputs.length))
    .set("output_lists", api.ffi.addressOf(lists[1]))
    .set("device_complete_events", waits ? api.ffi.addressOf(ends) : 0n);
  return {
    args,
    inputs: given.map((list) => new DataView(list)),
    outputs: results.map((list) => new DataView(list)),
    ends: new DataView(ends),
    keep: [given, results, lists, ends, options],
  };
}

/** Waits for the end of a run on every device; throws the first failure of one. */
function awaitEnds(api: PjrtApi, ends: DataView, count: number): void {
  const failures: unknown[] = [];
  for (let device = 0; device < count; device++) {
    const event = ends.getBigUint64(8 * device, true);
    try {
      api.call(api.shared("Event_Await").set("event", event));
    } catch (error) {
      failures.push(error);
    }
    api.free(api.shared("Event_Destroy").set("event", event));
  }
  if (failures.length > 0) throw failures[0];
}

function makeProgram(api: PjrtApi, loaded: bigint, signature: Signature, running: Running): PjrtProgram {
  const { count, waits } = running;
  let live = loaded;
  const executable = api.call(api.struct("LoadedExecutable_GetExecutable").set("loaded_executable", loaded))
    .get("executable");
  const destroy = (): void => {
    if (live === 0n) return;
    live = 0n;
    api.call(api.struct("Executable_Destroy").set("executable", executable));
    api.call(api.struct("LoadedExecutable_Destroy").set("executable", loaded));
  };
  const outputs = outputTypes(api, executable);
  const fits = outputs.length === signature.outputs.length &&
    outputs.every((type, i) => equalTypes(type, signature.outputs[i] as TensorType));
  if (!fits) {
    destroy();
    throw new XlaError(
      `Cannot use the program: it gives [${outputs.map(describe).join("; ")}], ` +
        `wanted is [${signature.outputs.map(describe).join("; ")}]`,
      "INVALID_ARGUMENT",
    );
  }
  const shared = executeArguments(api, loaded, signature, running);
  const refuseDead = (): void => {
    if (live === 0n) throw new XlaError("Cannot use the program: it is freed", "INVALID_ARGUMENT");
  };
  const run = (given: readonly (readonly PjrtBuffer[])[]): readonly (readonly PjrtBuffer[])[] => {
    refuseDead();
    if (given.length !== count) {
      throw new XlaError(
        `Cannot run the program: it runs on ${count} devices, arguments for ${given.length} are given`,
        "INVALID_ARGUMENT",
      );
    }
    given.forEach((inputs, device) => {
      checkInputs(inputs, signature, device);
      const list = shared.inputs[device] as DataView;
      inputs.forEach((input, i) => list.setBigUint64(8 * i, input.handle(), true));
    });
    api.call(shared.args, shared.keep);
    given.forEach((inputs) => signature.donated.forEach((i) => inputs[i]?.destroy()));
    const results = shared.outputs.map((list, device) =>
      outputs.map((type, i) => makeBuffer(api, type, list.getBigUint64(8 * i, true), device))
    );
    try {
      if (waits) awaitEnds(api, shared.ends, count);
    } catch (error) {
      results.forEach((each) => each.forEach((buffer) => buffer.destroy()));
      throw error;
    }
    return results;
  };
  return {
    memory: memoryOf(api, executable),
    run,
    serialize: () => {
      refuseDead();
      return serialize(api, executable);
    },
    destroy,
  };
}

/** The line of a program's text that an error message names, under the message. */
function withLine(error: unknown, text: string): unknown {
  const at = error instanceof XlaError ? /-:(\d+):(\d+): error/.exec(error.message) : null;
  const line = at === null ? undefined : text.split("\n")[Number(at[1]) - 1];
  if (line === undefined) return error;
  return new XlaError(`${(error as XlaError).message}\n${line}`, (error as XlaError).code);
}

/**
 * Makes the client of this process.
 *
 * @param api The plugin.
 * @param options Options of the plugin's client, see its documentation.
 * @param count How many of its devices are used: the first ones.
 */
export function openClient(api: PjrtApi, options: CreateOptions, count: number = 1): PjrtClient {
  const client = createClient(api, options);
  const listed = api.call(api.struct("Client_AddressableDevices").set("client", client));
  const all = api.words(listed.get("addressable_devices"), listed.get("num_addressable_devices"));
  if (all.length < count) {
    throw new XlaError(`Cannot open XLA on ${count} devices: it finds ${all.length}`, "NOT_FOUND");
  }
  const devices = all.slice(0, count);
  const kindOf = (each: bigint): string => {
    const description = api.call(api.struct("Device_GetDescription").set("device", each))
      .get("device_description");
    const kind = api.call(
      api.struct("DeviceDescription_Kind").set("device_description", description),
    );
    return api.text(kind.get("device_kind"), kind.get("device_kind_size"));
  };
  const platform = api.call(api.struct("Client_PlatformName").set("client", client));
  const version = api.call(api.struct("Client_PlatformVersion").set("client", client));
  const name = api.text(platform.get("platform_name"), platform.get("platform_name_size"));
  // A processor's run is over before its memory may move; on an accelerator the next upload goes on beside it.
  const running = { count, waits: name === "cpu" };
  const compileOptions = compileOptionsFor(count);
  const encodedOptions = own(compileOptions);
  return {
    platform: name,
    version: api.text(version.get("platform_version"), version.get("platform_version_size")),
    devices: devices.map(kindOf),
    compileOptions,
    upload: (bytes, type, device) => upload(api, client, devices, bytes, type, device),
    compile: (text, signature) => {
      const code = encode(text);
      const [memory, format] = [own(code), own(encode("mlir"))];
      const program = api.struct("Program").set("code", api.ffi.addressOf(memory))
        .set("code_size", BigInt(code.length)).set("format", api.ffi.addressOf(format)).set(
          "format_size",
          4n,
        );
      const args = api.struct("Client_Compile").set("client", client).set("program", program.address)
        .set("compile_options", api.ffi.addressOf(encodedOptions))
        .set("compile_options_size", BigInt(compileOptions.length));
      try {
        api.call(args, program, memory, format, encodedOptions);
      } catch (error) {
        throw withLine(error, text);
      }
      return makeProgram(api, args.get("executable"), signature, running);
    },
    load: (serialized, signature) => {
      const memory = own(serialized);
      const args = api.struct("Executable_DeserializeAndLoad").set("client", client)
        .set("serialized_executable", api.ffi.addressOf(memory))
        .set("serialized_executable_size", BigInt(serialized.length));
      return makeProgram(api, api.call(args, memory).get("loaded_executable"), signature, running);
    },
  };
}
