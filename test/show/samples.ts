/**
 * One small sample of every picture, as the snapshots and the two runtimes see it. The library is passed in, so that the same
 * file also runs as CommonJS under Node. Data hold sines and exponentials on purpose: their last bits differ between runtimes.
 */
import type * as Show from "../../lib/show/mod.ts";

const TOKENS = ["[CLS]", "▁the", "▁quick", "▁brown", "▁fox", "▁jump", "ed", "▁over", "▁it", "[SEP]"];

function lineSample(lib: typeof Show): Show.Chart {
  const x = Array.from({ length: 60 }, (_, i) => i * 10);
  return lib.lineChart({
    series: [
      { name: "train: masked pieces", x, y: x.map((v) => 10.3 * Math.exp(-v / 300) + Math.sin(v) * 0.2) },
      { name: "evaluation", x, y: x.map((v) => 10.4 * Math.exp(-v / 330) + 0.3), dash: true },
    ],
    baselines: [{ name: "chance", value: Math.log(30000) }, { name: "commonest piece", value: 6.2 }, {
      name: "unigram",
      value: 6.15,
    }],
    title: "Masked-LM loss",
    yLabel: "loss (nats)",
  });
}

function logSample(lib: typeof Show): Show.Chart {
  const x = Array.from({ length: 2000 }, (_, i) => i);
  const y = x.map((v) => v === 7 ? NaN : Math.exp(-v / 250) + 0.001 * Math.abs(Math.sin(v)));
  return lib.lineChart({ series: [{ name: "error", x, y }], yScale: "log", yLabel: "error", maxPoints: 100 });
}

function topSample(lib: typeof Show): Show.Chart {
  return lib.topPieces([
    {
      sentence: "The capital of France is [MASK].",
      truth: "▁paris",
      pieces: [
        { piece: "▁paris", probability: Math.exp(-0.34) },
        { piece: "▁lyon", probability: 0.05 },
        { piece: "▁a", probability: 0.0123 },
        { piece: "▁marseille", probability: 0.0101 },
        { piece: ",", probability: 1.2e-5 },
        { piece: "▁sixth", probability: 1e-6 },
      ],
    },
    {
      sentence: "She [MASK] the door & left <quickly>.",
      pieces: [{ piece: "▁opened", probability: 0.4 }, { piece: "▁shut", probability: 0.1 }],
    },
  ]);
}

function intervalsSample(lib: typeof Show): Show.Chart {
  const steps = [500, 1000, 1500, 2000];
  const points = (from: number, by: number) =>
    steps.map((x, i) => ({ x, y: from - by * i, low: from - by * i - 0.1, high: from - by * i + 0.08 }));
  return lib.intervalChart({
    title: "Two runs",
    panels: [
      {
        title: "Loss on [MASK], nats",
        series: [{ name: "first", points: points(5.5, 0.2) }, { name: "second", points: points(5.4, 0.3) }],
        baselines: [{ name: "U[MASK]", value: 5.52 }],
      },
      {
        title: "One measurement",
        series: [{ name: "first", points: [{ x: 500, y: 0.5, low: NaN, high: NaN }] }],
      },
    ],
  });
}

function bandsSample(lib: typeof Show): Show.Chart {
  const points = (up: number) =>
    ["1-10", "11-100", "never counted"].map((x, i) => ({
      x,
      y: 0.5 - 0.2 * i + up,
      low: 0.45 - 0.2 * i + up,
      high: 0.55 - 0.2 * i + up,
    }));
  const series = [{ name: "early", points: points(0) }, { name: "late", points: points(0.1) }];
  return lib.intervalChart({ xLabel: "rank of the piece", panels: [{ title: "Share right", series }] });
}

function panelsSample(lib: typeof Show): Show.Chart {
  const draws = [["[MASK]", 0.7912, 0.8], ["itself", 0.1105, 0.1], ["another", 0.0983, 0.1]] as const;
  const bands = Array.from({ length: 16 }, (_, i) => ({ label: 32 * i, value: 0.04 + 0.01 * Math.sin(i) }));
  return lib.barPanels({
    title: "What 1,000 draws gave",
    panels: [
      {
        title: "What stands there",
        bars: draws.map(([label, value, expected]) => ({ label, value, expected })),
      },
      { title: "Predicted by position", bars: bands },
      {
        title: "Nothing",
        bars: [{ label: "a very long name", value: 0 }, { label: 'another, "quoted"', value: 0 }],
      },
    ],
  });
}

function piecesSample(lib: typeof Show): Show.Showable {
  const pieces = [
    "▁Tokens",
    "▁are",
    "▁un",
    "believ",
    "ably",
    "▁small",
    ",",
    "▁日本",
    "語",
    "<pad>",
    "&",
    "▁naïve",
  ];
  return lib.piecesPicture([...pieces, ...pieces.slice(0, 6)], {
    ids: Array.from({ length: 18 }, (_, i) => i * i * 37),
    sentence: "Tokens are unbelievably small, 日本語",
  });
}

