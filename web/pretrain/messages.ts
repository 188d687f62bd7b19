/** What the page and its worker say to each other. */
import type { FilledPiece } from "../../lib/train/mod.ts";
import type { PipelineEvent } from "./pipeline.ts";
import type { Choice } from "./stages.ts";

/** Where sums are made: the faster one that works here, or one by name. */
export type Backend = "auto" | "webgpu" | "wasm";

/** From the page. */
export type Request =
  | { readonly kind: "start"; readonly choice: Choice; readonly text: string; readonly backend: Backend }
  | { readonly kind: "pause" }
  | { readonly kind: "reset" }
  | { readonly kind: "fill"; readonly text: string }
  | { readonly kind: "zip" };

/** From the worker. */
export type Reply =
  | PipelineEvent
  /** Once at the beginning: what stands from an earlier visit. */
  | {
    readonly kind: "restored";
    readonly choice: Choice | undefined;
    readonly step: number;
    readonly text: string;
  }
  | { readonly kind: "engine"; readonly words: string }
  | { readonly kind: "ended"; readonly step: number; readonly interrupted: boolean; readonly words: string }
  | { readonly kind: "filled"; readonly best: readonly (readonly FilledPiece[])[] }
  | { readonly kind: "zipped"; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: "cleared" }
  | { readonly kind: "failed"; readonly doing: Request["kind"] | "open"; readonly words: string };
