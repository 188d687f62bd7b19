/**
 * What the thread that saves runs: writes one checkpoint after the other as they come. Does nothing when it is loaded
 * anywhere else.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { type PackedCheckpoint, writeCheckpoint } from "./checkpoint_files.ts";
import { type SaveReply, saveTask } from "./saver.ts";

function serve(): void {
  const port = parentPort;
  if (port === null) return;
  port.on("message", (packed: PackedCheckpoint) => {
    let reply: SaveReply;
    try {
      reply = { kind: "saved", path: writeCheckpoint(packed) };
    } catch (error) {
      reply = { kind: "failed", message: error instanceof Error ? error.message : String(error) };
    }
    port.postMessage(reply);
  });
}

if (!isMainThread && (workerData as { task?: string } | null)?.task === saveTask) serve();
