/** Elements of a page: those it has, and new ones. */

/** The element of an id; a page without it is broken. */
export function part<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`Cannot show the page: it has no element ${id}`);
  }
  return found as Kind;
}

/** An element with text or children. */
export function made(
  tag: string,
  content: string | readonly Node[],
  attributes: Record<string, string> = {},
): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...typeof content === "string" ? [content] : content);
  return element;
}
