/**
 * Smaller SVG with the same pixels: attributes that say nothing go, groups that say nothing are unwrapped, and what all
 * marks of a group repeat moves up to the group. A committed notebook may hold 100 kB, and charts repeat themselves.
 */

type Element = {
  readonly tag: string;
  readonly attributes: Map<string, string>;
  children: (Element | string)[];
};

const spare = /^(?:class|role|pointer-events|aria-.*)$/;
const defaults: ReadonlyMap<string, string> = new Map([
  ["opacity", "1"],
  ["stroke-width", "1"],
  ["transform", "translate(0,0)"],
]);
// Inherited by children; the second kind matters to text alone.
const inherited = ["fill", "stroke", "stroke-opacity", "stroke-dasharray"];
const ofText = ["font-size", "text-anchor", "font-weight", "font-family"];

/** Reads markup as our own pictures and vega write it: no comments, no CDATA, attributes in double quotes. */
function parse(svg: string): Element {
  const root: Element = { tag: "", attributes: new Map(), children: [] };
  const open: Element[] = [root];
  for (const [token] of svg.matchAll(/<[^>]+>|[^<]+/g)) {
    const parent = open[open.length - 1] as Element;
    if (!token.startsWith("<")) parent.children.push(token);
    else if (token.startsWith("</")) open.pop();
    else {
      const tag = /^<([^\s/>]+)/.exec(token)?.[1] ?? "";
      const attributes = new Map(
        [...token.matchAll(/ ([^\s=]+)="([^"]*)"/g)].map((m) => [m[1] as string, m[2] as string]),
      );
      const element: Element = { tag, attributes, children: [] };
      parent.children.push(element);
      if (!token.endsWith("/>")) open.push(element);
    }
  }
  return root;
}

function write(node: Element | string): string {
  if (typeof node === "string") return node;
  const inside = node.children.map(write).join("");
  if (node.tag === "") return inside;
  const attributes = [...node.attributes].map(([name, value]) => ` ${name}="${value}"`).join("");
  return inside === "" ? `<${node.tag}${attributes}/>` : `<${node.tag}${attributes}>${inside}</${node.tag}>`;
}

const isElement = (node: Element | string): node is Element => typeof node !== "string";

function mostCommon(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "";
}

/** Moves what all leaves of a group spell out up to the group; a leaf with another value keeps it. */
function hoist(group: Element): void {
  const leaves = group.children.filter(isElement);
  if (leaves.length < 2 || leaves.some(({ tag }) => tag === "g" || tag === "svg" || tag === "defs")) return;
  const texts = leaves.filter(({ tag }) => tag === "text");
  for (const [names, of] of [[inherited, leaves], [ofText, texts]] as const) {
    for (const name of names) {
      const values = of.map(({ attributes }) => attributes.get(name));
      if (values.length < 2 || values.includes(undefined)) continue;
      const common = mostCommon(values as string[]);
      group.attributes.set(name, common);
      for (const { attributes } of of) if (attributes.get(name) === common) attributes.delete(name);
    }
  }
}

/** Puts neighbouring texts into a group of their own, where they can share what they repeat. */
function gatherTexts({ children }: Element): (Element | string)[] {
  const out: (Element | string)[] = [];
  for (let i = 0; i < children.length;) {
    let end = i;
    for (
      let child = children[end];
      child !== undefined && isElement(child) && child.tag === "text";
      child = children[++end]
    );
    if (end - i >= 4 && end - i < children.length) {
      const group: Element = { tag: "g", attributes: new Map(), children: children.slice(i, end) };
      hoist(group);
      out.push(group);
      i = end;
    } else out.push(...children.slice(i, i = Math.max(end, i + 1)));
  }
  return out;
}

/** A text moved by a translation stands at that place. */
function placeText({ tag, attributes }: Element): void {
  const moved = /^translate\((-?[\d.]+),(-?[\d.]+)\)$/.exec(attributes.get("transform") ?? "");
  if (tag !== "text" || moved === null || attributes.has("x") || attributes.has("y")) return;
  attributes.delete("transform");
  attributes.set("x", moved[1] ?? "0");
  attributes.set("y", moved[2] ?? "0");
}

function clean(element: Element, isRoot: boolean): void {
  if (!isRoot) {
    for (const name of [...element.attributes.keys()]) {
      if (spare.test(name)) element.attributes.delete(name);
    }
  }
  for (const [name, value] of defaults) {
    if (element.attributes.get(name) === value) element.attributes.delete(name);
  }
  placeText(element);
  for (const child of element.children.filter(isElement)) clean(child, false);
  element.children = element.children.flatMap((child) => {
    if (!isElement(child)) return [child];
    if (child.attributes.get("opacity") === "0") return []; // a label that has no room
    if (child.tag !== "g") return [child];
    if (child.children.length === 0) return [];
    return child.attributes.size === 0 ? child.children : [child];
  });
  hoist(element);
  element.children = gatherTexts(element);
}

/**
 * The same picture in fewer bytes.
 *
 * @param svg Markup of one `<svg>` element; its own attributes stay.
 * @returns Markup that draws the same pixels.
 */
export function slimSvg(svg: string): string {
  const root = parse(svg);
  for (const child of root.children.filter(isElement)) clean(child, true);
  return write(root);
}
