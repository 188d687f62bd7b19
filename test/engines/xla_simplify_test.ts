/** What the XLA engine does to graphs before it writes them: values and gradients stay, work goes. */
import assert from "node:assert/strict";
import {
  add,
  albertParameters,
  albertPreset,
  crossEntropy,
  dot,
  gather,
  grad,
  iota,
  matmul,
  maximum,
  minimum,
  mul,
  pretrainingLoss,
  reduceSum,
  referenceEngine,
  reshape,
  sizeOf,
  softmax,
  tanh,
  topological,
  trace,
  transpose,
} from "albert-guide";
import type { Graph, HostArray, Tensor, TensorType } from "albert-guide";
import { faster } from "../../lib/engines/xla/algebra.ts";
import { simplified } from "../../lib/engines/xla/simplify.ts";
import { unroll } from "../../lib/tensor/rebuild.ts";
import { numbers } from "./cases.ts";

/** What the reference engine makes of a graph. */
async function valuesOf(graph: Graph, inputs: readonly HostArray[]): Promise<HostArray[]> {
  const engine = referenceEngine();
  const program = await engine.compile(graph, { donate: [] });
  const given = await Promise.all(
    inputs.map((values, i) => engine.upload(values, graph.parameters[i] as TensorType)),
  );
  return await Promise.all((await program.run(given)).map((buffer) => engine.download(buffer)));
}

function sameValues(actual: readonly HostArray[], expected: readonly HostArray[], tolerance: number): void {
  expected.forEach((values, i) => {
    const scale = Math.max(1e-3, ...Array.from(values, Math.abs));
    values.forEach((want, k) => {
      const got = actual[i]?.[k] as number;
      assert.ok(
        Math.abs(got - want) <= tolerance * scale,
        `[${i}][${k}]: ${got}, not ${want} (scale ${scale})`,
      );
    });
  });
}

const [B, S, P] = [2, 8, 2];

const config = {
  ...albertPreset("tiny"),
  ...{ vocab_size: 12, embedding_size: 4, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2 },
  ...{ intermediate_size: 16, max_position_embeddings: 8 },
};

