/**
 * ALBERT in plain loops over float64 numbers, written from the paper and the reference's description without one of the
 * library's operations: a second opinion for every field of the configuration that the golden models do not cover.
 */
import type { AlbertConfig } from "../../lib/config/mod.ts";
import { hashBits } from "../../lib/tensor/mod.ts";

export type PlainWeights = Readonly<Record<string, ArrayLike<number>>>;
export type PlainBatch = {
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  readonly segments: readonly (readonly number[])[];
  readonly positions: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  readonly weights: readonly (readonly number[])[];
  readonly order: readonly number[];
};
type Row = number[];
type Key = readonly [number, number] | undefined;

const at = (values: ArrayLike<number> | undefined, i: number): number => {
  const value = values?.[i];
  if (value === undefined) throw new RangeError(`nothing at ${i}`);
  return value;
};
const times = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Key i of a split key: two words of the hashed counter. */
const split = (key: Key, i: number): Key =>
  key && [hashBits(key[0], key[1], 2 * i), hashBits(key[0], key[1], 2 * i + 1)];

/** Whether element i survives: 24 bits of its hash against the rate. */
const survives = ([a, b]: readonly [number, number], i: number, rate: number): boolean =>
  (hashBits(a, b, i) >>> 8) * 2 ** -24 >= Math.fround(rate);

const drop = (x: number, i: number, rate: number, key: Key): number =>
  key === undefined || rate === 0 ? x : survives(key, i, rate) ? x / (1 - rate) : 0;

const acts: Readonly<Record<string, (x: number) => number>> = {
  gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(0, x),
  tanh: Math.tanh,
  linear: (x) => x,
  "": (x) => x,
};

function net(weights: PlainWeights, { hidden_act }: AlbertConfig) {
  const act = acts[hidden_act] ?? ((): never => {
    throw new RangeError(hidden_act);
  });
  const dense = (name: string, x: Row): Row => {
    const [kernel, bias] = [weights[`${name}/kernel`], weights[`${name}/bias`]];
    const n = bias?.length ?? 0;
    return times(n).map((j) => at(bias, j) + sum(x.map((value, i) => value * at(kernel, i * n + j))));
  };
  const norm = (name: string, x: Row): Row => {
    const mean = sum(x) / x.length;
    const deviation = Math.sqrt(sum(x.map((value) => (value - mean) ** 2)) / x.length + 1e-12);
    const [gamma, beta] = [weights[`${name}/gamma`], weights[`${name}/beta`]];
    return x.map((value, i) => (value - mean) / deviation * at(gamma, i) + at(beta, i));
  };
  return { act, dense, norm };
}

const softmax = (x: Row): Row => {
  const most = Math.max(...x);
  const powers = x.map((value) => Math.exp(value - most));
  return powers.map((value) => value / sum(powers));
};

/** One block over a batch: x[row][position] is a vector. */
function block(
  weights: PlainWeights,
  config: AlbertConfig,
  name: string,
  x: Row[][],
  mask: PlainBatch["mask"],
  key: Key,
) {
  const { act, dense, norm } = net(weights, config);
  const { num_attention_heads: A, hidden_size: H, hidden_dropout_prob: rate } = config;
  const d = H / A;
  const S = x[0]?.length ?? 0;
  return x.map((sequence, row) => {
    const [q, k, v] = ["query", "key", "value"].map((part) =>
      sequence.map((vector) => dense(`${name}/attention_1/self/${part}`, vector))
    ) as [Row[], Row[], Row[]];
    const mixed = sequence.map(() => new Array<number>(H).fill(0));
    for (const head of times(A)) {
      for (const from of times(S)) {
        const scores = times(S).map((to) =>
          sum(times(d).map((i) => at(q[from], head * d + i) * at(k[to], head * d + i))) / Math.sqrt(d) +
          (1 - at(mask[row], to)) * -10000
        );
        softmax(scores).forEach((p, to) => {
          const place = ((row * A + head) * S + from) * S + to; // of [B, A, S, S]
          const kept = drop(p, place, config.attention_probs_dropout_prob, split(key, 0));
          for (const i of times(d)) {
            (mixed[from] as Row)[head * d + i] = at(mixed[from], head * d + i) +
              kept * at(v[to], head * d + i);
          }
        });
      }
    }
    return sequence.map((vector, position) => {
      const place = (row * S + position) * H;
      const out = dense(`${name}/attention_1/output/dense`, mixed[position] as Row);
      const a = norm(
        `${name}/LayerNorm`,
        vector.map((value, i) => value + drop(at(out, i), place + i, rate, split(key, 1))),
      );
      const inner = dense(`${name}/ffn_1/intermediate/dense`, a).map(act);
      const outer = dense(`${name}/ffn_1/intermediate/output/dense`, inner);
      return norm(
        `${name}/LayerNorm_1`,
        a.map((value, i) => value + drop(at(outer, i), place + i, rate, split(key, 2))),
      );
    });
  });
}

