/** A fine-tuning of milliseconds a step: words of a few pieces, a tokenizer for them, a tiny model with dropout. */
import {
  type AlbertConfig,
  albertPreset,
  type FinetuneConfig,
  parseFinetuneConfig,
} from "../../lib/config/mod.ts";
import { type FinetuneOptions, initialParameters, type LabelledText } from "../../lib/train/mod.ts";
import { modelOf } from "../commands/letters.ts";

const colours = ["red", "green", "blue"];
const animals = ["cat", "dog", "cow"];
export const words: readonly string[] = [...colours, ...animals, "the", "is"];

export const tokenizer: Uint8Array = modelOf([
  ...["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
  ...words.map((word) => `▁${word}`),
]);

export const config: AlbertConfig = albertPreset("tiny", {
  ...{ vocab_size: 5 + words.length, embedding_size: 8, hidden_size: 16, intermediate_size: 16 },
  ...{ max_position_embeddings: 12, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 },
});

export const model: FinetuneOptions["model"] = {
  config,
  parameters: initialParameters(config, 1),
  tokenizer,
  path: "a model",
};

const sentence = (i: number): string[] => [
  "the",
  animals[i % 3] ?? "",
  "is",
  colours[Math.floor(i / 3) % 3] ?? "",
];

/** Nine sentences: their colour, whether a second one has the same animal, what is a colour and what an animal. */
export const examples: Readonly<Record<FinetuneConfig["task"], readonly LabelledText[]>> = {
  classify: Array.from(
    { length: 9 },
    (_, i) => ({ text: sentence(i).join(" "), label: sentence(i)[3] ?? "" }),
  ),
  pair: Array.from({ length: 9 }, (_, i) => ({
    text: sentence(i).join(" "),
    textB: i % 2 === 0 ? "red" : "cow",
    label: i % 2 === 0 ? "colour" : "animal",
  })),
  tokens: Array.from({ length: 9 }, (_, i) => ({
    tokens: sentence(i),
    tags: ["O", "B-ANIMAL", "O", "B-COLOUR"],
  })),
};

export const runOf = (changes: Partial<FinetuneConfig>): FinetuneConfig =>
  parseFinetuneConfig({
    ...{
      task: "classify",
      max_seq_length: 10,
      train_batch_size: 4,
      learning_rate: 0.003,
      num_train_epochs: 8,
    },
    ...{ warmup_proportion: 0.2, seed: 3, log_every: 5, ...changes },
  });