/** The pretraining loss and all its gradients, with the batch as further parameters. */
function lossGraph(dropout: number): { readonly graph: Graph; readonly inputs: HostArray[] } {
  const specs = albertParameters(config);
  const ints = (...shape: number[]): TensorType => ({ dtype: "int32", shape });
  const batch = [ints(B, S), ints(B, S), ints(B, S), ints(B, P), ints(B, P), ints(B)];
  const weights: TensorType = { dtype: "float32", shape: [B, P] };
  const key: TensorType = { dtype: "uint32", shape: [2] };
  const graph = trace((...all) => {
    const named = Object.fromEntries(specs.map(({ name }, i) => [name, all[i] as Tensor]));
    const [ids, mask, segments, positions, pieces, orders, kept, dropoutKey] = all.slice(specs.length) as [
      ...[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
    ];
    const inputs = {
      ...{ inputIds: ids, inputMask: mask, segmentIds: segments, maskedLmPositions: positions },
      ...{ maskedLmIds: pieces, nextSentenceLabels: orders, maskedLmWeights: kept },
    };
    const dropping = { ...config, hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout };
    const { loss } = pretrainingLoss(named, inputs, dropping, { dropoutKey });
    return [loss, ...grad(loss, Object.values(named))];
  }, [...specs.map(({ shape }): TensorType => ({ dtype: "float32", shape })), ...batch, weights, key]);
  const next = numbers(5);
  const whole = (count: number, below: number): Int32Array =>
    Int32Array.from({ length: count }, () => Math.floor(next() * below));
  const mask = new Int32Array(B * S).fill(1);
  mask[B * S - 1] = 0;
  const inputs: HostArray[] = [
    ...specs.map(({ name, shape }) =>
      Float32Array.from({ length: sizeOf(shape) }, () => (name.endsWith("gamma") ? 1 : 0) + next() - 0.5)
    ),
    ...[whole(B * S, 12), mask, whole(B * S, 2)],
    // A position twice, and the first place, which the pooler reads too.
    ...[Int32Array.of(3, 3, 0, 6), whole(B * P, 12), Int32Array.of(0, 1)],
    ...[Float32Array.of(1, 1, 1, 0), Uint32Array.of(7, 9)],
  ];
  return { graph, inputs };
}

for (const dropout of [0, 0.2]) {
  Deno.test(`simplified() keeps the loss of ALBERT and all its gradients, dropout ${dropout}`, async () => {
    const { graph, inputs } = lossGraph(dropout);
    sameValues(await valuesOf(simplified(graph), inputs), await valuesOf(unroll(graph), inputs), 1e-11);
  });
}

Deno.test("simplified() computes queries and attention of the last layer at the read places only", () => {
  const { graph } = lossGraph(0);
  const d = config.hidden_size / config.num_attention_heads;
  const shapes = topological(simplified(graph).outputs).filter(({ op }) => op === "dot").map(({ shape }) =>
    shape.join("x")
  );
  const count = (...shape: number[]): number => shapes.filter((each) => each === shape.join("x")).length;
  // Scores of the first layer and their gradients; those of the last have P + 1 rows.
  assert.equal(count(B, 2, S, S), 2);
  assert.equal(count(B, 2, P + 1, S), 2);
  assert.ok(count(B, 2, P + 1, d) >= 2, shapes.join(" "));
});

/** tanh(x · w) at the rows that a list names, squared and summed, with the gradients of w and x. */
function readGraph(list: readonly number[], rowsOf: (list: Tensor, y: Tensor) => Tensor): Graph {
  return trace((...all) => {
    const [x, w, places] = all as [Tensor, Tensor, Tensor];
    const read = rowsOf(places, tanh(matmul(x, w)));
    const loss = reduceSum(mul(read, read));
    return [loss, ...grad(loss, [w, x])];
  }, [float(64, 4), float(4, 4), { dtype: "int32", shape: list }]);
}

const outside = Int32Array.of(-5, 2, 999, 7, 2, 64);

Deno.test("simplified() keeps values and gradients of rows whose number is outside the table", async () => {
  const graph = readGraph([outside.length], (list, y) => gather(y, list));
  const simple = simplified(graph);
  assert.ok(
    topological(simple.outputs).some(({ op, shape }) => op === "tanh" && shape[0] === outside.length),
  );
  const inputs = [random(1, float(64, 4)), random(2, float(4, 4)), outside];
  sameValues(await valuesOf(simple, inputs), await valuesOf(graph, inputs), 1e-12);
});

for (const held of [false, true]) {
  const how = held ? "held within them" : "in other sequences";
  Deno.test(`simplified() keeps attention for places outside their sequence, ${how}`, async () => {
    const heads = { batch: [[0], [0]] } as const;
    const graph = readGraph([4, 2], (list, y) => {
      const sequences = reshape(y, [4, 16, 4]);
      const scores = softmax(dot(sequences, sequences, { ...heads, contract: [[2], [2]] }));
      const mixed = reshape(dot(scores, sequences, { ...heads, contract: [[2], [1]] }), [64, 4]);
      const places = held ? minimum(maximum(list, 0), 15) : list;
      return gather(mixed, add(places, mul(iota([4, 2], 0), 16)));
    });
    const simple = simplified(graph);
    const inputs = [
      random(1, float(64, 4)),
      random(2, float(4, 4)),
      Int32Array.of(3, 16, -1, 2, 40, 5, 15, 99),
    ];
    sameValues(await valuesOf(simple, inputs), await valuesOf(graph, inputs), 1e-12);
    const few = topological(simple.outputs).some(({ op, shape }) =>
      op === "dot" && shape.join() === "4,2,16"
    );
    assert.equal(few, held, "scores of the read places only");
  });
}

const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });

function random(seed: number, { shape }: TensorType): Float32Array {
  const next = numbers(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => 2 * next() - 1);
}

const usesOf = (graph: Graph, op: string): number => {
  const order = topological(graph.outputs);
  return order.flatMap(({ inputs }) => inputs).filter((input) => input.op === op).length;
};

