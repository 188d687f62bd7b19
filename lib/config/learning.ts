/**
 * Presets that visibly learn within minutes on two processor cores: sizes, masks and schedules in stages. P1, P2 and P3
 * are those of a study on the King James Bible in clauses (1,024 positions a step, LAMB 0.006); `best15` and `larger` go
 * past it with batches a quarter as large, the rate halved, and moments carried from stage to stage.
 */
import { albertPreset } from "./presets.ts";
import type { Recipe, RecipeStage } from "./recipe.ts";

/**
 * Names of the learning presets, shortest first.
 *
 * @example
 * ```ts
 * import { type LearningPresetName, learningRecipe } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const names: LearningPresetName[] = ["P1", "P2", "P3"];
 * assert.deepEqual(names.map((name) => learningRecipe(name).stages.length), [1, 2, 2]);
 * ```
 */
export type LearningPresetName = "P1" | "P2" | "P3" | "best15" | "larger";

type Size = {
  readonly layers: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly range: number;
};
type Masks = Recipe["masking"];

const perPiece: Masks = { ngram: 1, do_whole_word_mask: false, masked_lm_prob: 0.15 };
const words = (ngram: number): Masks => ({ ngram, do_whole_word_mask: true, masked_lm_prob: 0.15 });

/** A stage from its length, batch, steps and passes; predictions are the share of the length that is masked. */
function stageOf(
  [length, batch, steps, dupe]: readonly [length: number, batch: number, steps: number, dupe: number],
  { masked_lm_prob }: Masks,
  rest: Partial<RecipeStage> = {},
): RecipeStage {
  return {
    name: `${length}`,
    max_seq_length: length,
    max_predictions_per_seq: Math.round(masked_lm_prob * length),
    dupe_factor: dupe,
    train_batch_size: batch,
    num_train_steps: steps,
    stop_after_steps: steps,
    num_warmup_steps: 100,
    learning_rate: 0.006,
    ...rest,
  };
}

function recipeOf(
  { layers, hidden, vocabulary, positions, range }: Size,
  masking: Masks,
  stages: readonly RecipeStage[],
): Recipe {
  return {
    config: albertPreset("guide", {
      vocab_size: vocabulary,
      embedding_size: hidden / 2, // E = H would leave out the mapping layer
      hidden_size: hidden,
      num_hidden_layers: layers,
      intermediate_size: 4 * hidden,
      max_position_embeddings: positions,
      initializer_range: range,
    }),
    tokenizer: {
      vocab_size: vocabulary,
      pad_id: 0,
      unk_id: 1,
      bos_id: -1,
      eos_id: -1,
      control_symbols: ["[CLS]", "[SEP]", "[MASK]"],
      character_coverage: 0.99995,
    },
    masking,
    stages,
  };
}

const recipes: Readonly<Record<LearningPresetName, () => Recipe>> = {
  P1: () =>
    recipeOf({ layers: 2, hidden: 64, vocabulary: 1000, positions: 32, range: 0.07 }, perPiece, [
      stageOf([32, 32, 3000, 4], perPiece),
    ]),
  P2: () =>
    recipeOf({ layers: 2, hidden: 128, vocabulary: 2000, positions: 64, range: 0.06 }, words(3), [
      stageOf([16, 64, 1500, 3], words(3)),
      stageOf([64, 16, 2500, 4], words(3)),
    ]),
  P3: () =>
    recipeOf({ layers: 3, hidden: 128, vocabulary: 4000, positions: 64, range: 0.05 }, words(1), [
      stageOf([16, 64, 1800, 3], words(1), { stop_after_steps: 1200 }), // cut, so that its rate does not end at 0
      stageOf([64, 16, 5000, 6], words(1)),
    ]),
  best15: () => carried(40000, 10),
  larger: () => carried(40000, 1),
};

/** P3's model with a quarter of its batch, half its rate, more steps, and moments carried into the second stage. */
function carried(steps: number, passes: number): Recipe {
  const slow = { learning_rate: 0.003, num_warmup_steps: 400 };
  return recipeOf({ layers: 3, hidden: 128, vocabulary: 4000, positions: 64, range: 0.05 }, words(1), [
    stageOf([16, 16, 7200, Math.min(passes, 3)], words(1), { ...slow, stop_after_steps: 4800 }),
    stageOf([64, 4, steps, passes], words(1), { ...slow, moments: "carried" }),
  ]);
}

/**
 * A preset that leaves the plateau of ALBERT's pretraining: everything from tokenizer flags to the stages.
 *
 * @param name `P1`, `P2`, `P3`: 1, 3 and 7 minutes on two quiet cores in the study; `best15` takes 11 and gets
 * furthest; `larger` is sized for 15 by the same hints, on a larger corpus, and was not measured to its end.
 * @returns Architecture, tokenizer flags, masking, stages.
 * @throws {TypeError} When the name is unknown.
 * @example
 * ```ts
 * import { albertParameters, learningRecipe } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { config, stages } = learningRecipe("P3");
 * const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);
 * assert.equal(albertParameters(config).reduce((sum, { shape }) => sum + size(shape), 0), 496_098);
 * assert.deepEqual(stages.map(({ max_seq_length }) => max_seq_length), [16, 64]);
 * ```
 */
export function learningRecipe(name: LearningPresetName): Recipe {
  if (!Object.hasOwn(recipes, name)) {
    throw new TypeError(
      `Cannot take the learning preset ${name}: the presets are ${Object.keys(recipes).join(", ")}`,
    );
  }
  return recipes[name]();
}
