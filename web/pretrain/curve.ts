/** The live chart: losses on [MASK] against steps, beside what models without context reach. */
import type { Baselines } from "../../lib/train/mod.ts";
import type { Point } from "./stages.ts";

const EDGE = { left: 44, right: 12, top: 12, bottom: 32 };

function drawn(tag: string, attributes: Readonly<Record<string, string | number>>, text = ""): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.textContent = text;
  return element;
}

/** A step of the axis that gives three to six marks: 1, 2 or 5 times a power of ten. */
function markStep(range: number): number {
  const power = 10 ** Math.floor(Math.log10(range / 3));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => range / step <= 6) ?? range;
}

/** The picture of a run so far. */
export function drawCurve(
  points: readonly Point[],
  { steps, baselines, width }: {
    readonly steps: number;
    readonly baselines: Baselines | undefined;
    /** Pixels of the place it has, so that letters are as large as those around it. */
    readonly width: number;
  },
): SVGElement {
  const height = Math.max(220, Math.min(360, width / 2));
  const lines = baselines === undefined ? [] : [
    { name: "unigram: no context", value: baselines.unigram_mask_loss },
    { name: "bigram: both neighbours", value: baselines.bigram_mask_loss },
  ];
  const values = [
    ...points.flatMap(({ train, heldOut }) => [train, heldOut ?? train]),
    ...lines.map(({ value }) => value),
  ];
  const [low, high] = [
    Math.min(...values) - 0.15,
    Math.min(Math.max(...values), (lines[0]?.value ?? 9) + 2) + 0.15,
  ];
  const x = (step: number): number => EDGE.left + step / steps * (width - EDGE.left - EDGE.right);
  const y = (loss: number): number =>
    EDGE.top + (high - Math.min(loss, high)) / (high - low) * (height - EDGE.top - EDGE.bottom);
  const held = points.filter(({ heldOut }) => heldOut !== undefined);
  const last = held.at(-1)?.heldOut;
  const label = `Loss on [MASK] in nats: ${points.length} points to step ${points.at(-1)?.step ?? 0}` +
    (last === undefined ? "" : `, held out ${last.toFixed(2)}`) +
    lines.map(({ name, value }) => `, ${name} ${value.toFixed(2)}`).join("");
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const bottom = height - EDGE.bottom;
  for (
    let loss = Math.ceil(low / markStep(high - low)) * markStep(high - low);
    loss <= high;
    loss += markStep(high - low)
  ) {
    svg.append(
      drawn("line", {
        class: "axis",
        x1: EDGE.left,
        x2: width - EDGE.right,
        y1: y(loss),
        y2: y(loss),
        opacity: 0.4,
      }),
      drawn("text", { x: EDGE.left - 6, y: y(loss) + 4, "text-anchor": "end" }, loss.toFixed(1)),
    );
  }
  for (let step = 0; step <= steps; step += markStep(steps)) {
    svg.append(
      drawn(
        "text",
        {
          x: x(step),
          y: bottom + 18,
          "text-anchor": step === 0 ? "start" : step > 0.95 * steps ? "end" : "middle",
        },
        String(step),
      ),
    );
  }
  for (const [i, { name, value }] of lines.entries()) {
    svg.append(
      drawn("line", { class: "base", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
      drawn("text", {
        class: "base",
        x: width - EDGE.right - 4,
        y: y(value) + (i === 0 ? -6 : 14),
        "text-anchor": "end",
      }, `${name} ${value.toFixed(2)}`),
    );
  }
  const path = (of: readonly Point[], value: (point: Point) => number): string =>
    of.map((point, i) => `${i === 0 ? "M" : "L"}${x(point.step).toFixed(1)} ${y(value(point)).toFixed(1)}`)
      .join("");
  svg.append(drawn("path", { class: "train", d: path(points, ({ train }) => train) }));
  svg.append(drawn("path", { class: "held-out", d: path(held, ({ heldOut }) => heldOut ?? 0) }));
  const end = held.at(-1);
  if (end?.heldOut !== undefined) {
    svg.append(
      drawn("circle", { class: "held-out", cx: x(end.step), cy: y(end.heldOut), r: 4 }),
      drawn(
        "text",
        { class: "held-out", x: Math.min(x(end.step) + 8, width - 130), y: y(end.heldOut) + 18 },
        `held out ${end.heldOut.toFixed(2)}`,
      ),
    );
  }
  return svg;
}
