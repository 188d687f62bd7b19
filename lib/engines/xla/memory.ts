/**
 * Memory of a program before its first run: what it needs, on top of what the process holds, against what this machine,
 * or the control group that limits this process, has free. Before the program is compiled a bound from below is known;
 * afterwards the compiler says what it needs.
 */
import { readFileSync } from "node:fs";
import type { Graph, MemoryNeed } from "../../tensor/mod.ts";
import { everyValue, leastMemory } from "./least_memory.ts";
import type { LeastMemory } from "./least_memory.ts";
import type { Compiled } from "./messages.ts";
import { argumentGroups } from "./parts.ts";
import { XlaError } from "./pjrt_api.ts";

const GiB = 2 ** 30;

/** Of the bound from below, what is sure: a compiler may compute anew what the bound counts as stored. */
const sure = 0.9;

/** What of a program's memory the bound finds: 0.64 to 0.97 of it with steps of ALBERT; less with two layers and remat. */
const found = 0.7;

/**
 * What runs take beside their values, bytes: code, threads' stacks and operands that kernels pack. Measured with two
 * threads: 10 to 60 MB with 129 MB of temporary values, 82 with 623, 102 with 970.
 */
const besideRun = (temporary: number): number => 32e6 + Math.round(temporary / 13);

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
 * says about temporary values and outputs, on every device. The peak of a small program was its compilation.
 */
export function memoryOf({ memory, resident, held, peak }: Compiled, devices: number): MemoryNeed {
  const [given, temporary, outputs] = [memory.arguments, memory.temporary, memory.outputs - memory.alias].map(
    (bytes) => devices * bytes,
  ) as [number, number, number];
  const process = Math.max(0, resident - held) + besideRun(temporary);
  return {
    process,
    arguments: given,
    temporary,
    outputs,
    peak: Math.max(peak, process + Math.max(held, given) + temporary + outputs),
    free: freeMemory(),
  };
}

const size = (bytes: number): string =>
  bytes < 0.1 * GiB ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / GiB).toFixed(1)} GiB`;

/** A program that does not fit: what it needs on all devices, beyond what is there, and what is free, bytes. */
type Excess = {
  /** Arguments in all, and those that are still to come. */
  readonly given: number;
  readonly coming: number;
  /** Values that are computed: those that are sure, and those that are likely. */
  readonly computed: number;
  readonly likely: number;
  readonly free: number;
  /** Whether the compiler said so, or a bound from below. */
  readonly compiled: boolean;
};

/** The refusal: by how much, which values, what to change. */
function tooLarge(graph: Graph, { largest }: LeastMemory, devices: number, excess: Excess): XlaError {
  const { given, coming, computed, likely, free, compiled } = excess;
  const groups = [...largest(), ...argumentGroups(graph.parameters)]
    .map(({ words, bytes }) => ({ words, bytes: bytes * devices }))
    .filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes).slice(0, 4)
    .map(({ words, bytes }) => `${words} (${size(bytes)})`);
  const fits = Math.floor(100 * (free - coming) / likely) / 100;
  const advice = fits > 0
    ? `Use a smaller batch (${fits} of this one would fit, about), remat, or more gradient accumulation steps`
    : `${coming < free ? "Not a hundredth of this batch would fit: use remat, shorter sequences," : "Use"} ` +
      "a smaller model, or a machine with more memory";
  return new XlaError(
    `Cannot run this program: it needs ${compiled ? "" : "at least "}${size(coming + computed)} more ` +
      `(${size(given)} of arguments, ${size(computed)} of temporary values and results` +
      `${devices > 1 ? `, on ${devices} devices` : ""}), ${size(free)} are free. ` +
      `Its largest values: ${groups.join("; ")}. ${advice}`,
    "RESOURCE_EXHAUSTED",
    { fits: Math.max(0, fits) },
  );
}

/** What the process holds, bytes: in memory, of values, and what it had in memory before the first of them. */
export type Held = { readonly resident: number; readonly held: number; readonly atStart: number };

/** What a program can have: what is free, and what the process has kept of earlier programs. */
const withKept = (free: number, { resident, held, atStart }: Held): number =>
  free + Math.max(0, resident - held - atStart);

/**
 * Refuses a compiled program whose values do not fit into what is free, naming its largest ones.
 *
 * @param graph What was compiled, of one device.
 * @param need What all devices need.
 * @param process What the process holds.
 * @param devices How many they are.
 * @param inPlace Outputs, by their place, that take the memory of arguments.
 */
export function refuseTooLarge(
  graph: Graph,
  { arguments: given, temporary, outputs, free: left }: MemoryNeed,
  process: Held,
  devices: number = 1,
  inPlace: ReadonlySet<number> = new Set(),
): void {
  const [coming, computed] = [Math.max(0, given - process.held), temporary + outputs];
  const free = withKept(left, process);
  if (coming + computed <= free) return;
  const excess = { given, coming, computed, likely: computed, free, compiled: true };
  throw tooLarge(graph, leastMemory(graph, inPlace), devices, excess);
}

/**
 * Refuses a program before it is compiled, where that is clear already: compiling takes seconds and memory of its own.
 *
 * @param graph What would be compiled, of one device.
 * @param inPlace Outputs, by their place, that take the memory of arguments.
 * @param devices How many run it.
 * @param ask What the process holds; asked only where the program is large.
 */
export async function refuseClearly(
  graph: Graph,
  inPlace: ReadonlySet<number>,
  devices: number,
  ask: () => Promise<Held>,
  left: number = freeMemory(),
): Promise<void> {
  if (devices * everyValue(graph) <= left) return;
  const least = leastMemory(graph, inPlace);
  const given = devices * least.arguments;
  const computed = devices * sure * least.temporary;
  if (given + computed <= left) return;
  const process = await ask();
  const coming = Math.max(0, given - process.held);
  const free = withKept(left, process);
  if (coming + computed <= free) return;
  const likely = devices * least.temporary / found;
  throw tooLarge(graph, least, devices, { given, coming, computed, likely, free, compiled: false });
}
