/**
 * Vega-Lite to SVG without a browser. vega 5 and vega-lite 5 are loaded on first use (150 ms); text is measured by vega's
 * own estimate, never by a canvas, and every number in the SVG is cut to 2 decimals, so that all runtimes make the same bytes.
 */
import process from "node:process";
import { optionalPackage } from "../optional_package.ts";
import { escapeMarkup } from "./bundle.ts";
import { slimSvg } from "./slim.ts";
import { INK, PALETTE, PAPER, SANS } from "./svg.ts";

type VegaModule = {
  readonly textMetrics: { canvas(use: boolean): void };
  readonly View: new (runtime: unknown, options: object) => VegaView;
  parse(spec: object): unknown;
};
type VegaView = { toSVG(): Promise<string>; finalize(): unknown };
type VegaLiteModule = { compile(spec: object, options: object): { readonly spec: object } };

/** Style of all charts; part of the committed spec, so that JupyterLab draws them alike. */
export const CHART_CONFIG: Readonly<Record<string, unknown>> = {
  font: SANS,
  background: PAPER,
  axis: { labelFontSize: 11, titleFontWeight: "normal", gridColor: "#e6e9ed" },
  axisY: { minExtent: 40 },
  legend: { labelLimit: 300, symbolStrokeWidth: 2.5 },
  range: { category: PALETTE },
  title: { fontSize: 14, color: INK, anchor: "start" },
  view: { stroke: null },
};

/** Vega logs to the console, which is a cell's output: advice is dropped, errors are thrown. */
type Logger = Record<"level" | "error" | "warn" | "info" | "debug", (...args: unknown[]) => Logger>;

function strictLogger(): Logger {
  const quiet = (): Logger => logger;
  const logger: Logger = {
    level: quiet,
    warn: quiet,
    info: quiet,
    debug: quiet,
    error: (...args) => {
      throw new Error(`Cannot draw a chart: ${args.map(String).join(" ")}`);
    },
  };
  return logger;
}

async function loadVega(): Promise<{ readonly vega: VegaModule; readonly lite: VegaLiteModule }> {
  // A dependency of vega's loader imports node:punycode; Deno would print a warning into the reader's cell.
  const purpose = "draw a chart";
  const warnings = process as { noDeprecation?: boolean | undefined };
  const before = warnings.noDeprecation ?? false;
  warnings.noDeprecation = true;
  try {
    const vega = await optionalPackage("vega", purpose, () => import("vega")) as unknown as VegaModule;
    const lite = await optionalPackage(
      "vega-lite",
      purpose,
      () => import("vega-lite"),
    ) as unknown as VegaLiteModule;
    return { vega, lite };
  } finally {
    warnings.noDeprecation = before;
  }
}

/** Inside tags, cuts numbers to 2 decimals and drops `-0`; text between tags stays. */
function roundMarkup(svg: string): string {
  return svg.replace(/<[^>]*>/g, (tag) =>
    tag.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => {
      const rounded = Number(Number(number).toFixed(2));
      return String(rounded === 0 ? 0 : rounded);
    }));
}

/** Backgrounds that draw nothing go, the font stands once, and what marks repeat moves up. */
function slim(svg: string): string {
  const drawn = svg.replace(/<path class="(?:background|foreground)"(?![^>]*(?:fill|stroke)=)[^>]*\/>/g, "");
  const font = ` font-family="${SANS}"`;
  return slimSvg(
    drawn.replaceAll(font, "").replace(/ (?:class|version)="[^"]*"/g, "").replace(/<svg /, `<svg${font} `),
  );
}

/** Draws a vega-lite spec as SVG with width, height, viewBox, background and a description. */
export async function vegaLiteToSvg(spec: object, description: string): Promise<string> {
  const { vega, lite } = await loadVega();
  vega.textMetrics.canvas(false);
  const logger = strictLogger();
  const compiled = lite.compile(spec, { config: { aria: false }, logger }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: "none", logger });
  const svg = await view.toSVG();
  view.finalize();
  const label = `role="img" aria-label="${escapeMarkup(description)}"`;
  return slim(roundMarkup(svg))
    .replace(/<svg /, `<svg ${label} `)
    .replace(/ xmlns:xlink="[^"]*"/, "");
}
