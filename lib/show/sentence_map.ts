/**
 * A map of sentences: points in space coloured by label, each telling its sentence when the pointer is over it. The
 * coordinates come from elsewhere, such as `principalComponents`.
 */
import { escapeMarkup, type Showable } from "./bundle.ts";
import { figure, type Scatter3dTrace } from "./figure.ts";
import { CAMERA_EYE } from "./scatter3d_svg.ts";
import { clip } from "./svg.ts";

/**
 * Draws a map of sentences. Plotly shows the sentence under the pointer; the SVG beside it shows the coloured points.
 *
 * @param sentences The sentences.
 * @param axes Three arrays of coordinates, one value for each sentence.
 * @param options See the fields.
 * @param options.labels A label for each sentence: one colour each, in the order they appear; default all alike.
 * @param options.title Title above the figure; default `"Sentences"`.
 * @param options.variance Share of the variance of each axis, told in the names of the axes.
 * @param options.longest Characters of a sentence that are shown, default 90.
 * @returns Something to `show`.
 * @throws {RangeError} When there are not three axes, or not one value and one label for each sentence.
 *
 * @example
 * ```ts
 * import { sentenceMap } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shown = sentenceMap(["it was day", "it was night"], [[0, 1], [1, 0], [0, 0]], { labels: ["light", "dark"] });
 * assert.match(String(shown.bundle["text/plain"]), /light: 1 points/);
 * assert.match(JSON.stringify(shown.bundle["application/vnd.plotly.v1+json"]), /it was night/);
 * ```
 */
export function sentenceMap(
  sentences: readonly string[],
  axes: readonly ArrayLike<number>[],
  { labels, title = "Sentences", variance, longest = 90 }: {
    readonly labels?: readonly string[];
    readonly title?: string;
    readonly variance?: readonly number[];
    readonly longest?: number;
  } = {},
): Showable {
  const counts = [...axes, ...(labels === undefined ? [] : [labels])].map(({ length }) => length);
  if (axes.length !== 3 || counts.some((count) => count !== sentences.length)) {
    throw new RangeError(
      `Cannot draw a map of ${sentences.length} sentences: give 3 axes and labels with as many values, ` +
        `they are ${axes.length} axes with ${counts.join(", ")}`,
    );
  }
  const names = labels === undefined ? ["sentences"] : [...new Set(labels)];
  const data = names.map((name): Scatter3dTrace => {
    const rows = [...sentences.keys()].filter((i) => labels === undefined || labels[i] === name);
    const along = (axis: number): number[] => rows.map((i) => axes[axis]?.[i] ?? 0);
    return {
      type: "scatter3d",
      name,
      ...{ x: along(0), y: along(1), z: along(2) },
      text: rows.map((i) => escapeMarkup(clip(sentences[i] ?? "", longest))),
      hovertemplate: "%{text}",
      marker: { size: 6 },
    };
  });
  const axis = (i: number): object => {
    const share = variance?.[i];
    const note = share === undefined ? "" : `, ${(100 * share).toFixed(0)} %`;
    return { title: { text: `PC ${i + 1}${note}` } };
  };
  const camera = { eye: CAMERA_EYE, projection: { type: "orthographic" } };
  return figure({
    data,
    layout: {
      title: { text: title },
      scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), camera },
    },
  });
}
