/**
 * Fine-tuning as an objective: the cross entropy of labels, or of words' tags, through the encoder and a fresh head.
 */
import type { AlbertConfig, FinetuneConfig } from "../../config/mod.ts";
import { allReduce, crossEntropy, div, maximum, mul, reduceSum, reshape, stack } from "../../tensor/mod.ts";
import type { TensorType } from "../../tensor/mod.ts";
import type { BatchOf } from "../batches.ts";
import type { NamedValues } from "../checkpoint.ts";
import { initialValues } from "../initial.ts";
import type { Objective } from "../objective.ts";
import { correctOnes } from "../totals.ts";
import type { Encoding, FinetuneExample } from "./examples.ts";
import { taskLogits, taskParameters } from "./head.ts";
import type { LabelledText } from "./labelled.ts";
import type { TaskMetrics } from "./metrics.ts";
import { evaluateTask, openScores } from "./predict.ts";

/** What a log line tells of the training batches; a held-out evaluation tells the rest too. */
export type TaskStepMetrics = Pick<TaskMetrics, "loss" | "accuracy"> & Partial<TaskMetrics>;

/** What the objective is made of. */
export type TaskGiven = {
  readonly config: AlbertConfig;
  readonly run: FinetuneConfig;
  readonly labels: readonly string[];
  readonly encoding: Encoding;
  /** Weights of the pretrained model, and their name for the line about the start. */
  readonly pretrained: { readonly parameters: NamedValues; readonly path: string };
  readonly evalExamples: readonly LabelledText[];
};

/** The encoder's weights and a fresh head; with `from_scratch` everything is fresh. */
function initial({ config, run, labels, pretrained }: TaskGiven): ReturnType<Objective["initial"]> {
  const weights = taskParameters(config, { task: run.task, labels: labels.length });
  const fresh = initialValues(weights, config, run.seed);
  if (run.from_scratch) {
    return { parameters: fresh, note: "start: random weights, as --from_scratch asks for" };
  }
  const missing: string[] = [];
  const parameters = Object.fromEntries(weights.map(({ name }) => {
    const given = /^output_/.test(name) ? undefined : pretrained.parameters[name];
    if (given === undefined) missing.push(name);
    return [name, given === undefined ? fresh[name] as Float32Array : Float32Array.from(given)];
  }));
  const note = `start: ${weights.length - missing.length} weights of ${pretrained.path}; fresh: ${
    missing.join(", ")
  }`;
  return { parameters, note };
}

/** Types of a batch of B examples of S pieces. */
function batchTypesOf(
  { task, train_batch_size: B, max_seq_length: S }: FinetuneConfig,
): Record<string, TensorType> {
  const ids: TensorType = { dtype: "int32", shape: [B, S] };
  const wide: readonly number[] = task === "tokens" ? [B, S] : [B, 1];
  return {
    input_ids: ids,
    input_mask: ids,
    segment_ids: ids,
    labels: { dtype: "int32", shape: wide },
    label_weights: { dtype: "float32", shape: wide },
  };
}

/** The objective of a fine-tuning. */
export function taskObjective(given: TaskGiven): Objective<TaskStepMetrics> {
  const { config, run, labels, encoding, evalExamples } = given;
  const { task, max_seq_length: length } = run;
  const shape = { task, labels: labels.length };
  return {
    stage: "finetune",
    parameters: taskParameters(config, shape),
    initial: () => initial(given),
    arrays: ["input_ids", "input_mask", "segment_ids", "labels", "label_weights"],
    batchTypes: batchTypesOf(run),
    batchArrays: (batch: BatchOf<FinetuneExample>) => {
      const { input_ids, input_mask, segment_ids, labels, label_weights } = batch;
      return { input_ids, input_mask, segment_ids, labels, label_weights };
    },
    loss: (parameters, { input_ids, input_mask, segment_ids, labels, label_weights }, options) => {
      const inputs = { inputIds: input_ids, inputMask: input_mask, segmentIds: segment_ids };
      const scores = taskLogits(parameters, inputs as Parameters<typeof taskLogits>[1], config, {
        ...options,
        task,
        rate: run.classifier_dropout_prob,
      });
      const n = scores.shape[0] as number;
      const [truth, weights] = [
        reshape(labels as typeof scores, [n]),
        reshape(label_weights as typeof scores, [n]),
      ];
      const losses = mul(crossEntropy(scores, truth), weights); // 0 where nothing is asked
      const [sum, count] = [reduceSum(losses), reduceSum(weights)];
      const right = reduceSum(mul(correctOnes(scores, truth), weights));
      const loss = div(allReduce(sum), maximum(allReduce(count), 1));
      return { loss, totals: stack([sum, right, count]) };
    },
    totalsLength: 3,
    metricsOf: ({ 0: loss = NaN, 1: right = NaN, 2: count = NaN }) => ({
      loss: loss / count,
      accuracy: right / count,
    }),
    watched: ({ loss }) => loss,
    evaluator: (engine) => {
      if (evalExamples.length === 0) return undefined;
      const scores = openScores(config, shape, { engine, batchSize: run.eval_batch_size, longest: length });
      return {
        run: (parameters) =>
          evaluateTask(scores, parameters, evalExamples, { encoding, task, labels, length }),
        dispose: scores.dispose,
      };
    },
  };
}
