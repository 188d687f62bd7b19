/**
 * What a thread of the training runs: counts the partitions it is told, again and again. Does nothing when it is loaded
 * anywhere else.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import {
  countShared,
  openWork,
  type SentWork,
  type TeamOrder,
  type TeamReply,
  teamTask,
  type TeamWork,
} from "./em_team.ts";

function serve(work: TeamWork): void {
  const port = parentPort;
  if (port === null) return;
  port.on("message", (order: TeamOrder) => {
    let reply: TeamReply = {};
    try {
      const steps = countShared(work, order);
      while (!steps.next().done);
    } catch (error) {
      reply = { error: error instanceof Error ? error.message : String(error) };
    }
    port.postMessage(reply);
  });
}

const start = workerData as { readonly task?: string; readonly work: SentWork } | null | undefined;
if (!isMainThread && start?.task === teamTask) serve(openWork(start.work));
