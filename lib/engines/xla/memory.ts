/**
 * Memory of a program before its first run: what the compiler says it needs, on top of what the process holds, against
 * what this machine, or the control group that limits this process, has free.
 */
import { readFileSync } from "node:fs";
import { describe, topological } from "../../tensor/mod.ts";
import type { Graph, MemoryNeed } from "../../tensor/mod.ts";
import type { Compiled } from "./messages.ts";
import { XlaError } from "./pjrt_api.ts";
import { bytesOf } from "./values.ts";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** What a control group lets its processes use beyond what they use now; page cache that can be dropped counts. */
function groupFree(limit: string, usage: string, statistics: string, reclaimable: RegExp): number {
  const [most, used] = [limit, usage].map((path) => read(path).trim());
  if (most === undefined || used === undefined || !/^\d+$/.test(most) || !/^\d+$/.test(used)) return Infinity;
  const cache = Number(reclaimable.exec(read(statistics))?.[1] ?? 0);
  return Math.max(0, Number(most) - Number(used) + cache);
}

/**
 * Free memory, bytes: that of the machine, what the kernel could free included, or less where a control group (version 2
 * or 1) sets a limit; infinite where nothing tells.
 *
 * @param root Folder of the system's files, for tests.
 */
export function freeMemory(root: string = ""): number {
  const line = /^MemAvailable:\s*(\d+)/m.exec(read(`${root}/proc/meminfo`));
  const groups = `${root}/sys/fs/cgroup`;
  const first = `${groups}/memory`;
  return Math.min(
    line === null ? Infinity : 1024 * Number(line[1]),
    groupFree(
      `${groups}/memory.max`,
      `${groups}/memory.current`,
      `${groups}/memory.stat`,
      /^inactive_file (\d+)/m,
    ),
    groupFree(
      `${first}/memory.limit_in_bytes`,
      `${first}/memory.usage_in_bytes`,
      `${first}/memory.stat`,
      /^total_inactive_file (\d+)/m,
    ),
  );
}

/**
 * What a program will need: the process as it was after compiling, arguments that are not there yet, and what the compiler
 * says about temporary values and outputs, on every device.
 */
export function memoryOf({ memory, resident, held }: Compiled, devices: number): MemoryNeed {
  const [given, temporary, outputs] = [memory.arguments, memory.temporary, memory.outputs - memory.alias].map(
    (bytes) => devices * bytes,
  ) as [number, number, number];
  const process = Math.max(0, resident - held);
  return {
    process,
    arguments: given,
    temporary,
    outputs,
    peak: process + Math.max(held, given) + temporary + outputs,
    free: freeMemory(),
  };
}

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Refuses a program whose values do not fit into what is free, naming its largest ones. */
export function refuseTooLarge(
  graph: Graph,
  { arguments: given, temporary, outputs, free }: MemoryNeed,
  { held }: Pick<Compiled, "held">,
): void {
  const needed = Math.max(0, given - held) + temporary + outputs;
  if (needed <= free) return;
  const largest = topological(graph.outputs).map((tensor) => ({ tensor, bytes: bytesOf(tensor) }))
    .sort((a, b) => b.bytes - a.bytes).slice(0, 3)
    .map(({ tensor, bytes }) => `${tensor.op} ${describe(tensor)} (${gigabytes(bytes)})`);
  throw new XlaError(
    `Cannot run this program: it needs ${gigabytes(needed)} more (${gigabytes(given)} of arguments, ${
      gigabytes(temporary + outputs)
    } of temporary values and results), ${gigabytes(free)} are free. ` +
      `Its largest values: ${largest.join(", ")}. ` +
      "Use a smaller batch, remat, or more gradient accumulation steps",
    "RESOURCE_EXHAUSTED",
  );
}
