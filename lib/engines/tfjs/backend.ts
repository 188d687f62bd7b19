/**
 * The part of tfjs that this engine uses: a backend's memory and its kernels, without tfjs' own engine, scopes or tape.
 * The packages are loaded late, because they cost a third of a second and the graph itself needs none of them.
 */
import type { DType } from "../../tensor/mod.ts";
import { optionalPackage } from "../../optional_package.ts";
import type { Watch } from "./webgpu.ts";
import { hasWebgpuAdapter, shadeOn, watchDevice, webgpuAdapterName } from "./webgpu.ts";

/** What tfjs calls a tensor: a handle on memory, with a shape. */
export type TensorInfo = {
  readonly dataId: object;
  readonly shape: number[];
  readonly dtype: "float32" | "int32" | "bool";
};

/** Memory of a backend. `read` may wait for a device. */
export type Backend = {
  readonly write: (values: ArrayBufferView | null, shape: readonly number[], dtype: string) => object;
  readonly read: (dataId: object) => Promise<ArrayBufferView>;
  readonly incRef: (dataId: object) => void;
  readonly disposeData: (dataId: object, force?: boolean) => boolean;
  readonly numDataIds: () => number;
};

/** A kernel of a backend. */
export type KernelFunc = (call: {
  readonly inputs: object;
  readonly backend: Backend;
  readonly attrs: object;
}) => TensorInfo | readonly TensorInfo[];

/** Names of the backends. */
export type BackendName = "wasm" | "cpu" | "webgpu" | "node" | "node-gpu";

/** Those that are a package of tfjs of the same name, without native code. */
type PortableName = Exclude<BackendName, "node" | "node-gpu">;

/** What takes a whole graph as one function. */
export type Functions = {
  /**
   * Registers a serialized GraphDef whose nodes of these names are its inputs and outputs. `often`: it will run so often
   * that seconds of compiling pay.
   */
  readonly add: (graph: Uint8Array, inputs: readonly string[], outputs: readonly string[], options: {
    readonly often: boolean;
  }) => {
    readonly run: (inputs: readonly TensorInfo[]) => readonly TensorInfo[];
    readonly dispose: () => void;
  };
};

/** Runs a shader over flat inputs; the result is as flat. */
export type Shade = (
  code: string,
  inputs: readonly TensorInfo[],
  result: { readonly elements: number; readonly dtype: TensorInfo["dtype"] },
) => TensorInfo;

/** A backend made ready. */
export type OpenBackend = {
  readonly name: BackendName;
  readonly backend: Backend;
  /** What it runs on, in words. */
  readonly device: string;
  /** The same values under another shape, where the backend keeps shapes with its memory. */
  readonly reshape?: (x: TensorInfo, shape: readonly number[]) => TensorInfo;
  /** The kernel of that name; throws where the backend has none. */
  readonly kernel: (name: string) => KernelFunc;
  /** Shaders of our own (webgpu). */
  readonly shade?: Shade;
  /** Whole graphs at once, where the backend takes them. */
  readonly functions?: Functions;
  /** Takes and forgets the last error that the device reported on its own (webgpu), if any. */
  readonly takeError: () => string | undefined;
  /** Watches what a device says of all that is asked of it until the returned function is called (webgpu). */
  readonly watch?: () => Watch;
  /** Whether WebAssembly has SIMD here. */
  readonly simd: boolean;
};

/** The element type under which tfjs keeps ours: uint32 lives as the bits of an int32. */
export function storedType(dtype: DType): TensorInfo["dtype"] {
  if (dtype === "bfloat16") {
    throw new TypeError(
      "Cannot make a bfloat16 value: tfjs has no such type, use compute_dtype float32 or another engine",
    );
  }
  return dtype === "uint32" ? "int32" : dtype;
}

const backends: { readonly [Name in PortableName]: () => Promise<unknown> } = {
  wasm: () => import("@tensorflow/tfjs-backend-wasm"),
  cpu: () => import("@tensorflow/tfjs-backend-cpu"),
  webgpu: () => import("@tensorflow/tfjs-backend-webgpu"),
};

/** tfjs and its version, which its backends share. */
export async function portableVersion(): Promise<string> {
  const core = await optionalPackage(
    "@tensorflow/tfjs-core",
    "tell its version",
    () => import("@tensorflow/tfjs-core"),
  );
  return `tfjs ${core.version_core}`;
}

/**
 * Loads a backend of tfjs.
 *
 * @throws {Error} When the machine has no WebGPU adapter, tfjs-node is not installed, or the backend cannot start.
 */
export async function openBackend(name: BackendName): Promise<OpenBackend> {
  if (name === "node" || name === "node-gpu") {
    const { openNode } = await import("./node/open.ts"); // late: the browser's page has no such packages
    return openNode(`tfjs-${name}`);
  }
  if (name === "webgpu" && !await hasWebgpuAdapter()) {
    throw new Error(
      "Cannot open tfjs-webgpu: this machine gives no WebGPU adapter, use tfjs-wasm or install a GPU driver",
    );
  }
  const purpose = `open tfjs-${name}`;
  const core = await optionalPackage("@tensorflow/tfjs-core", purpose, () => import("@tensorflow/tfjs-core"));
  await optionalPackage(`@tensorflow/tfjs-backend-${name}`, purpose, backends[name]);
  if (name === "webgpu") core.env().set("WEBGPU_CPU_FORWARD", false);
  if (!await core.setBackend(name)) {
    throw new Error(`Cannot open tfjs-${name}: tfjs could not start its ${name} backend`);
  }
  const backend = core.backend() as unknown as Backend & { firstUse?: boolean };
  // The cpu backend would print an advertisement at its first use.
  if (name === "cpu") backend.firstUse = false;
  return {
    name,
    backend,
    device: name === "webgpu" ? `WebGPU, ${await webgpuAdapterName()}` : `tfjs ${name}`,
    kernel: (kernelName) => {
      const config = core.getKernel(kernelName, name);
      if (config === undefined || config === null) {
        throw new Error(`Cannot run ${kernelName}: tfjs-${name} has no such kernel`);
      }
      return config.kernelFunc as unknown as KernelFunc;
    },
    ...name === "webgpu"
      ? { ...watchDevice(backend), shade: shadeOn(backend) }
      : { takeError: () => undefined },
    simd: name === "wasm" && await core.env().getAsync("WASM_HAS_SIMD_SUPPORT") === true,
  };
}
