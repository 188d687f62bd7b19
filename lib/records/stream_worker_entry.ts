/**
 * What a worker thread of `order: "stream"` runs: loads the tokenizer from its file, then does tasks as they come. Does
 * nothing when it is loaded anywhere else.
 */
import { readFileSync } from "node:fs";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { CorruptFileError } from "../formats/mod.ts";
import { loadSentencePiece, loadWordPiece } from "../tokenizer/mod.ts";
import type { RecordsTokenizer } from "./config.ts";
import { piecesHash } from "./manifest.ts";
import {
  type StreamResult,
  type StreamSetting,
  streamSetting,
  streamSteps,
  type StreamTask,
} from "./stream_work.ts";
import { takeTask, type WorkerJob, type WorkerReply, type WorkerStart } from "./stream_workers.ts";

function loadTokenizer(
  { tokenizerFile, style, spm_version, config, piecesSha256 }: WorkerStart,
): RecordsTokenizer {
  const tokenizer = style === "wordpiece"
    ? loadWordPiece(readFileSync(tokenizerFile, "utf8"), { lower: config.do_lower_case })
    : loadSentencePiece(readFileSync(tokenizerFile), { path: tokenizerFile, spm_version });
  if (piecesHash(tokenizer) === piecesSha256) return tokenizer;
  throw new RangeError(
    `Cannot create records: ${tokenizerFile} has other pieces than the tokenizer of this run; name the file that it ` +
      "was loaded from",
  );
}

function serve(start: WorkerStart): void {
  const port = parentPort;
  if (port === null) return;
  const reply = (message: WorkerReply): void => port.postMessage(message);
  let setting: StreamSetting | undefined;
  const stop = new Int32Array(start.stop);
  const beats = new Int32Array(start.beats);
  const work = (own: StreamSetting, task: StreamTask): StreamResult => {
    const steps = streamSteps(own, task);
    let step = steps.next();
    for (; !step.done; step = steps.next()) {
      Atomics.add(beats, 0, 1);
      if (step.value > 0) reply({ kind: "progress", done: step.value });
      if (Atomics.load(stop, 0) === 0) continue;
      steps.return(undefined as never); // its temporary file goes
      throw new Error("Cannot finish: the run was stopped");
    }
    return step.value;
  };
  port.on("message", (job: WorkerJob) => {
    try {
      setting ??= streamSetting(start.config, loadTokenizer(start), start.runBytes); // a wrong file is told of in any case
      for (let number = takeTask(job); number < job.tasks.length; number = takeTask(job)) {
        reply({ kind: "begin", task: number });
        reply({ kind: "done", task: number, result: work(setting, job.tasks[number]!) }); // in range
      }
      reply({ kind: "empty" });
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      const place = error instanceof CorruptFileError ? { place: error.place } : {};
      reply({ kind: "failed", name, message, ...place });
    }
  });
}

const start = workerData as WorkerStart | null | undefined;
if (!isMainThread && start?.task === "albert-guide records") serve(start);
