/**
 * Tables: rows of records or lists as an HTML table and as aligned text. Every cell is escaped; a column of numbers stands
 * to the right, by an attribute and a style, since some viewers strip the one and some the other.
 */
import { escapeMarkup, type Showable } from "./bundle.ts";
import { numberText } from "./numbers.ts";
import { columns as textColumns } from "./svg.ts";
import { valueText } from "./text.ts";

/**
 * One column of a table.
 *
 * @example
 * ```ts
 * import { type Column, table } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const column: Column = { key: "p", title: "probability", digits: 2 };
 * const shown = table([{ p: 0.12345 }], { columns: [column] });
 * assert.equal(shown.bundle["text/plain"], "probability\n-----------\n       0.12");
 * ```
 */
export type Column = {
  /** Field of a record, or index into a list. */
  readonly key: string | number;
  /** Heading; default the key. */
  readonly title?: string;
  /** Significant digits of numbers; default 6. */
  readonly digits?: number;
  /** Side the column keeps to; default right for numbers, left for all else. */
  readonly align?: "left" | "right";
};

/**
 * How a table is made.
 *
 * @example
 * ```ts
 * import { table, type TableOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: TableOptions = { columns: ["b"], maxRows: 1 };
 * assert.match(String(table([{ a: 1, b: 2 }, { a: 3, b: 4 }], options).bundle["text/plain"]), /1 more row$/);
 * ```
 */
export type TableOptions = {
  /** Columns in order; default all keys, in the order of their first appearance. */
  readonly columns?: readonly (string | number | Column)[];
  /** Line above the table; default none. */
  readonly caption?: string;
  /** Most rows shown; default 100. */
  readonly maxRows?: number;
};

type Row = object;

function cellValue(row: Row, key: string | number): unknown {
  return (row as Readonly<Record<string | number, unknown>>)[key];
}

function cellText(value: unknown, digits: number | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number") return numberText(value, digits);
  return valueText(value);
}

function allKeys(rows: readonly Row[]): (string | number)[] {
  const keys = new Set<string | number>();
  for (const row of rows) {
    for (const key of Object.keys(row)) keys.add(Array.isArray(row) ? Number(key) : key);
  }
  return [...keys];
}

function isNumeric(value: unknown): boolean {
  return typeof value === "number" || typeof value === "bigint";
}

/**
 * Makes a table.
 *
 * @param rows Records (`{ piece: "▁the", id: 13 }`) or lists (`["▁the", 13]`).
 * @param options See {@linkcode TableOptions}.
 * @returns Something to `show`.
 *
 * @example
 * ```ts
 * import { table } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shown = table([{ piece: "▁the", id: 13 }, { piece: "<pad>", id: 0 }]);
 * assert.equal(shown.bundle["text/plain"], "piece  id\n-----  --\n▁the   13\n<pad>   0");
 * assert.match(String(shown.bundle["text/html"]), /&lt;pad&gt;/);
 * ```
 */
export function table(
  rows: readonly Row[],
  { columns, caption, maxRows = 100 }: TableOptions = {},
): Showable {
  const shown = rows.slice(0, maxRows);
  const left = rows.length - shown.length;
  const more = left > 0 ? `… ${left} more row${left === 1 ? "" : "s"}` : "";
  const chosen = (columns ?? allKeys(rows)).map((column): Column =>
    typeof column === "object" ? column : { key: column }
  );
  const layout = chosen.map(({ key, title, digits, align }) => {
    const values = shown.map((row) => cellValue(row, key));
    const known = values.filter((value) => value !== undefined && value !== null);
    return {
      title: title ?? String(key),
      cells: values.map((value) => cellText(value, digits)),
      right: align === undefined ? known.length > 0 && known.every(isNumeric) : align === "right",
    };
  });
  const open = (tag: string, right: boolean): string => {
    const side = right ? "right" : "left";
    return side === "left" ? `<${tag} style="text-align:left">` : `<${tag} align="right">`;
  };
  const head = layout.map(({ title, right }) => `${open("th", right)}${escapeMarkup(title)}</th>`).join("");
  const body = shown.map((_, i) =>
    `<tr>${
      layout.map(({ cells, right }) =>
        `${open("td", right)}${escapeMarkup(cells[i] ?? "").replace(/\n/g, "<br>")}</td>`
      ).join("")
    }</tr>`
  );
  const markup = [
    "<table>",
    ...(caption === undefined ? [] : [`<caption>${escapeMarkup(caption)}</caption>`]),
    `<thead><tr>${head}</tr></thead>`,
    "<tbody>",
    ...body,
    "</tbody>",
    "</table>",
    ...(more === "" ? [] : [`<p>${more}</p>`]),
  ].join("\n");
  return { bundle: { "text/html": markup, "text/plain": plainTable(layout, shown.length, caption, more) } };
}

type Layout = readonly {
  readonly title: string;
  readonly cells: readonly string[];
  readonly right: boolean;
}[];

function plainTable(layout: Layout, rowCount: number, caption: string | undefined, more: string): string {
  const flat = layout.map(({ title, cells, right }) => {
    const lines = [title, ...cells].map((cell) => cell.replace(/\s*\n\s*/g, " "));
    const width = lines.reduce((widest, cell) => Math.max(widest, textColumns(cell)), 0);
    const padded = lines.map((cell) => {
      const room = " ".repeat(width - textColumns(cell));
      return right ? room + cell : cell + room;
    });
    return { width, padded };
  });
  const line = (i: number): string => flat.map(({ padded }) => padded[i] ?? "").join("  ").trimEnd();
  return [
    ...(caption === undefined ? [] : [caption]),
    line(0),
    flat.map(({ width }) => "-".repeat(width)).join("  "),
    ...Array.from({ length: rowCount }, (_, i) => line(i + 1)),
    ...(more === "" ? [] : [more]),
  ].join("\n");
}
