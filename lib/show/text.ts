/**
 * Any value as readable text, the same in every runtime: `NaN`, `-0`, bigint and typed arrays stay visible (the Deno
 * kernel shows nothing for the first three as a last expression), numbers are rounded to 6 digits, long lists are cut.
 */
import { numberText } from "./numbers.ts";

const LINE_WIDTH = 88;
const MAX_ITEMS = 100;
const MAX_TYPED = 24;
const MAX_DEPTH = 6;

type NumberArray = ArrayLike<number | bigint> & { readonly [Symbol.toStringTag]: string };

/** What a tensor looks like from outside: values on request, shape, element type. */
export type TensorLike = {
  data(): Promise<unknown>;
  readonly shape: readonly number[];
  readonly dtype: string;
};

/** Whether `value` can give its values, shape and type. */
export function isTensorLike(value: unknown): value is TensorLike {
  if (typeof value !== "object" || value === null) return false;
  const { data, shape, dtype } = value as Partial<TensorLike>;
  return typeof data === "function" && Array.isArray(shape) && typeof dtype === "string";
}

function isTypedArray(value: object): value is NumberArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** A value as text; strings stay as they are. */
export function valueText(value: unknown): string {
  return typeof value === "string" ? value : nestedText(value, [], "");
}

function nestedText(value: unknown, parents: readonly object[], indent: string): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return numberText(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return `[function ${value.name === "" ? "without a name" : value.name}]`;
    case "object":
      return value === null ? "null" : objectText(value, parents, indent);
    default:
      return String(value);
  }
}

function objectText(value: object, parents: readonly object[], indent: string): string {
  if (parents.includes(value)) return "[circular]";
  if (parents.length >= MAX_DEPTH) return Array.isArray(value) ? "[…]" : "{…}";
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp || value instanceof URL) return String(value);
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${value.byteLength})`;
  if (value instanceof DataView) return `DataView(${value.byteLength})`;
  if (isTypedArray(value)) return typedText(value, indent);
  if (isTensorLike(value)) return `${value.dtype} [${value.shape.join(", ")}]`;
  const chain = [...parents, value];
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = Array.from(value.slice(0, MAX_ITEMS), (item) => nestedText(item, chain, inner));
    return join(`[`, cut(items, value.length), `]`, indent);
  }
  if (value instanceof Map) {
    const items = [...value].slice(0, MAX_ITEMS).map(([key, item]) =>
      `${nestedText(key, chain, inner)} => ${nestedText(item, chain, inner)}`
    );
    return join(`Map(${value.size}) { `, cut(items, value.size), ` }`, indent);
  }
  if (value instanceof Set) {
    const items = [...value].slice(0, MAX_ITEMS).map((item) => nestedText(item, chain, inner));
    return join(`Set(${value.size}) { `, cut(items, value.size), ` }`, indent);
  }
  return recordText(value, chain, indent);
}

function recordText(value: object, chain: readonly object[], indent: string): string {
  const entries = Object.entries(value);
  const items = entries.slice(0, MAX_ITEMS).map(([key, item]) =>
    `${/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(key) ? key : JSON.stringify(key)}: ${
      nestedText(item, chain, `${indent}  `)
    }`
  );
  const name = Object.getPrototypeOf(value)?.constructor?.name ?? "Object";
  return join(`${name === "Object" ? "" : `${name} `}{ `, cut(items, entries.length), ` }`, indent);
}

function cut(items: readonly string[], length: number): string[] {
  return length > items.length ? [...items, `… ${length - items.length} more`] : [...items];
}

function typedText(value: NumberArray, indent: string): string {
  const shown = value.length > MAX_TYPED ? MAX_TYPED - 4 : value.length;
  const items: string[] = [];
  for (let i = 0; i < shown; i++) items.push(nestedText(value[i], [], ""));
  return join(`${value[Symbol.toStringTag]}(${value.length}) [`, cut(items, value.length), `]`, indent);
}

/** One line when it fits; else short items are packed into lines and long ones get a line each. */
function join(open: string, items: readonly string[], close: string, indent: string): string {
  if (items.length === 0) return open.trimEnd() + close.trimStart();
  const line = `${open}${items.join(", ")}${close}`;
  if (indent.length + line.length <= LINE_WIDTH && !line.includes("\n")) return line;
  const inner = `${indent}  `;
  const lines: string[] = [];
  const packed = open.endsWith("[") && items.every((item) => item.length <= 12);
  for (const item of items) {
    const last = lines.at(-1);
    if (packed && last !== undefined && inner.length + last.length + item.length + 3 <= LINE_WIDTH) {
      lines[lines.length - 1] = `${last}, ${item}`;
    } else lines.push(item);
  }
  return `${open.trimEnd()}\n${inner}${lines.join(`,\n${inner}`)},\n${indent}${close.trimStart()}`;
}

/** Indices of one dimension that are printed; `-1` stands for the gap. */
function shownIndices(size: number, limit: number): number[] {
  if (size <= limit) return Array.from({ length: size }, (_, i) => i);
  const head = Math.ceil(limit / 2);
  const tail = limit - head;
  return [
    ...Array.from({ length: head }, (_, i) => i),
    -1,
    ...Array.from({ length: tail }, (_, i) => size - tail + i),
  ];
}

/** A tensor as text: a line with type and shape, then its values in aligned columns; the middle of long axes is cut. */
export function tensorText(values: unknown, shape: readonly number[], dtype: string): string {
  const head = `${dtype} [${shape.join(", ")}]`;
  const flat: ArrayLike<unknown> = typeof values === "object" && values !== null && "length" in values
    ? values as ArrayLike<unknown>
    : [values];
  if (shape.length === 0) return `${head} ${nestedText(flat[0], [], "")}`;
  if (shape.includes(0)) return `${head} (empty)`;
  const cells: string[] = [];
  const visit = (axis: number, offset: number): void => {
    const size = shape[axis] ?? 1;
    const stride = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
    for (const i of shownIndices(size, axis === shape.length - 1 ? 10 : 6)) {
      if (i < 0) continue;
      if (axis === shape.length - 1) cells.push(nestedText(flat[offset + i], [], ""));
      else visit(axis + 1, offset + i * stride);
    }
  };
  visit(0, 0);
  const width = cells.reduce((widest, cell) => Math.max(widest, cell.length), 0);
  let next = 0;
  const draw = (axis: number, indent: string): string => {
    const last = axis === shape.length - 1;
    const items = shownIndices(shape[axis] ?? 1, last ? 10 : 6).map((i) => {
      if (i < 0) return "…";
      return last ? (cells[next++] ?? "").padStart(width) : draw(axis + 1, `${indent} `);
    });
    return `[${items.join(last ? ", " : `,\n${indent} `)}]`;
  };
  return `${head}\n${draw(0, "")}`;
}
