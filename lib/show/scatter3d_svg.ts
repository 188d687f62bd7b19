/**
 * Points in space as SVG: an orthographic view of a cube from the same side as plotly's camera. Far points are drawn first;
 * texts are placed so that none covers another, and left out where there is no room.
 */
import { extent } from "./chart.ts";
import type { Scatter3dTrace } from "./figure.ts";
import { coordinate, numberText } from "./numbers.ts";
import { clip, FAINT, INK, lineAt, PALETTE, RULE, svgFrame, textAt } from "./svg.ts";

/** Where the camera stands, from the middle of the cube, in plotly's units. */
export const CAMERA_EYE: { readonly x: number; readonly y: number; readonly z: number } = {
  x: 1.6,
  y: 1.1,
  z: 0.8,
};

const WIDTH = 560;
const HEIGHT = 480;
const SCALE = 140;

type Point = readonly [x: number, y: number, z: number];
type Placed = { readonly x: number; readonly y: number; readonly depth: number };

/** Projects the cube [-1, 1]^3 to the screen: right and up are unit vectors at right angles to the view. */
function project([x, y, z]: Point): Placed {
  const eye = CAMERA_EYE;
  const flat = Math.sqrt(eye.x * eye.x + eye.y * eye.y);
  const far = Math.sqrt(flat * flat + eye.z * eye.z);
  const right = (-eye.y * x + eye.x * y) / flat;
  const up = (-eye.z * (eye.x * x + eye.y * y) / flat + flat * z) / far;
  return {
    x: WIDTH / 2 + SCALE * right,
    y: HEIGHT / 2 + 16 - SCALE * up,
    depth: (eye.x * x + eye.y * y + eye.z * z) / far,
  };
}

function segment(from: Point, to: Point, stroke: string): string {
  const a = project(from);
  const b = project(to);
  return lineAt(a.x, a.y, b.x, b.y, stroke);
}

/** The three faces behind the points, with four fields a side. */
function backFaces(): string[] {
  const parts: string[] = [];
  for (const t of [-1, -0.5, 0, 0.5, 1]) {
    const stroke = Math.abs(t) === 1 ? RULE : "#e6e9ed";
    parts.push(segment([t, -1, -1], [t, 1, -1], stroke), segment([-1, t, -1], [1, t, -1], stroke));
    parts.push(segment([-1, t, -1], [-1, t, 1], stroke), segment([-1, -1, t], [-1, 1, t], stroke));
    parts.push(segment([t, -1, -1], [t, -1, 1], stroke), segment([-1, -1, t], [1, -1, t], stroke));
  }
  return parts;
}

type Axis = { readonly name: string; readonly low: number; readonly high: number };

/** Names and ends of the axes along the outer edges of the floor and the left edge. */
function axisLabels(axes: readonly [Axis, Axis, Axis]): string[] {
  const edges: readonly { at: (t: number) => Point; dx: number; dy: number; anchor: "start" | "end" }[] = [
    { at: (t) => [t, 1.06, -1], dx: 6, dy: 12, anchor: "start" },
    { at: (t) => [1.06, t, -1], dx: -6, dy: 12, anchor: "end" },
    { at: (t) => [1, -1.06, t], dx: -8, dy: 4, anchor: "end" },
  ];
  return edges.flatMap(({ at, dx, dy, anchor }, i) => {
    const axis = axes[i] ?? { name: "", low: 0, high: 0 };
    const put = (t: number, text: string, style: { size: number; fill: string }): string => {
      const { x, y } = project(at(t));
      return textAt(x + dx, y + dy, text, { ...style, anchor });
    };
    return [
      put(-0.94, numberText(axis.low, 3), { size: 10, fill: FAINT }),
      put(0, axis.name, { size: 12, fill: INK }),
      put(0.94, numberText(axis.high, 3), { size: 10, fill: FAINT }),
    ];
  });
}

function axisOf(
  key: "x" | "y" | "z",
  data: readonly Scatter3dTrace[],
  layout: Readonly<Record<string, unknown>>,
): Axis {
  const [low, high] = extent(data.flatMap((trace) => Array.from(trace[key])));
  const scene = layout["scene"] as Record<string, { title?: { text?: unknown } | string }> | undefined;
  const title = scene?.[`${key}axis`]?.title;
  const text = typeof title === "object" ? title.text : title;
  const room = (high - low) * 0.05 || 1;
  return { name: typeof text === "string" ? text : key, low: low - room, high: high + room };
}

