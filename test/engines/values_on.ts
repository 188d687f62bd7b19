/** Values of tensors on an engine of a test's choice. */
import { useEngine } from "albert-guide";
import type { Engine, HostArray, Tensor } from "albert-guide";

/** Computes them one after the other, and leaves the engine of the program as it was: the default. */
export async function valuesOn(engine: Engine, tensors: readonly Tensor[]): Promise<HostArray[]> {
  useEngine(engine);
  try {
    const found: HostArray[] = [];
    for (const tensor of tensors) found.push(await tensor.data());
    return found;
  } finally {
    useEngine(undefined);
  }
}
