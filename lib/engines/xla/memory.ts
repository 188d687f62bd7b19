/**
 * Memory of a program before its first run: what the compiler says it needs against what this machine has free.
 */
import { readFileSync } from "node:fs";
import { describe, topological } from "../../tensor/mod.ts";
import type { Graph } from "../../tensor/mod.ts";
import type { Compiled } from "./messages.ts";
import { XlaError } from "./pjrt_api.ts";
import { bytesOf } from "./values.ts";

/** Free memory of this machine, bytes; what the kernel could free counts. */
function freeMemory(): number {
  try {
    const line = /^MemAvailable:\s*(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"));
    return line === null ? Infinity : 1024 * Number(line[1]);
  } catch {
    return Infinity;
  }
}

/** Refuses a program whose values do not fit into what is free, naming its largest ones. */
export function refuseTooLarge(graph: Graph, { memory }: Compiled): void {
  const needed = memory.temporary + memory.outputs - memory.alias;
  const free = freeMemory();
  if (needed <= free) return;
  const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const largest = topological(graph.outputs).map((tensor) => ({ tensor, bytes: bytesOf(tensor) }))
    .sort((a, b) => b.bytes - a.bytes).slice(0, 3)
    .map(({ tensor, bytes }) => `${tensor.op} ${describe(tensor)} (${gigabytes(bytes)})`);
  throw new XlaError(
    `Cannot run this program: it needs ${gigabytes(needed)} beside its arguments, ${
      gigabytes(free)
    } are free. ` +
      `Its largest values: ${largest.join(", ")}. ` +
      "Use a smaller batch, remat, or more gradient accumulation steps",
    "RESOURCE_EXHAUSTED",
  );
}