function instanceSample(lib: typeof Show): Show.Showable {
  const a = [
    "[CLS]",
    "▁the",
    "▁quick",
    "[MASK]",
    "▁fox",
    "[MASK]",
    "[MASK]",
    "▁over",
    "▁the",
    "▁la",
    "zy",
    "[SEP]",
  ];
  const b = ["▁it", "▁was", "▁banana", "▁tired", "▁of", "▁running", "▁through", "▁the", "▁woods", "[SEP]"];
  return lib.instancePicture({
    tokens: [...a, ...b, "<pad>", "<pad>"],
    segmentIds: [...a.map(() => 0), ...b.map(() => 1), 0, 0],
    maskedPositions: [3, 5, 6, 14, 16],
    maskedLabels: ["▁brown", "▁jump", "ed", "▁very", "▁of"],
    label: 1,
  });
}

function segmentsSample(lib: typeof Show): Show.Showable {
  const sentences = [
    "In the beginning God created the heaven and the earth.",
    "And the earth was without form, and void;",
    "and darkness was upon the face of the deep.",
    "Let there be light:",
    "and there was light & <life>.",
    "A last sentence that is much longer than the picture has room for, and so it is cut.",
  ];
  return lib.segmentsPicture(sentences, [
    { from: 0, split: 1, to: 3, pair: "swapped", pieces: [22, 15] },
    { from: 3, split: 4, to: 5, pair: "next", pieces: [5, 8] },
    { from: 5, split: 6, to: 6, pair: "random", pieces: [24, 13] },
  ], { title: "One document" });
}

function ngramsSample(lib: typeof Show): Show.Showable {
  const words = [
    "▁in",
    "▁the",
    "▁beginning",
    "▁god",
    "▁create d",
    "▁the",
    "▁heaven",
    "▁and",
    "▁the",
    "▁earth",
    ".",
  ];
  return lib.ngramsPicture(words, [
    { word: 4, drawn: 2, taken: 2, chance: "3/11" },
    { word: 3, drawn: 3, taken: 0, why: "create d is taken" },
    { word: 10, drawn: 3, taken: 1 },
    { word: 7, drawn: 3, taken: 1, why: "the budget has room for 1" },
  ], { title: "Budget 5" });
}

function stripsSample(lib: typeof Show): Show.Showable {
  const instance = (step: number): Show.PictureInstance => {
    const plain = [...Array.from({ length: 30 }, (_, i) => `▁${i}`), ..."xyz"];
    const tokens = ["[CLS]", ...plain.slice(0, 14), "[SEP]", ...plain.slice(14), "[SEP]", "<pad>", "<pad>"];
    const positions = Array.from({ length: Math.floor(30 / step) }, (_, i) => 2 + i * step).filter((at) =>
      at !== 15
    );
    const labels = positions.map((at) => tokens[at] ?? "");
    positions.forEach((at, i) =>
      tokens[at] = i % 5 === 3 ? "▁other" : i % 5 === 4 ? tokens[at] ?? "" : "[MASK]"
    );
    const segmentIds = tokens.map((_, i) => i < 16 || i > 35 ? 0 : 1);
    return { tokens, segmentIds, maskedPositions: positions, maskedLabels: labels };
  };
  return lib.maskStrips(
    [3, 5, 2].map((step) => ({
      title: `every=${step}`,
      note: `${Math.floor(30 / step)} of 36`,
      instances: [instance(step), instance(step + 1)],
    })),
    { title: "One flag, three values" },
  );
}

function bytesSample(lib: typeof Show): Show.Showable {
  return lib.recordBytesPicture(Uint8Array.from({ length: 330 }, (_, i) => (i * 7) % 256), [
    { start: 0, end: 8, label: "length of the data", kind: "length" },
    { start: 8, end: 12, label: "checksum of the length", kind: "checksum" },
    { start: 12, end: 40, label: "Example", kind: "wire" },
    { start: 40, end: 180, label: "input_ids", kind: "integers" },
    { start: 180, end: 326, label: "token_boundary", kind: "flags" },
    { start: 326, end: 330, label: "checksum of the data", kind: "checksum" },
  ], { title: "record 0 of a.tfrecord", marked: [100, 328] });
}

function attention(shift: number): number[][] {
  return TOKENS.map((_, i) => TOKENS.map((_, j) => Math.exp(-Math.abs(Math.sin(i - j - shift)) * 3)));
}

