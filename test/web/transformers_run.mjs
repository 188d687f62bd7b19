// transformers.js on an exported folder, offline. Usage: node|deno transformers_run.mjs LIBRARY FOLDER NAME INPUT; prints JSON.
import { answersOf } from "./transformers_answers.mjs";

const [library, folder, name, input] = globalThis.process.argv.slice(2);
const found = await answersOf(await import(library), folder, name, JSON.parse(input));
globalThis.process.stdout.write(`${JSON.stringify(found)}\n`);
