/** The page: what a person chooses goes to the worker, what the worker says is shown. */
import type { Baselines, FilledPiece } from "../../lib/train/mod.ts";
import { made, part } from "../elements.ts";
import { drawCurve } from "./curve.ts";
import type { Backend, Reply, Request } from "./messages.ts";
import { type Choice, type MaskView, type Point, type Stage, STAGES } from "./stages.ts";

const names: Readonly<Record<Stage, string>> = {
  text: "Text",
  tokenizer: "Tokenizer",
  records: "Records",
  baselines: "Baselines",
  pretrain: "Training",
};
const LARGEST = 50_000_000; // characters of an own text: more does not fit the memory of a page

const input = (id: string): HTMLInputElement => part<HTMLInputElement>(id);
const button = (id: string): HTMLButtonElement => part<HTMLButtonElement>(id);
const corpora =
  (): HTMLInputElement[] => [...document.querySelectorAll<HTMLInputElement>("input[name=corpus]")];

let running = false;
let stands = false; // a run stands in the browser's storage
let usable = false; // it has a checkpoint
let finished = false; // all its steps are done
let broken = false; // nothing can be kept here, or the worker is gone
let steps = 3000;
let baselines: Baselines | undefined;
let points: Point[] = [];
let drawing = 0;

const worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
const ask = (request: Request): void => worker.postMessage(request);

function say(id: string, text: string, wrong = false): void {
  const place = part(id);
  place.textContent = text;
  place.classList.toggle("wrong", wrong);
}

function showButtons(): void {
  part<HTMLFieldSetElement>("choice").disabled = running || stands;
  for (const id of ["vocab", "steps", "seed"]) input(id).disabled = running || stands;
  input("backend").disabled = running;
  button("start").disabled = running || finished || broken;
  button("start").textContent = stands ? "Go on" : "Start";
  button("pause").disabled = !running;
  button("reset").disabled = running || !stands;
  for (const id of ["run", "zip"]) button(id).disabled = !usable;
  part("own").hidden = corpora().find(({ checked }) => checked)?.value !== "";
}

function showStage(stage: Stage, mark: string, content: string | Node): void {
  const row = document.querySelector(`#stages [data-stage=${stage}]`);
  row?.querySelector(".mark")?.replaceChildren(mark);
  row?.querySelector(".what")?.replaceChildren(content);
}

function showMasks(views: readonly MaskView[]): void {
  part("masks").replaceChildren(...views.map(({ pieces, asked, second, swapped }) => {
    const shown = pieces.flatMap((piece, position) => {
      const question = asked[position];
      const text = question === undefined ? piece : `${piece} ← ${question}`;
      const element = made(
        question === undefined ? "span" : "mark",
        text,
        position >= second ? { class: "second" } : {},
      );
      return [element, new Text(" ")];
    });
    return made("p", [...shown, made("small", swapped ? "(swapped)" : "(in order)", { class: "quiet" })], {
      class: "sequence",
    });
  }));
}

function showCurve(): void {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => {
    if (points.length > 0) {
      part("curve").replaceChildren(
        drawCurve(points, { steps, baselines, width: part("curve").clientWidth }),
      );
    }
  });
}

function showAnswers(all: readonly (readonly FilledPiece[])[]): void {
  part("answers").replaceChildren(...all.map((best, i) => {
    const rows = best.map(({ piece, probability }) => {
      const percent = `${(100 * probability).toFixed(1)} %`;
      const bar = made("meter", percent, {
        min: "0",
        max: "1",
        value: String(probability),
        "aria-label": piece,
      });
      return made("tr", [
        made("th", piece, { scope: "row" }),
        made("td", percent, { class: "number" }),
        made("td", [bar]),
      ]);
    });
    const caption = all.length === 1 ? "For [MASK]" : `For [MASK] ${i + 1}`;
    return made("table", [made("caption", caption), made("tbody", rows)]);
  }));
}

function restore({ choice, step, text }: Extract<Reply, { kind: "restored" }>): void {
  stands = choice !== undefined;
  usable = step > 0;
  finished = choice !== undefined && step >= choice.steps;
  if (choice !== undefined) {
    ({ steps } = choice);
    for (const radio of corpora()) radio.checked = radio.value === choice.corpus;
    for (
      const [id, value] of [["vocab", choice.vocab_size], ["steps", choice.steps], [
        "seed",
        choice.seed,
      ]] as const
    ) {
      input(id).value = String(value);
    }
    if (choice.corpus === "") input("text").value = text;
  }
  say(
    "status",
    choice === undefined
      ? "Ready."
      : `A run stands here, ${step === 0 ? "not trained yet" : `at step ${step} of ${steps}`}: ${
        finished ? "" : "go on, "
      }use it or remove it.`,
  );
}

