/**
 * Small multiples: panels of upright bars side by side, each with its own scale, and a mark at every bar where an expectation
 * is known. For counts beside what the rule promises, and for one figure under several settings.
 */
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
  /** Name of the horizontal axis; default none. */
  readonly xLabel?: string;
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

type Size = { readonly width: number; readonly height: number; readonly maximum: number | undefined };

/** Rows as CSV inside the specification: a stored notebook gives every object of a list several lines. */
function csvOf({ bars }: BarPanel): object {
  const cell = (value: string | number | null): string => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const rows = bars.map(({ label, value, expected }) =>
    [cell(label), datum(value), datum(expected)].map((each) => each ?? "").join(",")
  );
  const parse = { label: "string", value: "number", expected: "number" };
  return { values: ["label,value,expected", ...rows].join("\n"), format: { type: "csv", parse } };
}

function panelSpec(panel: BarPanel, { width, height, maximum }: Size, legend: boolean): object {
  const { bars, title, xLabel } = panel;
  const most = Math.max(0, ...bars.flatMap(({ value, expected = 0 }) => [value, expected]));
  const top = roundTo(maximum ?? (most * (bars.length > WRITTEN ? 1.02 : 1.18) || 1), LABEL_DIGITS);
  const y = { type: "quantitative", title: null, scale: { domain: [0, top], nice: false } };
  const names = ["found", "expected"];
  const color = (name: string): object => ({
    color: {
      datum: name,
      scale: { domain: names, range: ["#7fb0e6", PALETTE[1]] },
      legend: legend ? { orient: "bottom", title: null, symbolType: "square", symbolOpacity: 1 } : null,
    },
  });
  const long = bars.some(({ label }) => String(label).length * 7 > width / bars.length);
  const x = {
    field: "label",
    type: "nominal",
    sort: null,
    title: xLabel ?? null,
    axis: { labelAngle: long && bars.length <= 12 ? -40 : 0, labelOverlap: bars.length > 12, ticks: false },
    scale: { paddingInner: 0.2 },
  };
  const text = { type: "text", baseline: "bottom", dy: -2, fontSize: 10, color: INK };
  const value = { y: { ...y, field: "value", axis: { tickCount: 4 } } };
  const layer: object[] = [{ mark: "bar", encoding: { ...value, ...color("found") } }];
  if (bars.some(({ expected }) => expected !== undefined)) {
    const mark = { type: "tick", thickness: 2, orient: "horizontal", width: { band: 1 } };
    layer.push({ mark, encoding: { y: { ...y, field: "expected" }, ...color("expected") } });
  }
  if (bars.length <= WRITTEN) {
    const written = { field: "value", type: "quantitative", format: ".3~r" };
    layer.push({ mark: text, encoding: { ...value, text: written } });
  }
  return {
    width,
    height,
    title: { text: title, anchor: "start", fontSize: 12 },
    data: csvOf(panel),
    encoding: { x },
    layer,
  };
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
  const spec = {
    columns,
    concat: panels.map((panel) => panelSpec(panel, { width, height, maximum }, expects)),
    spacing: 24,
  };
  return chart({
    ...(title === undefined ? {} : { title: { text: title, anchor: "start", offset: 14 } }),
    ...spec,
  }, text);
}
