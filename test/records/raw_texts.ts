import { linesIn, type RawBlock } from "../../lib/records/inputs.ts";

/** The texts of all lines, block by block: the bytes of a block are good until the next one is read. */
export function textsOf(blocks: Iterable<RawBlock>): string[] {
  const texts: string[] = [];
  for (const block of blocks) for (const [from, to] of linesIn(block)) texts.push(block.decode(from, to));
  return texts;
}