function encode(weights: PlainWeights, config: AlbertConfig, batch: PlainBatch, key: Key): Row[][] {
  const { dense, norm } = net(weights, config);
  const { embedding_size: E, num_hidden_layers: L, num_hidden_groups: G, inner_group_num: inners } = config;
  const S = batch.ids[0]?.length ?? 0;
  const row = (table: string, i: number): Row =>
    times(E).map((e) => at(weights[`bert/embeddings/${table}_embeddings`], i * E + e));
  let x = batch.ids.map((ids, b) =>
    ids.map((id, s) => {
      const [word, type, position] = [
        row("word", id),
        row("token_type", at(batch.segments[b], s)),
        row("position", s),
      ];
      const normed = norm(
        "bert/embeddings/LayerNorm",
        word.map((value, e) => value + at(type, e) + at(position, e)),
      );
      return normed.map((value, e) =>
        drop(value, (b * S + s) * E + e, config.hidden_dropout_prob, split(key, 0))
      );
    })
  );
  if (E !== config.hidden_size) {
    x = x.map((sequence) =>
      sequence.map((vector) => dense("bert/encoder/embedding_hidden_mapping_in", vector))
    );
  }
  for (const layer of times(L)) {
    for (const inner of times(inners)) {
      const name = `bert/encoder/transformer/group_${Math.trunc(layer / L * G)}/inner_group_${inner}`;
      x = block(weights, config, name, x, batch.mask, split(split(key, 1), layer * inners + inner));
    }
  }
  return x;
}

/** The losses of a batch; `key`: two words of dropout. */
export function plainLosses(weights: PlainWeights, config: AlbertConfig, batch: PlainBatch, key?: Key): {
  readonly loss: number;
  readonly mlm: number;
  readonly order: number;
} {
  const { act, dense, norm } = net(weights, config);
  const dropping = config.hidden_dropout_prob > 0 || config.attention_probs_dropout_prob > 0;
  const x = encode(weights, config, batch, dropping ? key : undefined);
  const E = config.embedding_size;
  let [losses, weight] = [0, 1e-5];
  batch.positions.forEach((positions, b) =>
    positions.forEach((position, p) => {
      const hidden = dense("cls/predictions/transform/dense", x[b]?.[position] as Row).map(act);
      const normed = norm("cls/predictions/transform/LayerNorm", hidden);
      const scores = times(config.vocab_size).map((piece) =>
        at(weights["cls/predictions/output_bias"], piece) +
        sum(normed.map((value, e) => value * at(weights["bert/embeddings/word_embeddings"], piece * E + e)))
      );
      losses -= at(batch.weights[b], p) * Math.log(at(softmax(scores), at(batch.labels[b], p)));
      weight += at(batch.weights[b], p);
    })
  );
  const orders = batch.order.map((label, b) => {
    const pooled = dense("bert/pooler/dense", x[b]?.[0] as Row).map(Math.tanh);
    const scores = times(2).map((c) =>
      at(weights["cls/seq_relationship/output_bias"], c) +
      sum(pooled.map((value, i) =>
        value * at(weights["cls/seq_relationship/output_weights"], c * pooled.length + i)
      ))
    );
    return -Math.log(at(softmax(scores), label));
  });
  const [mlm, order] = [losses / weight, sum(orders) / orders.length];
  return { loss: mlm + order, mlm, order };
}
