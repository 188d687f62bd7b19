/**
 * A model in the browser: the project's own tokenizer, ONNX Runtime's WebAssembly for the scores. Both come from beside the
 * page. The runtime uses one thread, so that any static server will do.
 */
import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { preprocessText } from "../lib/text/preprocess.ts";
import { loadSentencePiece } from "../lib/tokenizer/encoder.ts";
import { bestPieces, type FilledPiece, type MaskedInput, maskedInput } from "../lib/train/masked_input.ts";

/** What `web/build.ts` writes about the model it lays beside the page. */
export type ModelIndex = {
  readonly title: string;
  readonly positions: number;
  readonly doLowerCase: boolean;
  readonly keepAccents: boolean;
  /** File of each kind of weights, the most exact first. */
  readonly weights: readonly {
    readonly name: string;
    readonly file: string;
    readonly bytes: number;
  }[];
};

/** One [MASK] with its candidates. */
export type Filled = {
  readonly place: number;
  readonly best: readonly FilledPiece[];
};

export type BrowserModel = {
  /** Cuts a text into pieces; throws what a person can read. */
  readonly cut: (text: string) => MaskedInput;
  /** The candidates for every [MASK]. */
  readonly fill: (
    input: MaskedInput,
    topK: number,
  ) => Promise<readonly Filled[]>;
};

async function load(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new Error(
      `Cannot load ${url.pathname}: the server says ${answer.status} ${answer.statusText}`,
    );
  }
  return new Uint8Array(await answer.arrayBuffer());
}

/** Probabilities from scores. */
function softmax(scores: Float32Array): Float32Array {
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Reads what the build says of the model. */
export async function readIndex(folder: URL): Promise<ModelIndex> {
  return JSON.parse(
    new TextDecoder().decode(await load(new URL("index.json", folder))),
  );
}

/**
 * Opens a model.
 *
 * @param folder Where its files lie, with a slash at the end.
 * @param index What the build says of it.
 * @param file The weights to take.
 */
export async function openModel(
  folder: URL,
  index: ModelIndex,
  file: string,
): Promise<BrowserModel> {
  env.wasm.numThreads = 1;
  env.wasm.wasmPaths = {
    wasm: new URL("ort-wasm-simd-threaded.wasm", document.baseURI).href,
  };
  const [piecesFile, weights] = await Promise.all([
    load(new URL("spiece.model", folder)),
    load(new URL(file, folder)),
  ]);
  const tokenizer = loadSentencePiece(piecesFile);
  const session = await InferenceSession.create(weights, {
    executionProviders: ["wasm"],
  });
  const prepare = (text: string): string =>
    preprocessText(text, { lower: index.doLowerCase, keepAccents: index.keepAccents });
  return {
    cut: (text) => maskedInput(text, { tokenizer, positions: index.positions, prepare }),
    fill: async ({ ids, segments, masks }, topK) => {
      const input = (values: ArrayLike<number>): Tensor =>
        new Tensor("int64", BigInt64Array.from(Array.from(values, BigInt)), [
          1,
          values.length,
        ]);
      const { logits } = await session.run({
        input_ids: input(ids),
        attention_mask: input(ids.map(() => 1)),
        token_type_ids: input(segments),
      }, ["logits"]);
      if (logits === undefined) {
        throw new Error(
          "Cannot fill: the model gives no logits, export it with --onnx_outputs",
        );
      }
      const pieces = logits.dims[2] as number;
      const scores = logits.data as Float32Array;
      return masks.map((place) => {
        const row = softmax(
          scores.subarray(place * pieces, (place + 1) * pieces),
        );
        return { place, best: bestPieces(row, topK, tokenizer) };
      });
    },
  };
}
