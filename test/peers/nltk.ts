// NLTK's Punkt, run by the Python that has it: training, and splitting with tables of ours.
import { spawnSync } from "node:child_process";

export type NltkAnswer = { readonly sentences: string[][]; readonly seconds: number };

/** Trains NLTK on texts and saves its tables, or splits texts with the tables of a folder. */
export function askNltk(
  python: string,
  question: { readonly tables: string; readonly texts: readonly string[]; readonly train?: boolean },
): NltkAnswer {
  const script = new URL("nltk_punkt.py", import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(python, [script], {
    input: JSON.stringify(question),
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`nltk_punkt.py failed: ${stderr.slice(-4000)}`);
  return JSON.parse(stdout) as NltkAnswer;
}
