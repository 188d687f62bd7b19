/**
 * Accelerators by name, for plans: peak, memory, links, and what share of the peak a training of this kind reached where
 * somebody published it. None of them was run by this project.
 *
 * The share on TPU v3 comes from the cards of the Spanish ALBERT models of CENIA, each on four chips (a v3-8) at 512
 * pieces: base 3.65 M steps of 960 records in 70.4 days, large 1.45 M of 512 in 42, xlarge 2.775 M of 128 in 64.2. By the
 * count of `estimateCost` that is 34, 42 and 50 % of the peak: wider models use it better.
 */

/**
 * What is known of an accelerator.
 *
 * @example
 * ```ts
 * import { type Accelerator, accelerators } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const device: Accelerator | undefined = accelerators()["a100"];
 * assert.equal(device?.peak.bfloat16, 312e12);
 * ```
 */
export type Accelerator = {
  /** Floating-point operations per second by the type of the products; a type that is missing has no published peak. */
  readonly peak: { readonly float32?: number; readonly bfloat16?: number };
  /** Bytes of its memory. */
  readonly memory: number;
  /** Bytes per second of its links to its neighbours in the same host or pod. */
  readonly linkBandwidth: number;
  /** Share of the peak that a training reaches. */
  readonly utilisation: number;
  /** Where peak, memory and links come from. */
  readonly source: string;
  /** Where the utilisation comes from. */
  readonly utilisationSource: string;
};

const cloudTpu = "Google Cloud's page on it, links as all-reduce bandwidth of a pod by its chips";
const nvidia = "NVIDIA's data sheet, dense products";
const spanish = "CENIA's Spanish ALBERT large on a v3-8: 42 % (base 34 %, xlarge 50 %)";
const assumed = (like: string): string => `assumed as ${like}, not measured`;

/**
 * The table of accelerators; a device is one chip of a TPU, one GPU.
 *
 * @returns Accelerators by name.
 * @example
 * ```ts
 * import { accelerators } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { peak, memory } = accelerators()["tpu-v3"]!; // ! a name of the table
 * assert.deepEqual([peak.bfloat16, memory], [123e12, 32 * 2 ** 30]);
 * ```
 */
export function accelerators(): { readonly [name: string]: Accelerator } {
  return {
    "tpu-v3": {
      peak: { bfloat16: 123e12 },
      memory: 32 * 2 ** 30,
      linkBandwidth: 340e12 / 1024,
      utilisation: 0.42,
      source: cloudTpu,
      utilisationSource: spanish,
    },
    "tpu-v4": {
      peak: { bfloat16: 275e12 },
      memory: 32 * 2 ** 30,
      linkBandwidth: 1.1e15 / 4096,
      utilisation: 0.42,
      source: cloudTpu,
      utilisationSource: assumed("tpu-v3"),
    },
    "tpu-v5e": {
      peak: { bfloat16: 197e12 },
      memory: 16e9,
      linkBandwidth: 51.2e12 / 256,
      utilisation: 0.42,
      source: cloudTpu,
      utilisationSource: assumed("tpu-v3"),
    },
    "a100": {
      peak: { float32: 19.5e12, bfloat16: 312e12 },
      memory: 80e9,
      linkBandwidth: 600e9,
      utilisation: 0.4,
      source: nvidia,
      utilisationSource:
        "assumed; NVIDIA publishes 57,287 tokens/s of a BERT of 4 B weights on 8 of them, 55 %, and ALBERT is narrower",
    },
    "h100": {
      peak: { float32: 67e12, bfloat16: 989e12 },
      memory: 80e9,
      linkBandwidth: 900e9,
      utilisation: 0.4,
      source: nvidia,
      utilisationSource: assumed("a100"),
    },
  };
}
