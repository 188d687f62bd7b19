/**
 * Entities in rows of tags, and how many are found: the rules of conlleval as the Python library seqeval has them in its
 * default mode. A tag is `O` or a prefix B, I, E or S, a hyphen and a type; an I that follows nothing opens an entity.
 */

/** An entity: its type and the words it spans. */
export type Entity = { readonly type: string; readonly from: number; readonly to: number };

/** Whether every tag is `O` or has a prefix; other tags, such as parts of speech, name no entities. */
export const areEntityTags = (labels: readonly string[]): boolean =>
  labels.every((label) => /^(O|[BIES]-.+)$/.test(label));

type Part = { readonly prefix: string; readonly type: string };

const partOf = (tag: string): Part => ({ prefix: tag[0] ?? "O", type: tag.slice(2) });

/** Whether an entity that runs up to `before` ends there. */
function ends(before: Part, now: Part): boolean {
  if (before.prefix === "O") return false;
  return before.prefix === "E" || before.prefix === "S" || ["B", "S", "O"].includes(now.prefix) ||
    before.type !== now.type;
}

/** Whether an entity begins at `now`. */
function begins(before: Part, now: Part): boolean {
  if (now.prefix === "O") return false;
  return now.prefix === "B" || now.prefix === "S" || ["E", "S", "O"].includes(before.prefix) ||
    before.type !== now.type;
}

/** The entities of a row of tags, in order. */
export function entitiesIn(tags: readonly string[]): Entity[] {
  const found: Entity[] = [];
  let before: Part = { prefix: "O", type: "" };
  let from = 0;
  [...tags, "O"].forEach((tag, i) => {
    const now = partOf(tag);
    if (ends(before, now)) found.push({ type: before.type, from, to: i });
    if (begins(before, now)) from = i;
    before = now;
  });
  return found;
}

/** How many entities of each type a row has, how many were named, and how many of those are right. */
export function countEntities(
  truth: readonly string[],
  guess: readonly string[],
): Map<string, { wanted: number; named: number; right: number }> {
  const counts = new Map<string, { wanted: number; named: number; right: number }>();
  const of = (type: string) => {
    const count = counts.get(type) ?? { wanted: 0, named: 0, right: 0 };
    counts.set(type, count);
    return count;
  };
  const key = ({ type, from, to }: Entity): string => `${from} ${to} ${type}`;
  const [wanted, named] = [entitiesIn(truth), entitiesIn(guess)];
  const known = new Set(wanted.map(key));
  for (const { type } of wanted) of(type).wanted++;
  for (const entity of named) {
    const count = of(entity.type);
    count.named++;
    if (known.has(key(entity))) count.right++;
  }
  return counts;
}
