/** What the tests of the XLA engine share: whether it can run here, and its process, started outside of any test. */
import { findPlugin, openEngine } from "albert-guide";

/** Whether a plugin is installed; tests never fetch one. */
export const xlaHere: boolean = findPlugin() !== undefined;

/** The reason in the name of a test that is left out. */
export const xlaNote: string = xlaHere ? "" : " (left out: no XLA plugin is installed)";

/** Starts the process, so that no test seems to leave it behind. */
export async function startXla(): Promise<void> {
  if (!xlaHere) return;
  const engine = await openEngine("xla");
  engine.release(await engine.upload(Float32Array.of(1), { dtype: "float32", shape: [1] }));
  const buffer = await engine.upload(Float32Array.of(1), { dtype: "float32", shape: [1] });
  await engine.download(buffer);
  engine.release(buffer);
}
