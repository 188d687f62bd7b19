/**
 * Tables of fields: one line says a field's type, range and default, and one reader checks a whole object against the
 * table and names every mistake at once. Both configurations are such tables.
 */

/** What a field may hold. */
export type Field = {
  /** `int` and `number` are checked against the range; `probability` is a number in [0, 1). */
  readonly kind: "int" | "number" | "probability" | "boolean" | "text" | "choice" | "list of ints";
  /** Smallest value allowed. */
  readonly min?: number;
  /** Largest value allowed. */
  readonly max?: number;
  /** Allowed words of a choice. */
  readonly choices?: readonly string[];
  /** Value when the key is absent; without a default an absent key stays absent. */
  readonly default?: unknown;
  /** The key must be given. */
  readonly required?: boolean;
};

/** One thing that is wrong; `type` mistakes make a TypeError, `range` mistakes a RangeError. */
export type Mistake = { readonly kind: "type" | "range"; readonly text: string };

/** Edits that turn one word into another: insert, delete, replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/**
 * The known name nearest to a mistyped one, for hints in messages.
 *
 * @param name What was written.
 * @param known What exists.
 * @returns The nearest by edits, or undefined when none is near.
 * @example
 * ```ts
 * import { nearestName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(nearestName("hiden_size", ["hidden_size", "vocab_size"]), "hidden_size");
 * assert.equal(nearestName("colour", ["hidden_size", "vocab_size"]), undefined);
 * ```
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const near = known.map((candidate) => ({ candidate, edits: distance(name.toLowerCase(), candidate) }))
    .sort((a, b) => a.edits - b.edits)[0];
  return near !== undefined && near.edits <= Math.max(2, name.length / 3) ? near.candidate : undefined;
}

function shown(value: unknown): string {
  const text = typeof value === "bigint" ? `${value}` : JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function range({ kind, min, max }: Field): string {
  if (kind === "probability") return "in [0, 1)";
  const top = max === Number.MAX_SAFE_INTEGER ? undefined : max;
  if (min !== undefined && top !== undefined) return `${min} to ${top}`;
  return min !== undefined ? `at least ${min}` : `at most ${max}`;
}

function numberMistake(key: string, value: unknown, field: Field): Mistake | undefined {
  const word = field.kind === "int" ? "a whole number" : "a number";
  if (typeof value !== "number" || !Number.isFinite(value)) {
    return { kind: "type", text: `${key} must be ${word}, it is ${shown(value)}` };
  }
  if (field.kind === "int" && !Number.isSafeInteger(value)) {
    return { kind: "type", text: `${key} must be a whole number, it is ${shown(value)}` };
  }
  const outside = field.kind === "probability"
    ? !(value >= 0 && value < 1)
    : value < (field.min ?? -Infinity) || value > (field.max ?? Infinity);
  return outside
    ? { kind: "range", text: `${key} must be ${range(field)}, it is ${shown(value)}` }
    : undefined;
}

function mistakeOf(key: string, value: unknown, field: Field): Mistake | undefined {
  switch (field.kind) {
    case "int":
    case "number":
    case "probability":
      return numberMistake(key, value, field);
    case "boolean":
      if (typeof value === "boolean") return undefined;
      return { kind: "type", text: `${key} must be true or false, it is ${shown(value)}` };
    case "text":
      if (typeof value === "string") return undefined;
      return { kind: "type", text: `${key} must be text, it is ${shown(value)}` };
    case "list of ints":
      if (Array.isArray(value) && value.every((item) => Number.isSafeInteger(item))) return undefined;
      return { kind: "type", text: `${key} must be a list of whole numbers, it is ${shown(value)}` };
    case "choice": {
      const choices = field.choices ?? [];
      if (typeof value === "string" && choices.includes(value)) return undefined;
      const kind = typeof value === "string" ? "range" : "type";
      const list = choices.map((choice) => JSON.stringify(choice)).join(", ");
      return { kind, text: `${key} must be one of ${list}, it is ${shown(value)}` };
    }
  }
}

/** Checks an object against a table: the values with defaults filled in, and every mistake. */
export function readFields(
  value: unknown,
  table: Readonly<Record<string, Field>>,
): { readonly values: Record<string, unknown>; readonly mistakes: Mistake[] } {
  const values: Record<string, unknown> = {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return {
      values,
      mistakes: [{ kind: "type", text: `it must be an object of named values, it is ${shown(value)}` }],
    };
  }
  const given = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(table);
  const mistakes: Mistake[] = [];
  for (const key of Object.keys(given)) {
    if (names.includes(key)) continue;
    const near = nearestName(key, names);
    const hint = near === undefined ? "" : `, did you mean ${near}?`;
    mistakes.push({ kind: "type", text: `${key} is no known key${hint}` });
  }
  for (const [key, field] of Object.entries(table)) {
    if (!Object.hasOwn(given, key) || given[key] === undefined) {
      if (field.required === true) mistakes.push({ kind: "type", text: `${key} is missing` });
      else if (field.default !== undefined) values[key] = field.default;
      continue;
    }
    const mistake = mistakeOf(key, given[key], field);
    if (mistake === undefined) values[key] = given[key];
    else mistakes.push(mistake);
  }
  return { values, mistakes };
}

/** Throws one error that names every mistake; returns when there is none. */
export function refuse(what: string, mistakes: readonly Mistake[]): void {
  if (mistakes.length === 0) return;
  const [first, ...more] = mistakes.map(({ text }) => text);
  const message = more.length === 0
    ? `Cannot use ${what}: ${first}`
    : [`Cannot use ${what}: ${mistakes.length} mistakes`, first, ...more].join("\n- ");
  throw mistakes.some(({ kind }) => kind === "type") ? new TypeError(message) : new RangeError(message);
}

/** JSON as the reference writes it: keys sorted, indented by 2, a newline at the end. */
export function sortedJson(value: object): string {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}
