/**
 * Opens a package of tfjs-node as a backend of the engine.
 */
import type { OpenBackend, TensorInfo } from "../backend.ts";
import type { TensorFlow } from "./binding.ts";
import { tensorFlowOn } from "./binding.ts";
import { nodeKernel } from "./kernels.ts";
import { loadNodePackage } from "./package.ts";
import type { NodePackage } from "./package.ts";

/** The backend over TensorFlow's operations, run or written down. */
export function nodeBackend(
  tf: TensorFlow,
  { name, device }: Pick<OpenBackend, "name" | "device">,
): OpenBackend {
  return {
    name,
    device,
    backend: tf.backend,
    ...tf.functions === undefined ? {} : { functions: tf.functions },
    kernel: (kernel) => {
      const found = nodeKernel(tf, kernel);
      if (found === undefined) throw new Error(`Cannot run ${kernel}: tfjs-${name} has no such kernel`);
      return found;
    },
    reshape: (x, shape) =>
      nodeKernel(tf, "Reshape")?.({ inputs: { x }, backend: tf.backend, attrs: { shape } }) as TensorInfo,
    takeError: () => undefined,
    simd: false,
  };
}

/**
 * Opens the package.
 *
 * @throws {Error} When it is not there, does not load, or is the one for a GPU and TensorFlow sees none.
 */
export function openNode(name: NodePackage): OpenBackend {
  const { binding } = loadNodePackage(name);
  const gpu = name === "tfjs-node-gpu";
  if (gpu && !binding.isUsingGpuDevice()) {
    throw new Error(
      "Cannot open tfjs-node-gpu: TensorFlow sees no GPU; it needs an NVIDIA driver (`nvidia-smi` shows the GPU) and the " +
        "CUDA libraries that `deno task albert environment --install=tfjs-node-gpu` fetches; use tfjs-node",
    );
  }
  const tf = tensorFlowOn(binding);
  return nodeBackend(tf, {
    name: gpu ? "node-gpu" : "node",
    device: `TensorFlow ${binding.TF_Version} on ${gpu ? "a GPU" : "the processor"}`,
  });
}