function download(name: string, bytes: Uint8Array): void {
  const address = URL.createObjectURL(
    new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "application/zip" }),
  );
  made("a", name, { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** What to do with each reply. */
const on: { readonly [Kind in Reply["kind"]]: (reply: Extract<Reply, { kind: Kind }>) => void } = {
  restored: restore,
  engine: ({ words }) => say("engine", words),
  stage: ({ stage, state, words }) => showStage(stage, state === "done" ? "✓" : "…", words),
  progress: ({ stage, progress: { stage: what, done, total } }) => {
    const bar = made("progress", "", total === undefined ? {} : { max: String(total), value: String(done) });
    bar.setAttribute("aria-label", what);
    showStage(stage, "…", bar);
  },
  masks: ({ views }) => showMasks(views),
  baselines: (reply) => {
    baselines = reply.baselines;
    showCurve();
  },
  points: ({ points: more, msPerStep }) => {
    points = [...points.filter(({ step }) => step < (more[0]?.step ?? Infinity)), ...more];
    if (msPerStep !== undefined) {
      usable ||= (points.at(-1)?.step ?? 0) > 100;
      const left = (steps - (points.at(-1)?.step ?? 0)) * msPerStep / 1000;
      say(
        "status",
        `Step ${points.at(-1)?.step} of ${steps}, ${msPerStep.toFixed(1)} ms a step, ${
          left < 90 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} min`
        } left.`,
      );
    }
    showCurve();
  },
  note: ({ words }) => say("engine", words),
  ended: ({ step, interrupted, words }) => {
    running = false;
    usable = step > 0;
    finished = !interrupted;
    say("status", words);
  },
  filled: ({ best }) => {
    say("answer", "");
    showAnswers(best);
  },
  zipped: ({ name, bytes }) => {
    download(name, bytes);
    say(
      "answer",
      `${name}, ${
        (bytes.length / 1e6).toFixed(1)
      } MB: unpack it, then AlbertForMaskedLM.from_pretrained("albert").`,
    );
  },
  cleared: () => {
    [stands, usable, finished, points, baselines] = [false, false, false, [], undefined];
    for (const stage of STAGES) showStage(stage, "", "");
    for (const id of ["curve", "masks", "answers"]) part(id).replaceChildren();
    say("answer", "");
    say("status", "Removed. Ready.");
  },
  failed: ({ doing, words }) => {
    if (doing === "fill" || doing === "zip") return say("answer", words, true);
    running = false;
    broken ||= doing === "open";
    const kept = usable ? " The last checkpoint stands: going on starts there." : "";
    say("status", `${words}.${kept}`.replaceAll("..", "."), true);
  },
};

worker.onmessage = ({ data }: { readonly data: Reply }) => {
  (on[data.kind] as (reply: Reply) => void)(data);
  showButtons();
};
worker.onerror = ({ message }) => {
  [running, broken] = [false, true];
  say("status", `The worker ended: ${message}. Load the page again; the last checkpoint stands.`, true);
  showButtons();
};

/** The choice, or why it is none. */
function chosen(): Choice {
  const number = (id: string, name: string): number => {
    const { value, min, max } = input(id);
    const found = Number(value);
    if (value !== "" && Number.isInteger(found) && found >= Number(min) && found <= Number(max)) return found;
    part<HTMLDetailsElement>("settings").open = true;
    input(id).focus();
    throw new RangeError(
      `${name} is ${value === "" ? "empty" : value}, expected a whole number from ${min} to ${max}`,
    );
  };
  const corpus = corpora().find(({ checked }) => checked)?.value === "kjv" ? "kjv" : "";
  const text = input("text").value;
  if (corpus === "" && text.trim().length < 2000) {
    input("text").focus();
    throw new RangeError(
      `Your text has ${text.trim().length} characters; a model needs at least 2,000, and learns little from less than a megabyte`,
    );
  }
  return {
    corpus,
    vocab_size: number("vocab", "Pieces of the tokenizer"),
    steps: number("steps", "Steps of training"),
    seed: number("seed", "Seed"),
  };
}

/** A chosen file as text. */
async function readFile(file: File): Promise<void> {
  const wrong = (words: string): void => say("status", `Cannot read ${file.name}: ${words}`, true);
  if (file.size > LARGEST) {
    return wrong(
      `it has ${(file.size / 1e6).toFixed(0)} MB, a page takes ${
        LARGEST / 1e6
      } MB; larger texts are for the command line`,
    );
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (text.includes("\0")) return wrong("it is no text (it holds zero bytes)");
    input("text").value = text;
    say("status", `${file.name}: ${text.length.toLocaleString("en")} characters.`);
  } catch (error) {
    wrong(error instanceof TypeError ? "it is no UTF-8 text; save it as UTF-8" : String(error));
  }
}

part("stages").replaceChildren(
  ...STAGES.map((stage) =>
    made("li", [
      made("span", "", { class: "mark", "aria-hidden": "true" }),
      made("span", names[stage]),
      made("span", "", { class: "what quiet" }),
    ], {
      "data-stage": stage,
    })
  ),
);
for (const radio of corpora()) radio.addEventListener("change", showButtons);
input("file").addEventListener("change", () => {
  const file = input("file").files?.[0];
  if (file !== undefined) void readFile(file);
});
part("setup").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return;
  try {
    const choice = chosen();
    ({ steps } = choice);
    [running, stands] = [true, true];
    say("status", "Starting…");
    ask({ kind: "start", choice, text: input("text").value, backend: input("backend").value as Backend });
    button("pause").disabled = false;
    showButtons();
    button("pause").focus();
  } catch (error) {
    say("status", error instanceof Error ? error.message : String(error), true);
  }
});
button("pause").addEventListener("click", () => {
  say("status", "Pausing after this step…");
  ask({ kind: "pause" });
});
button("reset").addEventListener("click", () => {
  if (confirm("Remove this run: its text, tokenizer, records and model?")) ask({ kind: "reset" });
});
new ResizeObserver(showCurve).observe(part("curve"));
part("fill").addEventListener("submit", (event) => {
  event.preventDefault();
  say("answer", "…");
  ask({ kind: "fill", text: input("sentence").value });
});
button("zip").addEventListener("click", () => {
  say("answer", "Packing…");
  ask({ kind: "zip" });
});
showButtons();
button("start").disabled = true; // until the worker has looked at what stands: see `restored`
