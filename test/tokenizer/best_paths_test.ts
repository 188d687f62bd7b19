// The trainer's search for the best segmentations against Lattice::Viterbi and Lattice::NBest written down arc by arc.
import assert from "node:assert/strict";
import { makeAlternatives, makeBestPath } from "../../lib/tokenizer/best_paths.ts";
import { makeAgenda } from "../../lib/tokenizer/agenda.ts";

type Arc = { begin: number; end: number; id: number; score: number; sum: number; before: Arc | undefined };

const word = (arcs: readonly Arc[], length: number) => ({
  firstArc: () =>
    Int32Array.from({ length: length + 1 }, (_, at) => arcs.filter(({ begin }) => begin < at).length),
  ends: () => Int32Array.from(arcs, ({ end }) => end),
  ids: () => Int32Array.from(arcs, ({ id }) => id),
  scores: () => Float32Array.from(arcs, ({ score }) => score),
});

/** Every arc tries all arcs before it, in the order of their starts. */
function viterbi(arcs: readonly Arc[], length: number): Arc[] {
  for (const arc of arcs) {
    arc.before = undefined;
    arc.sum = Math.fround(arc.begin === 0 ? arc.score : -Infinity);
    for (const before of arcs.filter(({ end }) => end === arc.begin)) {
      const sum = Math.fround(before.sum + arc.score);
      if (arc.before === undefined || sum > arc.sum) [arc.before, arc.sum] = [before, sum];
    }
  }
  let last: Arc | undefined;
  for (const arc of arcs) if (arc.end === length && (last === undefined || arc.sum > last.sum)) last = arc;
  const path: Arc[] = [];
  for (; last !== undefined; last = last.before) path.unshift(last);
  return path;
}

/** The two best segmentations by A* from the end. */
function twoBest(arcs: readonly Arc[], length: number): number[][] {
  viterbi(arcs, length);
  type Hypothesis = { at: number; ids: number[]; behind: number; total: number };
  const agenda = makeAgenda<Hypothesis>(({ total }) => total);
  agenda.push({ at: length, ids: [], behind: 0, total: 0 });
  const found: number[][] = [];
  for (let top = agenda.pop(); top !== undefined && found.length < 2; top = agenda.pop()) {
    const { at, ids, behind } = top;
    if (at < 0) found.push(ids);
    else if (at === 0) agenda.push({ at: -1, ids, behind, total: behind });
    for (const { begin, id, score, sum } of arcs.filter(({ end }) => at > 0 && end === at)) {
      agenda.push({
        at: begin,
        ids: [id, ...ids],
        behind: Math.fround(score + behind),
        total: Math.fround(sum + behind),
      });
    }
  }
  return found;
}

/** Words whose arcs have few different scores, so that sums tie but for their rounding. */
function* randomWords(): Generator<{ arcs: Arc[]; length: number; own: number }> {
  let state = 5;
  const below = (limit: number): number =>
    (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % 65537 % limit;
  for (let round = 0; round < 3000; round++) {
    const length = 2 + below(6);
    const kinds = [-12.119562149047852, -9.919519424438477, -9.919520378112793, -3.0406281948089600].slice(
      below(3),
    );
    const arcs: Arc[] = [];
    for (let begin = 0; begin < length; begin++) {
      for (let end = begin + 1; end <= length; end++) {
        if (end > begin + 1 && below(3) === 0 && end - begin < length) continue;
        const score = Math.fround(
          (kinds[below(kinds.length)] as number) * (below(2) + Math.min(3, end - begin)),
        );
        arcs.push({ begin, end, id: arcs.length, score, sum: 0, before: undefined });
      }
    }
    const own = arcs.find(({ begin, end }) => begin === 0 && end === length)?.score ?? 0;
    yield { arcs, length, own };
  }
}

Deno.test("makeBestPath() chooses between ways that round to the same as Lattice::Viterbi does", () => {
  for (const { arcs, length } of randomWords()) {
    const bestPath = makeBestPath(word(arcs, length));
    bestPath.run(length, true);
    assert.deepEqual([...bestPath.path].reverse(), viterbi(arcs, length).map(({ id }) => id));
  }
});

Deno.test("makeAlternatives() gives the second best segmentation of Lattice::NBest", () => {
  const seen = { split: 0, other: 0 };
  for (const { arcs, length, own } of randomWords()) {
    const ids: number[] = [];
    const alternative = makeAlternatives(word(arcs, length))(length, own, ids) ? ids : "split";
    const [first = [], second = []] = twoBest(arcs, length);
    assert.deepEqual(alternative, first.length > 1 ? "split" : second);
    seen[alternative === "split" ? "split" : "other"]++;
  }
  assert.ok(Math.min(seen.split, seen.other) > 100, JSON.stringify(seen));
});
