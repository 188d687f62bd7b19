/**
 * What WebGPU says of itself: which adapter a machine gives, and errors, which no call of its own throws. One invalid
 * shader voids a whole batch of work and everything reads as zeros, so each operation is asked for by error scopes
 * (WebGPU, section 22, "Errors & Debugging").
 */
import type { Backend, Shade, TensorInfo } from "./backend.ts";

type Adapter = { readonly info?: { readonly vendor?: string; readonly description?: string } };

async function adapter(): Promise<Adapter | null | undefined> {
  // Node 20 has no navigator at all.
  const { navigator } = globalThis as { navigator?: { gpu?: { requestAdapter(): Promise<Adapter | null> } } };
  return await navigator?.gpu?.requestAdapter().catch(() => null);
}

/** Whether this machine gives a WebGPU adapter. */
export async function hasWebgpuAdapter(): Promise<boolean> {
  return (await adapter() ?? null) !== null;
}

/** What graphics adapter WebGPU offers; software adapters count as well. */
export async function webgpuAdapterName(): Promise<string> {
  const found = await adapter();
  if (found === undefined) return "none: this runtime has no WebGPU";
  if (found === null) return "none that WebGPU can use";
  const { vendor = "", description = "" } = found.info ?? {};
  const maker = /^\d+$/.test(vendor) ? "" : vendor; // some drivers give a number
  return `${maker} ${description}`.trim() || "one without a name";
}

/** A watch over what is asked of a device. */
export type Watch = {
  /** Ends it: what the device complained of meanwhile, if anything. `failed`: something threw. */
  readonly end: (options?: { readonly failed?: boolean }) => Promise<string | undefined>;
  /** Hands over what is still held back, so that errors in it belong to this watch. */
  readonly flush: () => void;
};

/** What tfjs' webgpu backend has of its device. */
type GpuBackend = {
  readonly device?: {
    onuncapturederror: ((event: { readonly error: Error }) => void) | null;
    readonly lost?: Promise<{ readonly reason: string; readonly message: string }>;
    readonly pushErrorScope: (filter: "validation" | "out-of-memory" | "internal") => void;
    readonly popErrorScope: () => Promise<{ readonly message: string } | null>;
  };
  readonly commandEncoder?: object | null;
  readonly submitQueue: () => void;
  readonly endComputePassEncoder: () => void;
};

/** Milliseconds within which a lost device is told. */
const lateness = 100;

/** Waits for a promise, but not for long. */
async function soon(promise: Promise<unknown> | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => timer = setTimeout(resolve, lateness));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

const filters = ["validation", "out-of-memory", "internal"] as const;

/** What a person can do where memory is the reason. */
function withAdvice(message: string): string {
  return /memory|buffer[ _]?size|binding[ _]?size|allocat/i.test(message)
    ? `${message}; the device cannot hold a value of this size: take a smaller train_batch_size or max_seq_length, or ` +
      "another engine such as tfjs-wasm"
    : message;
}

/** Attaches to a backend's device; `takeError` gives and forgets what came outside of any watch. */
export function watchDevice(backend: Backend): {
  readonly takeError: () => string | undefined;
  readonly watch?: () => Watch;
} {
  let last: string | undefined;
  let gone: string | undefined;
  const gpu = backend as unknown as GpuBackend;
  const { device } = gpu;
  if (device === undefined) return { takeError: () => undefined };
  device.onuncapturederror = ({ error }) => last ??= withAdvice(error.message);
  const lost = device.lost?.then(({ reason, message }) => {
    const why = [reason, message].filter((text) => text !== "" && text !== "unknown").join(": ");
    gone = `the GPU device was lost${
      why === "" ? "" : ` (${why})`
    }: start again, or take another engine such as tfjs-wasm`;
  });
  return {
    takeError: () => {
      const taken = gone ?? last;
      last = undefined;
      return taken;
    },
    watch: () => {
      filters.forEach((filter) => device.pushErrorScope(filter));
      return {
        flush: () => {
          if (gpu.commandEncoder === null || gpu.commandEncoder === undefined) return;
          gpu.endComputePassEncoder();
          gpu.submitQueue();
        },
        end: async ({ failed = false } = {}) => {
          const popped = await Promise.all(filters.map(() => device.popErrorScope().catch(() => null)));
          const found = popped.reverse().find((error) => error !== null); // validation comes first
          // That a device is lost is told a little later than the errors that follow from it.
          if (failed || found !== undefined) await soon(lost);
          return gone ?? (found === undefined || found === null ? undefined : withAdvice(found.message));
        },
      };
    },
  };
}

/** Workgroups along one dimension that every device takes (WebGPU, section 3.6, maxComputeWorkgroupsPerDimension). */
const mostGroups = 65535;
const groupSize = 64;

/** Shaders of our own on tfjs' backend, by the interface of its own kernels (tfjs-backend-webgpu, webgpu_program.ts). */
export function shadeOn(backend: Backend): Shade {
  const gpu = backend as unknown as {
    runWebGPUProgram(program: object, inputs: readonly TensorInfo[], dtype: string): TensorInfo;
  };
  return (code, inputs, { elements, dtype }) => {
    const groups = Math.ceil(elements / groupSize);
    const across = groups <= mostGroups ? groups : Math.ceil(Math.sqrt(groups));
    const flat = inputs.map((x) => ({ ...x, shape: [x.shape.reduce((product, size) => product * size, 1)] }));
    const program = {
      outputShape: [elements],
      variableNames: ["A", "B", "C"].slice(0, inputs.length),
      workgroupSize: [groupSize, 1, 1],
      dispatchLayout: { x: [0] },
      dispatch: [across, Math.ceil(groups / across), 1],
      shaderKey: code,
      size: true,
      getUserCode: () => code,
    };
    return gpu.runWebGPUProgram(program, flat, dtype);
  };
}
