/**
 * An instance as the Example that the trainer expects: eight features, padded with zeros to fixed lengths.
 * Source: `write_instance_to_example_files` of the reference.
 */
import type { PieceTable, StoredInstance, TasksConfig } from "../tasks/mod.ts";
import { encodeKeys, type Example, exampleSize, writeExample } from "./example.ts";

/** Makes a function that serializes instances; its result is overwritten by the next call. */
export function instanceEncoder(
  { max_seq_length, max_predictions_per_seq, do_permutation }: TasksConfig,
  table: PieceTable,
): (instance: StoredInstance) => Uint8Array {
  const most = max_predictions_per_seq * (do_permutation ? 2 : 1);
  const inputIds = new Int32Array(max_seq_length);
  const inputMask = new Int32Array(max_seq_length);
  const segmentIds = new Int32Array(max_seq_length);
  const boundary = new Int32Array(max_seq_length);
  const positions = new Int32Array(most);
  const ids = new Int32Array(most);
  const weights = new Float32Array(most);
  const label = new Int32Array(1);
  const example: Example = {
    input_ids: { type: "int64_list", values: inputIds },
    input_mask: { type: "int64_list", values: inputMask },
    segment_ids: { type: "int64_list", values: segmentIds },
    token_boundary: { type: "int64_list", values: boundary },
    masked_lm_positions: { type: "int64_list", values: positions },
    masked_lm_ids: { type: "int64_list", values: ids },
    masked_lm_weights: { type: "float_list", values: weights },
    next_sentence_labels: { type: "int64_list", values: label },
  };
  const keys = encodeKeys(Object.keys(example));
  let target = new Uint8Array(1024);
  return ({ length, sep, count, pair, tokens, boundary: starts, positions: at, labels }) => {
    for (let i = 0; i < max_seq_length; i++) {
      const real = i < length;
      inputIds[i] = real ? table.recordId(tokens[i] ?? 0) : 0;
      inputMask[i] = real ? 1 : 0;
      segmentIds[i] = real && i >= sep ? 1 : 0;
      boundary[i] = real ? starts[i] ?? 0 : 0;
    }
    for (let i = 0; i < most; i++) {
      const real = i < count;
      positions[i] = real ? at[i] ?? 0 : 0;
      ids[i] = real ? table.recordId(labels[i] ?? 0) : 0;
      weights[i] = real ? 1 : 0;
    }
    label[0] = pair === "next" ? 0 : 1;
    const size = exampleSize(keys, example);
    if (target.length < size + 10) target = new Uint8Array(2 * size);
    writeExample(keys, example, size, target, 0);
    return target.subarray(0, size);
  };
}
