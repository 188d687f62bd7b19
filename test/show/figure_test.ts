/**
 * Figures against plotly's own validator. The bundled plotly expects a browser; the few names it touches while loading are
 * stood in for here, in this file's own process of tests.
 */
import assert from "node:assert/strict";
import {
  attentionFigure,
  barChart,
  figure,
  histogram,
  lineChart,
  recordBytesPicture,
} from "../../lib/show/mod.ts";
import * as lib from "../../lib/show/mod.ts";
import { sampleBundles } from "./samples.ts";

type Finding = { readonly msg: string };
type Plotly = { validate(data: unknown, layout: unknown): Finding[] | undefined };
type Loose = Record<string | symbol, unknown>;

/** An object that has every property and can be called. */
function anything(): unknown {
  return new Proxy(() => {}, {
    get: (target, key) => {
      const own = target as unknown as Loose;
      if (key === Symbol.toPrimitive) return () => "";
      if (!(key in own)) own[key] = key === "style" ? {} : anything();
      return own[key];
    },
    apply: () => anything(),
    has: () => true,
  });
}

async function loadPlotly(): Promise<Plotly> {
  const page = {
    createElement: anything,
    createElementNS: anything,
    createTextNode: anything,
    head: anything(),
    body: anything(),
    documentElement: { style: {} },
    querySelector: () => null,
    getElementById: () => null,
    addEventListener: () => {},
  };
  class Element {
    setAttribute(): void {}
    setAttributeNS(): void {}
  }
  Object.assign(globalThis, {
    document: page,
    window: globalThis,
    Element,
    Node: class {},
    CSSStyleDeclaration: class {
      setProperty(): void {}
    },
    HTMLElement: class extends Element {},
    DOMParser: class {
      parseFromString(): unknown {
        return anything();
      }
    },
    getComputedStyle: () => ({ getPropertyValue: () => "" }),
  });
  const name: string = "plotly.js-dist-min";
  const loaded = await import(name) as { readonly default: Plotly };
  return loaded.default;
}

Deno.test("figure() makes what plotly validates", async () => {
  const bundles = await sampleBundles(lib);
  const plotly = await loadPlotly();
  const known = plotly.validate([{ type: "heatmap", z: [[1]], nonsense: 1 }], { title: { text: "x" } });
  assert.equal(known?.length, 1, "the validator finds a wrong key");
  let seen = 0;
  for (const [name, bundle] of Object.entries(bundles)) {
    const json = bundle["application/vnd.plotly.v1+json"] as { data: object[]; layout: unknown } | undefined;
    if (json === undefined) continue;
    seen++;
    // The validator looks into visible traces only; a menu shows the others one at a time.
    const data = json.data.map((trace) => ({ ...trace, visible: true }));
    const found = (plotly.validate(data, json.layout) ?? []).map(({ msg }) => msg);
    // Two known blind spots: lists inside a button's arguments are copied and then compared by reference ("reset" to the same
    // values), and packed arrays are decoded (see below) but not taken for arrays.
    const blind = /args\[1\] \(set to '(.*)'\) got reset to '\1'|key z must be linked to an array container/;
    const real = found.filter((message) => !blind.test(message));
    assert.deepEqual(real, [], name);
  }
  assert.equal(seen, 4);
  const broken = [{ type: "heatmap", z: { dtype: "f9", bdata: "AAAAAA==", shape: "1, 1" } }];
  assert.throws(() => plotly.validate(broken, {}), /dtype/, "packed arrays are decoded");
});

Deno.test("figure() refuses mixed, unknown and missing traces", () => {
  const heat = { type: "heatmap", z: [[1]] } as const;
  const space = { type: "scatter3d", x: [1], y: [1], z: [1] } as const;
  assert.throws(
    () => figure({ data: [heat, space] as never }),
    /Cannot make a figure: traces are of kind heatmap, scatter3d/,
  );
  assert.throws(() => figure({ data: [{ type: "pie" }] as never }), TypeError);
  assert.throws(() => figure({ data: [] }), /none/);
  assert.throws(() => figure({ data: [{ ...space, y: [] }] }), /1 x, 0 y and 1 z values/);
});

Deno.test("figure() rounds what it stores, packs maps and writes NaN as null", () => {
  const space = figure({ data: [{ type: "scatter3d", x: [1 / 3], y: [NaN], z: [-0] }] });
  const point = space.bundle["application/vnd.plotly.v1+json"] as {
    data: { x: unknown; y: unknown; z: unknown }[];
  };
  assert.deepEqual([point.data[0]?.x, point.data[0]?.y, point.data[0]?.z], [[0.333333], [null], [0]]);
  const map = figure({ data: [{ type: "heatmap", z: [[1 / 3, NaN, 2]] }] });
  const { data } = map.bundle["application/vnd.plotly.v1+json"] as {
    data: { z: { dtype: string; bdata: string; shape: string } }[];
  };
  const bytes = Uint8Array.from(atob(data[0]?.z.bdata ?? ""), (char) => char.charCodeAt(0));
  assert.deepEqual([data[0]?.z.dtype, data[0]?.z.shape], ["f4", "1, 3"]);
  assert.deepEqual(new Float32Array(bytes.buffer), Float32Array.of(0.333333, NaN, 2));
});

