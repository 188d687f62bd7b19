/**
 * Noise on the frequencies of sentences, and the loss of rare ones, so that no single one shows in the vocabulary
 * (AddDPNoise and LoadSentences in trainer_interface.cc of 0.2.0). Normal numbers are drawn as libstdc++ draws them from a
 * Mersenne Twister, by Marsaglia's polar method in float32. With one worker spm_train gives the same numbers for the same
 * `random_seed`; with more, its threads share out the work by chance.
 */
import { randomInt } from "node:crypto";
import { numpyRandom } from "../random.ts";
import type { Corpus } from "./corpus.ts";
import type { ResolvedOptions } from "./options.ts";

const fround = Math.fround;
/** What spm_train takes for "no seed given". */
const noSeed = 4294967295;

/** The corpus with noisy and clipped frequencies; as it is unless `enable_differential_privacy` is set. */
export function withPrivacy(corpus: Corpus, flags: ResolvedOptions): Corpus {
  if (!flags.enable_differential_privacy) return corpus;
  const { bounds } = corpus;
  const count = bounds.length / 2;
  const changed = Array.from({ length: count }, (_, i) => corpus.frequencies?.[i] ?? 1);
  const workers = Math.min(flags.num_threads, count - 1);
  const noise = flags.differential_privacy_noise_level;
  // Noise that anybody can draw again protects nobody.
  const seed = flags.random_seed === noSeed ? randomInt(noSeed) : flags.random_seed;
  for (let worker = 0; worker < workers; worker++) {
    const normal = normalDraws(seed);
    for (let i = worker; i < count; i += workers) {
      let frequency = changed[i] as number;
      if (noise > 0) {
        frequency = roundHalfUp(fround(fround(normal() * fround(noise)) + fround(frequency)));
      }
      changed[i] = frequency < flags.differential_privacy_clipping_threshold ? 0 : frequency;
    }
  }
  const kept: number[] = [];
  const frequencies: number[] = [];
  changed.forEach((frequency, i) => {
    if (frequency <= 0) return;
    kept.push(bounds[2 * i] as number, bounds[2 * i + 1] as number);
    frequencies.push(frequency);
  });
  return { ...corpus, bounds: Int32Array.from(kept), frequencies };
}

function roundHalfUp(value: number): number {
  return value <= 0 ? 0 : Math.round(value);
}

/** Standard normal numbers; each draw makes two and forgets the first, as a distribution made anew for each does. */
function normalDraws(seed: number): () => number {
  const { u32 } = numpyRandom(seed);
  const uniform = (): number => {
    const drawn = fround(fround(u32()) / 2 ** 32);
    return drawn >= 1 ? fround(1 - 2 ** -24) : drawn;
  };
  return () => {
    for (;;) {
      const x = fround(fround(2 * uniform()) - 1);
      const y = fround(fround(2 * uniform()) - 1);
      const squared = fround(fround(x * x) + fround(y * y));
      if (squared > 1 || squared === 0) continue;
      return fround(y * fround(Math.sqrt(fround(fround(-2 * fround(Math.log(squared))) / squared))));
    }
  };
}
