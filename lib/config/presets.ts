/**
 * Architectures by name. base to xxlarge are the released ones (google-research/albert, released config files and the
 * author's statement on dropout in issue 23); tiny, small and guide are this guide's own, sized for a laptop.
 */
import { type AlbertConfig, parseAlbertConfig } from "./albert.ts";

/**
 * Names of the presets, smallest first.
 *
 * @example
 * ```ts
 * import { type AlbertPresetName, albertPreset } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name: AlbertPresetName = "large";
 * assert.equal(albertPreset(name).num_hidden_layers, 24);
 * ```
 */
export type AlbertPresetName = "tiny" | "small" | "guide" | "base" | "large" | "xlarge" | "xxlarge";

type Size = readonly [hidden: number, layers: number, heads: number, dropoutOfVersion1: number];

const released: Readonly<Record<"base" | "large" | "xlarge" | "xxlarge", Size>> = {
  base: [768, 12, 12, 0.1],
  large: [1024, 24, 16, 0.1],
  xlarge: [2048, 24, 16, 0.1],
  xxlarge: [4096, 12, 64, 0],
};

// initializer_range 0.02 was chosen for H 768 to 4096; about 0.02 × √(768 / H) keeps the products' size for small H.
// guide has E = H, which the reference builds without the mapping layer: with E 32 or 48 it needs about twice the steps
// to leave the plateau (measured on the embedded Bible), and 0.1 is faster than 0.07 there.
const own: Readonly<Record<"tiny" | "small" | "guide", Partial<AlbertConfig>>> = {
  tiny: {
    vocab_size: 1000,
    embedding_size: 16,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 64,
    max_position_embeddings: 64,
    initializer_range: 0.1,
  },
  guide: {
    vocab_size: 1000,
    embedding_size: 64,
    hidden_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    intermediate_size: 256,
    max_position_embeddings: 64,
    initializer_range: 0.1,
  },
  small: {
    vocab_size: 4000,
    embedding_size: 64,
    hidden_size: 128,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    intermediate_size: 512,
    max_position_embeddings: 128,
    initializer_range: 0.05,
  },
};

/**
 * A named architecture.
 *
 * @param name `tiny`, `guide` and `small` train on a laptop; the others are the released sizes with 30,000 pieces.
 * @param options `version`: 1 has dropout 0.1 (xxlarge: none), 2 has none, default 2; any field of the config overrides the preset.
 * @returns The config, checked.
 * @throws {TypeError} When the name is unknown.
 * @throws {RangeError} When an override contradicts the rest.
 * @example
 * ```ts
 * import { albertPreset } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(albertPreset("base", { version: 1 }).hidden_dropout_prob, 0.1);
 * assert.equal(albertPreset("guide", { vocab_size: 2000 }).vocab_size, 2000);
 * ```
 */
export function albertPreset(
  name: AlbertPresetName,
  { version = 2, ...overrides }: { readonly version?: 1 | 2 } & Partial<AlbertConfig> = {},
): AlbertConfig {
  const fields = Object.hasOwn(own, name)
    ? own[name as keyof typeof own]
    : Object.hasOwn(released, name)
    ? releasedFields(released[name as keyof typeof released], version)
    : undefined;
  if (fields === undefined) {
    const names = [...Object.keys(own), ...Object.keys(released)].join(", ");
    throw new TypeError(`Cannot take the preset ${name}: the presets are ${names}`);
  }
  return parseAlbertConfig({ ...fields, ...overrides }, { path: `of preset ${name}` });
}

function releasedFields([hidden, layers, heads, dropout]: Size, version: 1 | 2): Partial<AlbertConfig> {
  const rate = version === 1 ? dropout : 0;
  return {
    vocab_size: 30000,
    embedding_size: 128,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: hidden * 4,
    hidden_dropout_prob: rate,
    attention_probs_dropout_prob: rate,
  };
}
