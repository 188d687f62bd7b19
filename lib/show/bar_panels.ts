/**
 * Small multiples: panels of upright bars side by side, each with its own scale, and a mark at every bar where an expectation
 * is known. For counts beside what the rule promises, and for one figure under several settings.
 */
import { distinct } from "./bar_chart.ts";
import { type Chart, chart, datum } from "./chart.ts";
import { LABEL_DIGITS, numberText, roundTo } from "./numbers.ts";
import { INK, PALETTE } from "./svg.ts";

/**
 * One panel.
 *
 * @example
 * ```ts
 * import { type BarPanel, barPanels } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const panel: BarPanel = { title: "labels", bars: [{ label: "0", value: 48, expected: 50 }, { label: "1", value: 52 }] };
 * assert.match(barPanels({ panels: [panel] }).text, /0 {2}48 {2}\(expected 50\)/);
 * ```
 */
export type BarPanel = {
  /** Written above the panel. */
  readonly title: string;
  /** The bars from left to right, with what is expected of each where that is known. */
  readonly bars: readonly {
    readonly label: string | number;
    readonly value: number;
    readonly expected?: number;
  }[];
};

/**
 * What the panels show.
 *
 * @example
 * ```ts
 * import { barPanels, type BarPanelsOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: BarPanelsOptions = { panels: [{ title: "a", bars: [{ label: "x", value: 1 }] }], title: "Counts" };
 * assert.match(barPanels(options).text, /^Counts/);
 * ```
 */
export type BarPanelsOptions = {
  /** The panels, row by row. */
  readonly panels: readonly BarPanel[];
  /** Title above all panels; default none. */
  readonly title?: string;
  /** Panels in a row; default 3. */
  readonly columns?: number;
  /** Width of a panel in pixels; default 200. */
  readonly width?: number;
  /** Height of a panel in pixels; default 110. */
  readonly height?: number;
  /** Upper end of all vertical axes; default each panel's own. */
  readonly maximum?: number;
};

/** Bars of at most this many carry their values. */
const WRITTEN = 7;
/** Of more bars than this only every fourth has its name on the axis; the others' begin with a mark that no reader sees. */
const NAMED = 12;
const UNNAMED = "\u2063";

/** Rows as CSV inside the specification: a stored notebook gives every object of a list several lines. */
function csvOf(panels: readonly BarPanel[], names: readonly string[], maximum: number | undefined): object {
  const quoted = (value: string | number): string => `"${String(value).replaceAll('"', '""')}"`;
  const rows = panels.flatMap(({ bars }, panel) => {
    const most = Math.max(0, ...bars.flatMap(({ value, expected = 0 }) => [value, expected]));
    const top = maximum ?? (most * (bars.length > WRITTEN ? 1.02 : 1.2) || 1);
    return bars.map(({ label, value, expected }, i) => {
      const written = bars.length > WRITTEN ? "" : numberText(value, 3);
      const key = bars.length > NAMED && i % 4 > 0 ? `${UNNAMED}${label}` : label;
      const cells = [quoted(names[panel] ?? ""), quoted(key), datum(value), datum(expected), written];
      return [...cells, i === 0 ? roundTo(top, LABEL_DIGITS) : ""].map((cell) => cell ?? "").join(",");
    });
  });
  const parse = { label: "string", text: "string", value: "number", expected: "number", top: "number" };
  return {
    values: ["panel,label,value,expected,text,top", ...rows].join("\n"),
    format: { type: "csv", parse },
  };
}

/** Bars, marks of what is expected, values; `top` is drawn unseen, so that there is room above the bars. */
function layersOf(expects: boolean, axis: object | null): object[] {
  const y = { type: "quantitative", title: null, axis };
  const legend = expects ? { orient: "bottom", title: null, symbolType: "square", symbolOpacity: 1 } : null;
  const scale = { domain: ["found", "expected"], range: ["#7fb0e6", PALETTE[1]] };
  const named = (name: string): object => ({ color: { datum: name, scale, legend } });
  const tick = { type: "tick", thickness: 2, orient: "horizontal", width: { band: 1 } };
  const text = { type: "text", baseline: "bottom", dy: -2, fontSize: 10, color: INK };
  return [
    { mark: "bar", encoding: { y: { ...y, field: "value" }, ...named("found") } },
    ...(expects ? [{ mark: tick, encoding: { y: { ...y, field: "expected" }, ...named("expected") } }] : []),
    {
      transform: [{ filter: "datum.text" }, { calculate: "max(datum.value, datum.expected)", as: "over" }],
      mark: text,
      encoding: { y: { ...y, field: "over" }, text: { field: "text" } },
    },
    {
      transform: [{ filter: "isValid(datum.top)" }],
      mark: { type: "point", opacity: 0 },
      encoding: { y: { ...y, field: "top" } },
    },
  ];
}

/**
 * Makes panels of bars.
 *
 * @param options See {@linkcode BarPanelsOptions}.
 * @returns A chart for `show`.
 *
 * @example
 * ```ts
 * import { barPanels } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bars = [{ label: "[MASK]", value: 0.79, expected: 0.8 }, { label: "kept", value: 0.11, expected: 0.1 }];
 * const chart = barPanels({ panels: [{ title: "1,000 draws", bars }] });
 * assert.equal(chart.text, "1,000 draws\n  [MASK]  0.79  (expected 0.8)\n  kept    0.11  (expected 0.1)");
 * ```
 */
export function barPanels(options: BarPanelsOptions): Chart {
  const { panels, title, columns = 3, width = 200, height = 110, maximum } = options;
  const expects = panels.some(({ bars }) => bars.some(({ expected }) => expected !== undefined));
  const text = [
    ...(title === undefined ? [] : [title]),
    ...panels.flatMap((panel) => {
      const widest = Math.max(0, ...panel.bars.map(({ label }) => String(label).length));
      return [
        panel.title,
        ...panel.bars.map(({ label, value, expected }) =>
          `  ${String(label).padEnd(widest)}  ${numberText(value, LABEL_DIGITS)}` +
          (expected === undefined ? "" : `  (expected ${numberText(expected, LABEL_DIGITS)})`)
        ),
      ];
    }),
  ].join("\n");
  const names = distinct(panels.map((panel) => panel.title));
  const header = {
    title: null,
    labelAnchor: "start",
    labelFontSize: 12,
    labelFontWeight: "bold",
    labelLimit: 900,
  };
  const written = panels.every(({ bars }) => bars.length <= WRITTEN); // then no axis is needed
  const labelExpr = `indexof(datum.label, "${UNNAMED}") === 0 ? "" : datum.label`;
  const axis = { labelAngle: 0, labelOverlap: false, labelExpr, ticks: false };
  const x = { field: "label", type: "nominal", sort: null, title: null, axis, scale: { paddingInner: 0.2 } };
  return chart({
    ...(title === undefined ? {} : { title: { text: title, anchor: "start", offset: 14 } }),
    data: csvOf(panels, names, maximum),
    facet: { field: "panel", type: "nominal", sort: names, header },
    columns,
    bounds: "flush", // a long title would push the next panel away
    spacing: { row: 56, column: written ? 28 : 56 },
    spec: { width, height, encoding: { x }, layer: layersOf(expects, written ? null : { tickCount: 4 }) },
    resolve: { scale: { x: "independent", y: "independent" } },
  }, text);
}
