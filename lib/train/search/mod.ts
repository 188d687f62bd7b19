/**
 * Embeddings and search: sentence vectors, their nearest neighbours, their principal components.
 *
 * @module
 */
export { centredVectors, nearestVectors } from "./nearest.ts";
export type { Neighbour } from "./nearest.ts";
export { principalComponents } from "./pca.ts";
export type { PrincipalPoints } from "./pca.ts";
export { sentenceVectors } from "./vectors.ts";
export type { SentenceVectorOptions, SentenceVectors } from "./vectors.ts";
