/**
 * What the model card of `albert export` tells beside weights: the commands that made the model, its loss over the steps, its
 * last held-out evaluation, its text and its tokenizer.
 */
import { existsSync, readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { parsePretrainingConfig } from "../config/mod.ts";
import type { ModelCardFacts } from "../export/mod.ts";
import { parseJson } from "../formats/mod.ts";
import { lineChart } from "../show/mod.ts";
import { parseModel } from "../tokenizer/mod.ts";
import type { Checkpoint } from "../train/mod.ts";
import { commandLine, readCommand } from "./command_note.ts";
import { readInput } from "./files.ts";

/**
 * The command lines of the training: the one that the checkpoint keeps, else what its settings tell, a stage each; none where
 * the weights come from elsewhere.
 */
export function trainingCommands({ path, state }: Pick<Checkpoint, "path" | "state">): string[] {
  const kept = readCommand(path);
  if (kept !== undefined) return [kept];
  const runs = [...state.stage?.before ?? [], state].map(({ run }) =>
    run as { readonly [flag: string]: unknown }
  );
  const defaults = parsePretrainingConfig({}) as unknown as { readonly [flag: string]: unknown };
  return runs.filter((run) => Object.keys(run).length > 0).map((run) =>
    commandLine("pretrain", run, defaults)
  );
}

type Line = { readonly step: number; readonly [name: string]: unknown };

/** The log of the run up to the step of a checkpoint; nothing where the run left none. */
export function logOf({ path, step }: { readonly path: string; readonly step: number }): readonly Line[] {
  const log = join(dirname(path), "metrics.jsonl");
  if (!existsSync(log)) return [];
  return readFileSync(log, "utf8").trim().split("\n").flatMap((text) => {
    try {
      const line = JSON.parse(text) as Line;
      return line.step <= step ? [line] : [];
    } catch {
      return []; // a kill cut it off
    }
  });
}

/** The loss over the steps, where the log has two lines or more. */
export async function lossChart(lines: readonly Line[]): Promise<string | undefined> {
  const series = (name: string, key: string, of: (line: Line) => unknown, dash: boolean) => {
    const points = lines.flatMap((line) => {
      const y = (of(line) as Record<string, unknown> | undefined)?.[key];
      return typeof y === "number" ? [{ x: line.step, y }] : [];
    });
    return points.length < 2
      ? []
      : [{ name, x: points.map(({ x }) => x), y: points.map(({ y }) => y), dash }];
  };
  const pretraining = [
    ...series("[MASK] loss, training", "masked_lm_mask_loss", (line) => line, false),
    ...series("[MASK] loss, held out", "masked_lm_mask_loss", (line) => line["evaluation"], true),
    ...series("order loss, training", "sentence_order_loss", (line) => line, false),
  ];
  const all = pretraining.length > 0 ? pretraining : [
    ...series("loss, training", "loss", (line) => line, false),
    ...series("loss, held out", "loss", (line) => line["evaluation"], true),
  ];
  if (all.length === 0) return undefined;
  return await lineChart({ series: all, xLabel: "step", yLabel: "loss, nats" }).toSvg();
}

/** The last held-out evaluation that the log has, with the step it was made at. */
export function loggedEvaluation(lines: readonly Line[]): Record<string, unknown> | undefined {
  const last = lines.filter((line) => typeof line["evaluation"] === "object").at(-1);
  return last === undefined
    ? undefined
    : { step: last.step, ...last["evaluation"] as Record<string, unknown> };
}

/** What the card says of a tokenizer. */
export function tokenizerFacts(bytes: Uint8Array): NonNullable<ModelCardFacts["tokenizer"]> {
  const { pieces, normalizer_spec: normalizer } = parseModel(bytes);
  return {
    pieces: pieces.length,
    normalizer: String(normalizer?.["name"] ?? "identity"),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

/** What a data card says. */
export function dataFacts(path: string | undefined): Pick<ModelCardFacts, "data" | "language"> {
  if (path === undefined) return {};
  const card = parseJson(readInput(path, "data card"), { path, what: `the data card ${path}` }) as
    | Record<
      string,
      unknown
    >
    | null;
  if (typeof card !== "object" || card === null) {
    throw new TypeError(`Cannot use the data card ${path}: it is no object`);
  }
  const text = (key: string, value: unknown = card[key]): { readonly [key: string]: string } =>
    typeof value === "string" ? { [key]: value } : {};
  const plain = card["plain"] as { readonly sha256?: unknown } | undefined;
  const name = String(card["title"] ?? card["name"] ?? path);
  return {
    data: { name, ...text("source"), ...text("licence"), ...text("sha256", plain?.sha256 ?? card["sha256"]) },
    ...text("language"),
  };
}