function spaceSample(lib: typeof Show): Show.Showable {
  const words = [
    "▁king",
    "▁queen",
    "▁man",
    "▁woman",
    "▁paris",
    "▁london",
    "▁rome",
    "▁berlin",
    "▁one",
    "▁two",
  ];
  const data = ["people", "places", "numbers"].map((name, group) => ({
    type: "scatter3d" as const,
    name,
    mode: "markers+text" as const,
    text: words.slice(group * 4, group * 4 + 4),
    x: words.slice(group * 4, group * 4 + 4).map((_, i) => Math.sin(group * 2 + i * 0.5)),
    y: words.slice(group * 4, group * 4 + 4).map((_, i) => Math.cos(group * 1.7 + i * 0.9)),
    z: words.slice(group * 4, group * 4 + 4).map((_, i) => group + i * 0.2),
  }));
  const axis = (text: string): object => ({ title: { text } });
  const scene = { xaxis: axis("PC 1"), yaxis: axis("PC 2"), zaxis: axis("PC 3") };
  return lib.figure({ data, layout: { title: { text: "Embeddings in three dimensions" }, scene } });
}

/** A map of sentences: two labels, and a sentence that must be escaped. */
function mapSample(lib: typeof Show): Show.Showable {
  const sentences = Array.from({ length: 24 }, (_, i) => i === 0 ? "<b> & co." : `sentence ${i}`);
  const along = (step: number): number[] => sentences.map((_, i) => Math.sin(i * step) + (i % 2) * 1.5);
  return lib.sentenceMap(sentences, [along(1.1), along(0.7), along(2.3)], {
    labels: sentences.map((_, i) => i % 2 === 0 ? "Genesis" : "Psalms"),
    title: "Sentences of two books",
    variance: [0.41, 0.2, 0.05],
  });
}

/** mean((tanh(x w) - t)²) and a part of its gradient, as `graphOf` makes it: long edges, a constant used twice. */
function graphSample(lib: typeof Show): Show.Showable {
  type Node = Parameters<typeof lib.graphPicture>[0]["outputs"][number];
  const node = (
    op: string,
    inputs: readonly Node[],
    shape: readonly number[],
    attributes: object = {},
  ): Node => {
    const data = (): Promise<never> => Promise.reject(new Error("a sample has no values"));
    return { op, inputs, shape, attributes, dtype: "float32", data } as unknown as Node;
  };
  const x = node("parameter", [], [4, 3], { index: 0, name: "x" });
  const w = node("parameter", [], [3, 2], { index: 1, name: "w" });
  const t = node("parameter", [], [4, 2], { index: 2, name: "t" });
  const y = node("tanh", [node("dot", [x, w], [4, 2], { batch: [[], []], contract: [[1], [0]] })], [4, 2]);
  const error = node("sub", [y, t], [4, 2]);
  const eighth = node("constant", [], [], { value: 1 / 8 });
  const sum = node("reduce_sum", [node("mul", [error, error], [4, 2])], [], { axes: [0, 1] });
  const loss = node("mul", [sum, eighth], []);
  const slope = node("mul", [error, node("broadcast", [eighth], [4, 2], { dims: [] })], [4, 2]);
  const dw = node("dot", [x, slope], [3, 2], { batch: [[], []], contract: [[0], [0]] });
  const graph = { parameters: [], outputs: [loss, dw], names: ["loss", "dw"] };
  return lib.graphPicture(graph);
}

/** The bundles of all samples, by the name of their snapshot. */
export async function sampleBundles(lib: typeof Show): Promise<Record<string, Show.Bundle>> {
  const lengths = Array.from({ length: 500 }, (_, i) => (i * i) % 97);
  const one = [{ name: "layer 1, head 2", weights: attention(1) }];
  const six = [0, 1, 2, 3, 4, 5].map((k) => ({ name: `layer 1, head ${k + 1}`, weights: attention(k) }));
  return {
    line: await lineSample(lib).toBundle(),
    log_line: await logSample(lib).toBundle(),
    top_pieces: await topSample(lib).toBundle(),
    intervals: await intervalsSample(lib).toBundle(),
    interval_bands: await bandsSample(lib).toBundle(),
    histogram: await lib.histogram(lengths, { xLabel: "pieces in a sentence", title: "Lengths" }).toBundle(),
    bar_panels: await panelsSample(lib).toBundle(),
    bar_panels_written: await lib.barPanels({
      panels: [10, 1000].map((draws) => ({
        title: `after ${draws} draws`,
        bars: [{ label: "[MASK]", value: 0.7, expected: 0.8 }, { label: "other", value: 0.3, expected: 0.2 }],
      })),
      maximum: 1,
    }).toBundle(),
    pieces: piecesSample(lib).bundle,
    instance: instanceSample(lib).bundle,
    segments: segmentsSample(lib).bundle,
    ngrams: ngramsSample(lib).bundle,
    mask_strips: stripsSample(lib).bundle,
    record_bytes: bytesSample(lib).bundle,
    attention: lib.attentionFigure(TOKENS, one).bundle,
    attention_heads: lib.attentionFigure(TOKENS, six).bundle,
    space: spaceSample(lib).bundle,
    sentence_map: mapSample(lib).bundle,
    graph: graphSample(lib).bundle,
  };
}