type Dot = Placed & { readonly color: string; readonly radius: number; readonly text: string };

function dotsOf(data: readonly Scatter3dTrace[], axes: readonly [Axis, Axis, Axis]): Dot[] {
  const unit = (value: number | undefined, { low, high }: Axis): number =>
    (2 * ((value ?? NaN) - low)) / (high - low) - 1;
  return data.flatMap((trace, index) => {
    const color = trace.marker?.color ?? PALETTE[index % PALETTE.length] ?? INK;
    return trace.x.map((x, i) => ({
      ...project([unit(x, axes[0]), unit(trace.y[i], axes[1]), unit(trace.z[i], axes[2])]),
      color,
      radius: (trace.marker?.size ?? 7) / 2,
      text: trace.mode === "markers+text" ? clip(trace.text?.[i] ?? "", 20) : "",
    }));
  }).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)).sort((a, b) =>
    a.depth - b.depth || a.x - b.x
  );
}

type Box = readonly [left: number, top: number, right: number, bottom: number];

/** Texts beside their points: right, left, above or below, the nearest points first; none where all four are taken. */
function dotTexts(dots: readonly Dot[]): string[] {
  const taken: Box[] = dots.map(({ x, y, radius }) => [x - radius, y - radius, x + radius, y + radius]);
  const free = ([left, top, right, bottom]: Box): boolean =>
    left > 2 && right < WIDTH - 2 &&
    taken.every((box) => right < box[0] || left > box[2] || bottom < box[1] || top > box[3]);
  return [...dots].reverse().flatMap(({ x, y, radius, text }) => {
    if (text === "") return [];
    const width = [...text].length * 6.2;
    const spots: readonly (readonly [number, number])[] = [
      [x + radius + 2, y + 4],
      [x - radius - 2 - width, y + 4],
      [x - width / 2, y - radius - 3],
      [x - width / 2, y + radius + 10],
    ];
    for (const [left, base] of spots) {
      const box: Box = [left, base - 9, left + width, base + 2];
      if (!free(box)) continue;
      taken.push(box);
      return [textAt(left, base, text, { size: 11 })];
    }
    return [];
  });
}

/** Draws points in space. */
export function scatter3dSvg(
  data: readonly Scatter3dTrace[],
  layout: Readonly<Record<string, unknown>>,
  title: string,
): string {
  const axes: [Axis, Axis, Axis] = [
    axisOf("x", data, layout),
    axisOf("y", data, layout),
    axisOf("z", data, layout),
  ];
  const dots = dotsOf(data, axes);
  const circles = dots.map(({ x, y, radius, color }) =>
    `<circle cx="${coordinate(x)}" cy="${coordinate(y)}" r="${coordinate(radius)}" fill="${
      color.replace(/[^#\w(),.% ]/g, "")
    }" fill-opacity="0.85" stroke="#ffffff" stroke-width="0.6"/>`
  );
  const named = data.length > 1 ? data : [];
  const legend = named.flatMap(({ name, marker }, i) => [
    `<circle cx="${WIDTH - 4}" cy="${48 + i * 18}" r="5" fill="${
      (marker?.color ?? PALETTE[i % PALETTE.length] ?? INK).replace(/[^#\w(),.% ]/g, "")
    }"/>`,
    textAt(WIDTH + 6, 52 + i * 18, clip(name ?? `trace ${i + 1}`, 22), { size: 12 }),
  ]);
  const longest = Math.max(0, ...named.map(({ name }) => Math.min(22, name?.length ?? 8)));
  const width = WIDTH + (named.length === 0 ? 0 : 18 + longest * 7);
  return svgFrame(width, HEIGHT, title, [
    textAt(12, 24, title === "figure" ? "" : title, { size: 14, bold: true }),
    ...backFaces(),
    ...axisLabels(axes),
    ...circles,
    ...dotTexts(dots),
    ...legend,
  ]);
}