Deno.test("attentionFigure() reads flat weights as rows and checks their number", () => {
  const tokens = ["a", "b"];
  const flat = attentionFigure(tokens, [{ name: "h", weights: new Float32Array([0.25, 0.75, 0.5, 0.5]) }]);
  const rows = attentionFigure(tokens, [{ name: "h", weights: [[0.25, 0.75], [0.5, 0.5]] }]);
  assert.deepEqual(flat, rows);
  assert.throws(
    () => attentionFigure(tokens, [{ name: "h", weights: [1] }]),
    /has 1 weights, give 2 x 2 for 2 pieces/,
  );
});

Deno.test("charts refuse what they cannot draw", () => {
  assert.throws(
    () => lineChart({ series: [{ name: "a", x: [1], y: [] }] }),
    /"a" has 1 x values and 0 y values/,
  );
  assert.throws(() => histogram([1], { bins: 0 }), /bins is 0/);
  assert.throws(
    () => recordBytesPicture(new Uint8Array(4), [{ start: 2, end: 5, label: "f", kind: "k" }]),
    /field "f" is 2\.\.5, give bounds within 0\.\.4/,
  );
});

Deno.test("lineChart() thins long series and stays small as a notebook stores it", async () => {
  const x = Array.from({ length: 1e5 }, (_, i) => i);
  const y = x.map((i) => i === 54_321 ? 9 : (i % 7) / 7);
  const bundle = await lineChart({ series: [{ name: 'a "quoted", name', x, y }, { name: "b", x, y }] })
    .toBundle();
  const stored = JSON.stringify(bundle["application/vnd.vegalite.v5+json"], null, 1);
  assert.ok(stored.length < 25_000, `${stored.length} bytes`);
  assert.match(stored, /54321,9/, "the peak is kept");
  assert.match(String(bundle["image/svg+xml"]), /a &quot;quoted&quot;, name|a "quoted", name/);
});

Deno.test("charts draw without data, with equal values and with equal labels", async () => {
  const charts = [
    lineChart({ series: [] }),
    lineChart({ series: [{ name: "a", x: [], y: [] }] }),
    lineChart({ series: [{ name: "a", x: [1], y: [NaN] }] }),
    lineChart({ series: [{ name: "a", x: [1, 2], y: [3, 3] }], yScale: "log" }),
    barChart({ groups: [] }),
    barChart({ groups: [{ bars: [{ label: "x", value: 0 }, { label: "x", value: 0 }] }] }),
    histogram([]),
    histogram([2, 2]),
    lineChart({
      series: [{ name: "a", x: [1, 2, 3], y: [1, -2, 3] }],
      yScale: "log",
      baselines: [{ name: "no level of a log scale", value: -1 }, { name: "none", value: NaN }],
    }),
  ];
  const spoken: unknown[] = [];
  const { console: output } = globalThis; // what vega says would become a cell's output
  const { warn } = output;
  output.warn = (...args) => void spoken.push(args);
  for (const chart of charts) {
    const svg = await chart.toSvg();
    assert.match(svg, /^<svg /);
    assert.doesNotMatch(svg, /NaN|Infinity/, chart.text);
  }
  output.warn = warn;
  assert.deepEqual(spoken, []);
});

Deno.test("sentenceMap() hands plotly each sentence for its point, and refuses what does not fit", () => {
  const axes = [[0, 1, 2], [1, 2, 3], [2, 3, 4]];
  const { bundle } = lib.sentenceMap(["a < b", "c", "d"], axes, { labels: ["x", "y", "x"] });
  const { data } = bundle["application/vnd.plotly.v1+json"] as {
    data: { name: string; text: string[]; x: number[]; hovertemplate: string }[];
  };
  assert.deepEqual(data.map(({ name, text, x }) => [name, text, x]), [
    ["x", ["a &lt; b", "d"], [0, 2]],
    ["y", ["c"], [1]],
  ]);
  assert.equal(data[0]?.hovertemplate, "%{text}");
  assert.throws(() => lib.sentenceMap(["a"], axes), /map of 1 sentences: give 3 axes/);
  assert.throws(() => lib.sentenceMap(["a", "b", "c"], axes.slice(1)), /they are 2 axes/);
});
