/**
 * The guide's recipe: the sizes with which a small ALBERT leaves its plateau in minutes on two cores. Short sequences
 * come first, because the break-through needs far fewer steps there; a warm start carries what was learned to longer
 * ones. Batch, rate and initializer range were measured on the embedded corpora.
 */
import { type AlbertConfig } from "./albert.ts";
import { albertPreset } from "./presets.ts";

/**
 * One stage of training: its records and its run. Field names are the flags of `records` and `pretrain`.
 *
 * @example
 * ```ts
 * import { guideRecipe, type RecipeStage } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const first: RecipeStage | undefined = guideRecipe().stages[0];
 * assert.equal(first?.max_seq_length, 16);
 * ```
 */
export type RecipeStage = {
  /** Name of the stage, also of its files. */
  readonly name: string;
  /** Pieces per record. */
  readonly max_seq_length: number;
  /** Masked pieces per record: `masked_lm_prob` of the length. */
  readonly max_predictions_per_seq: number;
  /** Passes over the text when records are made. */
  readonly dupe_factor: number;
  /** Records per step. */
  readonly train_batch_size: number;
  /** Steps of the schedule. */
  readonly num_train_steps: number;
  /** Steps that are run; the schedule of the first stage is cut, so that its rate does not end at 0. */
  readonly stop_after_steps: number;
  /** Steps of the warm-up. */
  readonly num_warmup_steps: number;
  /** Peak rate of LAMB. */
  readonly learning_rate: number;
  /** Whether LAMB's moments go on from the stage before; without it they start fresh. */
  readonly moments?: "fresh" | "carried";
};

/**
 * Everything that the guide decides.
 *
 * @example
 * ```ts
 * import { guideRecipe, type Recipe } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const recipe: Recipe = guideRecipe();
 * assert.equal(recipe.tokenizer.vocab_size, recipe.config.vocab_size);
 * ```
 */
export type Recipe = {
  /** The architecture. */
  readonly config: AlbertConfig;
  /** Flags of the tokenizer. */
  readonly tokenizer: {
    readonly vocab_size: number;
    readonly pad_id: number;
    readonly unk_id: number;
    readonly bos_id: number;
    readonly eos_id: number;
    readonly control_symbols: readonly string[];
    readonly character_coverage: number;
  };
  /** Flags of masking that all stages share. */
  readonly masking: {
    readonly ngram: number;
    readonly do_whole_word_mask: boolean;
    readonly masked_lm_prob: number;
  };
  /** The stages in order; each starts from the weights of the one before. */
  readonly stages: readonly RecipeStage[];
};

/**
 * The recipe of the guide.
 *
 * @param options `quick`: the first stage only, as the notebook runs it by default; default false. `corpus`: the embedded
 * corpus, default `"kjv"`; `"sotu"` repeats less and needs twice the steps to leave its plateau.
 * @returns Architecture, tokenizer flags, stages.
 * @example
 * ```ts
 * import { guideRecipe } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(guideRecipe().stages.map(({ max_seq_length }) => max_seq_length), [16, 64]);
 * assert.equal(guideRecipe({ quick: true }).stages.length, 1);
 * assert.equal(guideRecipe({ corpus: "sotu" }).stages[0]?.stop_after_steps, 6000);
 * ```
 */
export function guideRecipe(
  { quick = false, corpus = "kjv" }: { readonly quick?: boolean; readonly corpus?: "kjv" | "sotu" } = {},
): Recipe {
  const config = albertPreset("guide");
  // Small batches of 256 pieces are the best use of an engine with little overhead per step. At 0.004 one seed of two
  // breaks through much later, at 0.012 none does (the loss stays at U[MASK]).
  const shared = { num_warmup_steps: 100, learning_rate: 0.003 };
  const short: RecipeStage = {
    ...shared,
    name: "short",
    max_seq_length: 16,
    max_predictions_per_seq: 4,
    train_batch_size: 16,
    // Measured on held-out text: the speeches sit on the plateau until step 2,500, the Bible until 1,000.
    ...(corpus === "sotu"
      ? { dupe_factor: 4, num_train_steps: 9000, stop_after_steps: 6000 }
      : { dupe_factor: 2, num_train_steps: 6000, stop_after_steps: 3000 }),
  };
  const long: RecipeStage = {
    ...shared,
    name: "long",
    max_seq_length: 64,
    max_predictions_per_seq: 16,
    dupe_factor: 1,
    train_batch_size: 4,
    num_train_steps: 3000,
    stop_after_steps: 3000,
  };
  return {
    config,
    tokenizer: {
      vocab_size: config.vocab_size,
      pad_id: 0,
      unk_id: 1,
      bos_id: -1,
      eos_id: -1,
      control_symbols: ["[CLS]", "[SEP]", "[MASK]"],
      character_coverage: 0.99995,
    },
    // More predictions per record make the gradient of a small batch less noisy: with 25 % a seed leaves the plateau some
    // 700 steps sooner than with the reference's 15 %, at a tenth more time per step.
    masking: { ngram: 1, do_whole_word_mask: false, masked_lm_prob: 0.25 },
    stages: quick ? [short] : [short, long],
  };
}
