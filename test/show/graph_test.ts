/** Layered layouts of random graphs, the picture's text and its refusal, and listings of programs. */
import assert from "node:assert/strict";
import {
  add,
  constant,
  graphOf,
  graphPicture,
  programListing,
  tanh,
  type Tensor,
  topological,
} from "albert-guide";
import { layoutGraph, type LayoutNode } from "../../lib/show/graph_layout.ts";

/** A small generator of its own, so that a failure can be repeated. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

function randomNodes(seed: number): LayoutNode[] {
  const next = numbers(seed);
  return Array.from({ length: 2 + Math.floor(next() * 40) }, (_, i) => ({
    width: 40 + Math.floor(next() * 80),
    inputs: i === 0 ? [] : Array.from({ length: Math.floor(next() * 3) }, () => Math.floor(next() * i)),
  }));
}

Deno.test("layoutGraph() puts inputs above their users and no box over another", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const nodes = randomNodes(seed);
    const { width, layers, centres, bends } = layoutGraph(nodes, { gap: 10 });
    const spans = nodes.map(({ width: own }, i) => {
      const centre = centres[i] ?? NaN;
      return { layer: layers[i] ?? NaN, left: centre - own / 2, right: centre + own / 2 };
    });
    nodes.forEach(({ inputs }, i) => {
      inputs.forEach((input, k) => {
        const distance = (layers[i] ?? 0) - (layers[input] ?? 0);
        assert.ok(distance > 0, `seed ${seed}: node ${i} is not below its input ${input}`);
        assert.equal(bends[i]?.[k]?.length, distance - 1, "one bend for each layer that is passed");
      });
    });
    for (const [i, a] of spans.entries()) {
      assert.ok(a.left >= -1e-6 && a.right <= width + 1e-6, `seed ${seed}: node ${i} leaves the picture`);
      for (const b of spans.slice(i + 1)) {
        const apart = a.layer !== b.layer || a.right + 10 <= b.left + 1e-6 || b.right + 10 <= a.left + 1e-6;
        assert.ok(apart, `seed ${seed}: boxes of layer ${a.layer} touch`);
      }
    }
  }
});

Deno.test("layoutGraph() keeps a chain straight", () => {
  const { centres } = layoutGraph(
    [0, 1, 2, 3].map((i) => ({ width: 50 + 10 * i, inputs: i === 0 ? [] : [i - 1] })),
  );
  for (const centre of centres) assert.ok(Math.abs(centre - (centres[0] ?? 0)) < 0.5, centres.join());
});

Deno.test("graphPicture() tells which output asked for a node first", () => {
  const x = { dtype: "float32", shape: [2] } as const;
  const graph = graphOf(({ x }) => ({ a: tanh(x), b: add(tanh(x), 0.5) }), { x });
  const { bundle } = graphPicture(graph);
  assert.equal(
    bundle["text/plain"],
    "graph of 4 nodes\n  n1 = tanh (x): float32 [2]\n  n2 = 0.5: float32 [2]\n  n3 = add (n1, n2): float32 [2]\n" +
      "  a is n1\n  b is n3",
  );
  assert.match(String(bundle["image/svg+xml"]), />a: 2 nodes<[\s\S]*>b: 2 nodes more</);
});

Deno.test("graphPicture() refuses what nobody can read", () => {
  let chain: Tensor = constant([1]);
  for (let i = 0; i < 151; i++) chain = tanh(chain);
  assert.equal(topological([chain]).length, 152);
  assert.throws(() => graphPicture({ parameters: [], outputs: [chain] }), /Cannot draw a graph of 152 nodes/);
});

Deno.test("programListing() keeps every character and escapes the markup of types", () => {
  const text = "// a < b & c\n%v0 = stablehlo.add %arg0, %arg0 : tensor<2xf32>";
  const { bundle } = programListing(text);
  const markup = String(bundle["text/html"]);
  const plain = markup.replace(/<[^>]*>/g, "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(
    /&amp;/g,
    "&",
  );
  assert.equal(plain, text);
  assert.match(markup, /<span style="color:#a855c8">tensor&lt;2xf32&gt;<\/span>/);
});
