/**
 * Runs a model over texts of any lengths: sorted by length, in batches that are padded to a few lengths only, so that little
 * is computed for padding and few programs are compiled. Results come back in the order of the texts.
 */
import type { EncoderInputs, NamedTensors, ParameterSpec } from "../model/mod.ts";
import type { OnProgress } from "../progress.ts";
import { compile, type Engine, type Tensor, type TensorType } from "../tensor/mod.ts";
import { type NamedArrays, typesOf } from "./step.ts";

/** A text as piece ids, and the segment of each. */
export type TextIds = { readonly ids: readonly number[]; readonly segments: readonly number[] };

/** What is run, and how. */
export type ByLengthOptions = {
  readonly engine: Engine;
  readonly weights: readonly ParameterSpec[];
  /** Texts in a batch. */
  readonly batchSize: number;
  /** Most pieces of a text. */
  readonly longest: number;
  /** The result of a batch; its first size is a multiple of the texts'. */
  readonly compute: (parameters: NamedTensors, inputs: EncoderInputs) => Tensor;
};

/** Programs that are compiled when they are first needed. */
export type ByLength = {
  readonly run: (
    parameters: NamedArrays,
    texts: readonly TextIds[],
    watch?: { readonly signal?: AbortSignal | undefined; readonly onProgress?: (done: number) => void },
  ) => Promise<Float32Array[]>;
  readonly dispose: () => void;
};

/** The next power of two, at least 16 pieces or 1 text, at most `most`. */
const padded = (count: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, 2 ** Math.ceil(Math.log2(count))));

/** Opens the programs of a model. */
export function openByLength({ engine, weights, batchSize, longest, compute }: ByLengthOptions): ByLength {
  const build = (B: number, S: number) => {
    const ids: TensorType = { dtype: "int32", shape: [B, S] };
    return compile(
      ({ parameters, ...inputs }) => ({ values: compute(parameters, inputs) }),
      { parameters: typesOf(weights), inputIds: ids, inputMask: ids, segmentIds: ids },
      { engine },
    );
  };
  const programs = new Map<string, Awaited<ReturnType<typeof build>>>();
  const programOf = async (B: number, S: number) => {
    const key = `${B} ${S}`;
    const program = programs.get(key) ?? await build(B, S);
    programs.set(key, program);
    return program;
  };
  const run: ByLength["run"] = async (parameters, texts, { signal, onProgress } = {}) => {
    const order = texts.map((_, i) => i).sort((a, b) => lengthOf(texts[a]) - lengthOf(texts[b]) || a - b);
    const results: Float32Array[] = new Array(texts.length);
    for (let from = 0; from < order.length; from += batchSize) {
      signal?.throwIfAborted();
      const rows = order.slice(from, from + batchSize);
      const S = padded(lengthOf(texts[rows.at(-1) ?? 0]), 16, longest);
      const B = padded(rows.length, 1, batchSize);
      const flat = (valueOf: (text: TextIds, i: number) => number): Int32Array => {
        const values = new Int32Array(B * S);
        rows.forEach((text, row) => {
          const { ids, segments } = texts[text] as TextIds; // an index of texts
          for (let i = 0; i < ids.length; i++) values[row * S + i] = valueOf({ ids, segments }, i);
        });
        return values;
      };
      const { values } = await (await programOf(B, S)).run({
        parameters,
        inputIds: flat(({ ids }, i) => ids[i] ?? 0),
        inputMask: flat(() => 1),
        segmentIds: flat(({ segments }, i) => segments[i] ?? 0),
      });
      const data = await values.data();
      values.dispose();
      const width = data.length / B;
      rows.forEach((text, row) => {
        results[text] = Float32Array.from(data.subarray(row * width, (row + 1) * width));
      });
      onProgress?.(from + rows.length);
    }
    return results;
  };
  return { run, dispose: () => programs.forEach((program) => program.dispose()) };
}

const lengthOf = (text: TextIds | undefined): number => text?.ids.length ?? 0;

/** Reports of a stage that counts texts. */
export const tellTexts = (
  onProgress: OnProgress | undefined,
  stage: string,
  total: number,
): (done: number) => void =>
(done) => onProgress?.({ stage, done, total, unit: "texts" });
