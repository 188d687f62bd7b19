/**
 * The page: what is typed is cut into pieces at once, and filled when asked. Further panels go beside this one in
 * `#panels`; each is a function that is given its section.
 */
import { type BrowserModel, type Filled, type ModelIndex, openModel, readIndex } from "./fill_mask.ts";
import { made, part } from "./elements.ts";
import type { MaskedInput } from "../lib/train/masked_input.ts";

const folder = new URL("model/", document.baseURI);
const topK = 5;

const words = (error: unknown): string => error instanceof Error ? error.message : String(error);

function say(text: string, wrong = false): void {
  const status = part("status");
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}

function showPieces({ pieces, ids, segments, masks }: MaskedInput): void {
  part("pieces").replaceChildren(...pieces.map((piece, i) => {
    const kinds = [
      ...(masks.includes(i) ? ["mask"] : []),
      ...(segments[i] === 1 ? ["second"] : []),
    ];
    return made("li", [new Text(`${piece} `), made("small", String(ids[i]))], {
      class: kinds.join(" "),
    });
  }));
}

function showAnswers(all: readonly Filled[]): void {
  part("answers").replaceChildren(...all.map(({ place, best }, i) => {
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
        made("td", percent, {
          class: "number",
          "data-probability": String(probability),
        }),
        made("td", [bar]),
      ]);
    });
    const caption = all.length === 1 ? "For [MASK]" : `For [MASK] ${i + 1}, piece ${place}`;
    return made("table", [made("caption", caption), made("tbody", rows)]);
  }));
}

/** The panel that fills masks. */
async function fillPanel(index: ModelIndex): Promise<void> {
  const text = part<HTMLTextAreaElement>("text");
  const weights = part<HTMLSelectElement>("weights");
  const run = part<HTMLButtonElement>("run");
  let model: BrowserModel | undefined;
  let asked = 0; // the answer of an older question is dropped

  const cut = (): MaskedInput | undefined => {
    try {
      const input = model?.cut(text.value);
      if (input !== undefined) showPieces(input);
      return input;
    } catch (error) {
      part("pieces").replaceChildren();
      part("answers").replaceChildren();
      say(words(error), true);
      return undefined;
    }
  };
  const fill = async (): Promise<void> => {
    const [question, input] = [++asked, cut()];
    if (model === undefined || input === undefined) return;
    const start = performance.now();
    try {
      const all = await model.fill(input, topK);
      if (question !== asked) return;
      showAnswers(all);
      say(`Filled in ${(performance.now() - start).toFixed(0)} ms.`);
    } catch (error) {
      say(words(error), true);
    }
  };
  const open = async (): Promise<void> => {
    run.disabled = true;
    say("Loading the model…");
    try {
      model = await openModel(folder, index, weights.value);
      run.disabled = false;
      await fill();
    } catch (error) {
      say(words(error), true);
    }
  };

  weights.replaceChildren(
    ...index.weights.map(({ name, file, bytes }) =>
      made("option", `${name}, ${(bytes / 1e6).toFixed(1)} MB`, { value: file })
    ),
  );
  weights.addEventListener("change", open);
  part("fill").addEventListener("submit", (event) => {
    event.preventDefault();
    void fill();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void fill();
  });
  text.addEventListener("input", () => {
    asked++;
    part("answers").replaceChildren();
    if (cut() !== undefined) say("Press Enter to fill.");
  });
  part("mask").addEventListener("click", () => {
    text.setRangeText("[MASK]", text.selectionStart, text.selectionEnd, "end");
    text.focus();
    text.dispatchEvent(new Event("input"));
  });
  await open();
}

try {
  const index = await readIndex(folder);
  part("title").textContent = index.title;
  await fillPanel(index);
} catch (error) {
  say(words(error), true);
}
