/**
 * Values on the device as their owner sees them: each knows the process it lives in and why it cannot be used any more. A
 * dead process is replaced at the next use; its values are lost and say so.
 */
import { describe } from "../../tensor/mod.ts";
import type { Buffer, HostArray, TensorType } from "../../tensor/mod.ts";
import { makeCompiler } from "./compiler.ts";
import type { Compiler } from "./compiler.ts";
import { fromDeviceBytes, toDeviceBytes } from "./host_values.ts";
import { elementTypes } from "./pjrt_layout.ts";
import { startSession } from "./session.ts";
import type { Session, SessionOptions } from "./session.ts";

/** A value on every device of one process. */
export type XlaBuffer = Buffer & {
  readonly id: number;
  readonly session: Session;
  /** Whether each device has its part of the first dimension, rather than the whole. */
  readonly split: boolean;
  /** Why it cannot be used, once it cannot: an error, or the end of a sentence that becomes one when it is needed. */
  readonly state: { gone?: string | Error };
  /** The values made with it. Only when nobody holds any of them are those freed that nobody released. */
  readonly group: Group;
};

type Group = { readonly ids: Set<number> };

/** The type alone, fit for a message. */
export const plainType = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape: [...shape] });

/** Bytes of a value on the device. */
export function bytesOf({ dtype, shape }: TensorType): number {
  return shape.reduce((product, size) => product * size, elementTypes[dtype].bytes);
}

/** The type of one device's part of a value. */
export function partOf({ dtype, shape: [rows, ...rest] }: TensorType, devices: number): TensorType {
  if (rows === undefined || rows % devices !== 0) {
    throw new RangeError(
      `Cannot split ${describe({ dtype, shape: rows === undefined ? [] : [rows, ...rest] })} ` +
        `over ${devices} devices: its first size must be a multiple of their number`,
    );
  }
  return { dtype, shape: [rows / devices, ...rest] };
}

/** The values of an engine, and the process that holds them. */
export type Values = {
  /** The process, started anew when the last one is dead. */
  readonly live: () => Session;
  /** What compiles for it. */
  readonly compiler: Compiler;
  readonly devices: number;
  /** A name for a value or a program. */
  readonly newId: () => number;
  /** Values that the process will make. */
  readonly buffers: (types: readonly TensorType[], owner: Session, split?: boolean) => readonly XlaBuffer[];
  /** The buffer, if it can be used here and now; else throws why not. */
  readonly usable: (given: Buffer, action: string) => XlaBuffer;
  readonly release: (given: Buffer) => void;
  /** Notes that a program has taken its memory. */
  readonly forget: (given: XlaBuffer) => void;
  readonly upload: (
    values: HostArray,
    type: TensorType,
    options?: { readonly split?: boolean },
  ) => Promise<XlaBuffer>;
  readonly download: (given: Buffer, device?: number) => Promise<HostArray>;
  readonly close: () => Promise<void>;
};

function foreign(given: Buffer, action: string): TypeError {
  return new TypeError(`Cannot ${action} ${describe(given)}: it belongs to another engine`);
}

function refuseWrong(values: HostArray, type: TensorType): void {
  const known = Object.hasOwn(elementTypes, type.dtype);
  if (!known || !type.shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new TypeError(
      `Cannot upload ${describe(type)}: the type must be one of ${Object.keys(elementTypes).join(", ")}, ` +
        "sizes whole numbers from 0 on",
    );
  }
  if (!ArrayBuffer.isView(values) || values.length * elementTypes[type.dtype].bytes !== bytesOf(type)) {
    throw new RangeError(`Cannot upload ${describe(type)}: ${values?.length ?? 0} values are given`);
  }
}

/** Makes values, and frees those that nobody released when nobody holds them any more. */
function makeNet(
  newId: () => number,
): Pick<Values, "buffers"> & { readonly lose: (given: XlaBuffer) => void } {
  // Only the net: a value with an owner was released long ago.
  const dropped = new FinalizationRegistry<{ readonly session: Session; readonly ids: ReadonlySet<number> }>(
    ({ session: owner, ids }) => {
      if (owner.death() === undefined) owner.release([...ids]);
    },
  );
  const lose = ({ id, group }: XlaBuffer): void => {
    group.ids.delete(id);
    if (group.ids.size === 0) dropped.unregister(group);
  };
  const buffers: Values["buffers"] = (types, owner, split = false) => {
    const group: Group = { ids: new Set() };
    const made = types.map(({ dtype, shape }) => {
      const id = newId();
      group.ids.add(id);
      return { dtype, shape, id, session: owner, split, state: {}, group };
    });
    if (made.length > 0) dropped.register(group, { session: owner, ids: group.ids }, group);
    return made;
  };
  return { buffers, lose };
}

/** The values of one engine. */
export function makeValues(options: SessionOptions): Values {
  let session: Session | undefined;
  let nextId = 1;
  const newId = (): number => nextId++;
  const { buffers, lose } = makeNet(newId);
  const live = (): Session => {
    if (session === undefined || session.death() !== undefined) session = startSession(options);
    return session;
  };
  const usable = (given: Buffer, action: string): XlaBuffer => {
    const { state, session: owner } = given as Partial<XlaBuffer>;
    if (state === undefined || owner === undefined) throw foreign(given, action);
    const gone = owner.death() ?? state.gone;
    if (typeof gone === "string") throw new Error(`Cannot use ${describe(given)}: it was ${gone}`);
    if (gone !== undefined) throw gone;
    if (owner !== session) throw foreign(given, action);
    return given as XlaBuffer;
  };
  const release = (given: Buffer): void => {
    const { state, session: owner, id } = given as Partial<XlaBuffer>;
    if (state === undefined || owner === undefined || id === undefined) throw foreign(given, "release");
    if (typeof state.gone === "string") return;
    state.gone ??= "released";
    lose(given as XlaBuffer);
    // A value that could not be made stands in the process as its error.
    if (owner.death() === undefined) owner.release([id]);
  };
  const compiler = makeCompiler(options);
  return {
    live,
    compiler,
    devices: options.devices,
    newId,
    buffers,
    usable,
    release,
    forget: (given) => {
      given.state.gone = "donated to a program";
      lose(given);
    },
    upload: async (values, type, { split = false } = {}) => {
      refuseWrong(values, type);
      const parts = split && options.devices > 1;
      const onDevice = parts ? partOf(type, options.devices) : type;
      const owner = live();
      const [made] = buffers([plainType(type)], owner, parts) as readonly [XlaBuffer];
      owner.tell(
        { kind: "upload", buffer: made.id, type: plainType(onDevice), split: parts },
        toDeviceBytes(values, type.dtype),
      );
      await owner.drained();
      return made;
    },
    download: async (given, device) => {
      const { session: owner, id, dtype, split } = usable(given, "download");
      const from = device ?? (split ? "all" : 0);
      const { bytes } = await owner.ask({ kind: "download", buffer: id, device: from });
      return fromDeviceBytes(bytes, dtype);
    },
    close: async () => void await Promise.all([session?.close(), compiler.close()]),
  };
}
