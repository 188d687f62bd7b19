/**
 * The configurations: architecture, pretraining and fine-tuning. Defaults with their source, validation that names every mistake, presets.
 *
 * @module
 */
export { albertConfigToJson, parseAlbertConfig } from "./albert.ts";
export type { AlbertConfig, HiddenActivation } from "./albert.ts";
export { nearestName } from "./fields.ts";
export { parseFinetuneConfig } from "./finetuning.ts";
export type { FinetuneConfig, FinetuneTask } from "./finetuning.ts";
export { learningRecipe } from "./learning.ts";
export type { LearningPresetName } from "./learning.ts";
export { albertPreset } from "./presets.ts";
export type { AlbertPresetName } from "./presets.ts";
export { parsePretrainingConfig, pretrainingConfigToJson } from "./pretraining.ts";
export type { PretrainingConfig } from "./pretraining.ts";
export { readAlbertConfig, readPretrainingConfig } from "./read.ts";
export { guideRecipe } from "./recipe.ts";
export type { Recipe, RecipeStage } from "./recipe.ts";
export { parseStages, readStages } from "./stages.ts";
export type { StageConfig } from "./stages.ts";
