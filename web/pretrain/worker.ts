/**
 * The page's worker: does the work away from what a person types and sees, on a file system in memory that the browser keeps.
 */
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { zipSync } from "fflate";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { measureStep, tfjsEngine } from "../../lib/engines/mod.ts";
import type { Engine } from "../../lib/tensor/mod.ts";
import { latestCheckpoint } from "../../lib/train/mod.ts";
import type { Backend, Reply, Request } from "./messages.ts";
import { begunChoice, exportTo, fill, putText, runPipeline, tellStanding } from "./pipeline.ts";
import { type KeptFolder, openKept } from "./storage.ts";

const FOLDER = "/work";
const DATA = "/data";
const scope = globalThis as unknown as {
  onmessage: (event: { readonly data: Request }) => void;
  readonly postMessage: (reply: Reply, transfer?: readonly Transferable[]) => void;
  readonly location: { readonly href: string };
};
const say = (reply: Reply): void => scope.postMessage(reply);
const words = (error: unknown): string => error instanceof Error ? error.message : String(error);
const beside = (name: string): string => new URL(name, scope.location.href).href;

let kept: KeptFolder | undefined;
let running: AbortController | undefined;
let opened: { readonly backend: Backend; readonly engine: Promise<Engine> } | undefined;

/** The engine of a wish; with `auto` the faster of those that pass a small training step. */
async function chooseEngine(wish: Backend): Promise<Engine> {
  setWasmPaths(beside("./"));
  if (wish !== "auto") return await tfjsEngine({ backend: wish });
  const wasm = await tfjsEngine({ backend: "wasm" });
  const slow = await measureStep(wasm);
  try {
    const gpu = await tfjsEngine({ backend: "webgpu" });
    const fast = await measureStep(gpu);
    const [ms, other] = [1000 * fast, 1000 * slow].map((value) => value.toFixed(1));
    const better = fast < slow ? gpu : wasm;
    say({
      kind: "engine",
      words: `${better.name}: a test step takes ${ms} ms on WebGPU and ${other} ms on WebAssembly`,
    });
    return better;
  } catch (error) {
    const reason = /no WebGPU adapter/.test(words(error))
      ? "this browser gives no WebGPU adapter"
      : words(error);
    say({ kind: "engine", words: `${wasm.name}: ${reason}` });
    return wasm;
  }
}

function engineFor(backend: Backend): Promise<Engine> {
  if (opened?.backend !== backend) opened = { backend, engine: chooseEngine(backend) };
  const { engine } = opened;
  engine.catch(() => opened = undefined); // asked again, it may be there
  return engine;
}

/** Lays the files of a corpus where the library looks for them. */
async function fetchCorpus(corpus: string): Promise<void> {
  mkdirSync(`${DATA}/${corpus}`, { recursive: true });
  for (const name of ["card.json", "documents.json", `${corpus}.txt.gz`]) {
    if (existsSync(`${DATA}/${corpus}/${name}`)) continue;
    const answer = await fetch(beside(`data/${corpus}/${name}`));
    if (!answer.ok) {
      throw new Error(`Cannot read the corpus: the server has no data/${corpus}/${name} (${answer.status})`);
    }
    writeFileSync(`${DATA}/${corpus}/${name}`, new Uint8Array(await answer.arrayBuffer()));
  }
}

async function start({ choice, text, backend }: Extract<Request, { kind: "start" }>): Promise<void> {
  const begun = begunChoice(FOLDER);
  if (
    begun !== undefined && JSON.stringify({ ...begun, steps: 0 }) !== JSON.stringify({ ...choice, steps: 0 })
  ) {
    throw new Error("Cannot start: another run stands here; go on with it, or remove it first");
  }
  running = new AbortController();
  const { signal } = running;
  const engine = await engineFor(backend);
  if (choice.corpus !== "") await fetchCorpus(choice.corpus);
  else if (begun === undefined) putText(FOLDER, text);
  const keep = async (): Promise<void> => await kept?.keep();
  const { step, interrupted, evaluation } = await runPipeline(FOLDER, {
    choice,
    engine,
    dataDir: DATA,
    signal,
    keep,
    onEvent: say,
  });
  const loss = evaluation === undefined
    ? ""
    : `, held-out loss on [MASK] ${evaluation.masked_lm_mask_loss.toFixed(2)} nats`;
  say({
    kind: "ended",
    step,
    interrupted,
    words: `${interrupted ? "Paused" : "Finished"} after step ${step}${loss}.`,
  });
}

function zip(): void {
  const folder = "/export";
  exportTo(FOLDER, folder);
  const files = Object.fromEntries(
    readdirSync(folder).map((name) => [`albert/${name}`, new Uint8Array(readFileSync(`${folder}/${name}`))]),
  );
  const bytes = zipSync(files, { level: 0 }); // weights do not shrink
  scope.postMessage({ kind: "zipped", name: "albert.zip", bytes }, [bytes.buffer as ArrayBuffer]);
}

const stepOf = (): number => Number(/step-(\d+)/.exec(latestCheckpoint(`${FOLDER}/model`) ?? "")?.[1] ?? 0);

/** Takes the lock of the page's storage until the page is closed, if it is free. */
const lockHere = (): Promise<boolean> =>
  new Promise((resolve) => {
    void navigator.locks.request("albert-guide", { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => {});
    });
  });

async function open(): Promise<void> {
  // One tab at a time may train here: two would write into each other's files. A page that was just left frees it late.
  let free = await lockHere();
  for (let tries = 0; !free && tries < 20; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 150));
    free = await lockHere();
  }
  if (!free) {
    throw new Error("Cannot work here: another tab of this page is open; close it and load this one again");
  }
  kept = await openKept("albert-guide", FOLDER);
  const text = existsSync(`${FOLDER}/text.txt`) ? readFileSync(`${FOLDER}/text.txt`, "utf8") : "";
  say({ kind: "restored", choice: begunChoice(FOLDER), step: stepOf(), text });
  await tellStanding(FOLDER, say);
}

async function answer(request: Request): Promise<void> {
  switch (request.kind) {
    case "start":
      if (running !== undefined) return;
      try {
        return await start(request);
      } finally {
        running = undefined;
      }
    case "pause":
      return running?.abort(new Error("paused"));
    case "reset":
      if (running !== undefined) throw new Error("Cannot remove the run: it is running; pause it first");
      await kept?.clear();
      return say({ kind: "cleared" });
    case "fill": {
      const engine = await engineFor(opened?.backend ?? "wasm");
      return say({ kind: "filled", best: await fill(FOLDER, request.text, engine) });
    }
    case "zip":
      return zip();
  }
}

const ready = open();
ready.catch((error) => say({ kind: "failed", doing: "open", words: words(error) }));
scope.onmessage = ({ data }) => {
  ready.then(() => answer(data)).catch((error) => {
    if (running === undefined && words(error) === "paused") {
      return say({ kind: "ended", step: stepOf(), interrupted: true, words: "Paused." });
    }
    say({ kind: "failed", doing: data.kind, words: words(error) });
  });
};