Deno.test("faster() asks the way forward through scaled attention for nothing but its values", async () => {
  const heads = { batch: [[0], [0]] } as const;
  const types = [float(2, 8, 3), float(2, 8, 3), float(2, 8, 3), float(2, 8, 3)];
  const graph = trace((...all) => {
    const [q, k, v, w] = all as [Tensor, Tensor, Tensor, Tensor];
    const scores = mul(dot(q, k, { ...heads, contract: [[2], [2]] }), 0.25);
    const mixed = dot(softmax(scores), v, { ...heads, contract: [[2], [1]] });
    return grad(reduceSum(mul(mixed, w)), [q, k, v]);
  }, types);
  const simple = faster(graph);
  const inputs = types.map((type, i) => random(i, type));
  sameValues(await valuesOf(simple, inputs), await valuesOf(graph, inputs), 1e-12);
  assert.equal(usesOf(graph, "exp"), 3);
  assert.equal(usesOf(simple, "exp"), 2, "the sum and the quotient alone read the exponentials");
  const scaled = topological(simple.outputs).filter(({ op, shape, inputs: [, by] }) =>
    op === "mul" && by?.op === "constant" && shape.join() === "2,8,8"
  );
  assert.equal(scaled.length, 0, "scores are scaled");
});

Deno.test("faster() picks the scores of labels; a label outside the classes has no loss and no gradient", async () => {
  const types = [float(4, 6), { dtype: "int32", shape: [4] }, float(6)] as const;
  const graph = trace((...all) => {
    const [x, labels, bias] = all as [Tensor, Tensor, Tensor];
    const losses = crossEntropy(mul(x, bias), labels);
    return [losses, ...grad(reduceSum(mul(losses, losses)), [x, bias])];
  }, types);
  const inputs = [random(1, types[0]), Int32Array.of(5, -1, 0, 6), random(2, types[2])];
  const simple = faster(graph);
  const expected = await valuesOf(graph, inputs);
  sameValues(await valuesOf(simple, inputs), expected, 1e-12);
  assert.deepEqual(Array.from(expected[0] as HostArray).map((x) => x === 0), [false, true, false, true]);
  // Of the classes there is the sum of exponentials, and the sums of gradients.
  assert.equal(usesOf(simple, "gather") > 0, true);
  assert.equal(usesOf(graph, "gather"), 0);
});

Deno.test("faster() sums gradients of weights with the narrower operand on the left", async () => {
  const types = [float(7, 5), float(7, 3), float(7, 5), float(7, 3)];
  const graph = trace((...all) => {
    const [a, g, b, h] = all as [Tensor, Tensor, Tensor, Tensor];
    const over = { batch: [[], []], contract: [[0], [0]] } as const;
    return [add(dot(a, g, over), dot(b, h, over))];
  }, types);
  const simple = faster(graph);
  const inputs = types.map((type, i) => random(i, type));
  sameValues(await valuesOf(simple, inputs), await valuesOf(graph, inputs), 1e-12);
  const ops = topological(simple.outputs).map(({ op }) => op);
  assert.deepEqual(ops.filter((op) => op !== "parameter" && op !== "barrier"), [
    "dot",
    "dot",
    "add",
    "transpose",
  ]);
});

Deno.test("faster() keeps the narrower operand on the left where the gradient is read turned", async () => {
  const types = [float(7, 3), float(7, 5)];
  const graph = trace((...all) => {
    const [a, g] = all as [Tensor, Tensor];
    return [transpose(dot(a, g, { batch: [[], []], contract: [[0], [0]] }))];
  }, types);
  const simple = faster(graph);
  const inputs = types.map((type, i) => random(i, type));
  sameValues(await valuesOf(simple, inputs), await valuesOf(graph, inputs), 1e-12);
  const chain = topological(simple.outputs).map(({ op }) => op).filter((op) => op !== "parameter");
  assert.deepEqual(chain, ["dot", "barrier", "transpose"]);
  assert.deepEqual((topological(simple.outputs).find(({ op }) => op === "dot") as Tensor).shape, [3, 5]);
});
