// What a bad disk does to a run: every act of saving fails once, a full and a read-only device, two trainers in a folder.
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packCheckpoint, saveCheckpoint } from "../../lib/train/checkpoint.ts";
import { type Disk, disk, writeCheckpoint } from "../../lib/train/checkpoint_files.ts";
import { initialParameters, pretrain, readCheckpoint } from "../../lib/train/mod.ts";
import { config, examples, runOf } from "./tiny.ts";
import { openTestEngine } from "../engine.ts";
import { inFolder } from "../folder.ts";
import { canMount, onDevice, remount } from "../small_device.ts";

const engine = await openTestEngine();

const saved = (step: number) => {
  const [parameters, m, v] = [1, 2, 3].map((seed) => initialParameters(config, step + seed)) as [
    Record<string, Float32Array>,
    Record<string, Float32Array>,
    Record<string, Float32Array>,
  ];
  return { config, parameters, m, v, state: { step, position: 0, totals: [], steps_in_totals: 0, run: {} } };
};

/** A disk on which the `failing`-th act fails; half of a file is written all the same, or nothing works from then on. */
function failingDisk(
  failing: number,
  code: string,
  forGood: boolean,
): { readonly on: Disk; readonly acts: () => number } {
  let acts = 0;
  const guard = (act: () => void, half: () => void = () => {}): void => {
    acts++;
    if (acts !== failing && !(forGood && acts > failing)) return act();
    half();
    throw Object.assign(new Error(`${code}: the disk failed`), { code });
  };
  const on: Disk = {
    makeFolder: (path) => guard(() => disk.makeFolder(path)),
    write: (path, pieces) =>
      guard(() => disk.write(path, pieces), () => disk.write(path, pieces.slice(0, pieces.length >> 1))),
    flush: (path) => guard(() => disk.flush(path)),
    rename: (from, to) => guard(() => disk.rename(from, to)),
    remove: (path) => guard(() => disk.remove(path)),
  };
  return { on, acts: () => acts };
}

Deno.test("writeCheckpoint() leaves the old or the new step whichever act fails, and the next save clears up", async () => {
  for (const forGood of [false, true]) {
    for (let failing = 1;; failing++) {
      let over = false;
      await inFolder((folder) => {
        saveCheckpoint(folder, saved(1), { keep: 1 });
        const { on, acts } = failingDisk(failing, "ENOSPC", forGood);
        let error: Error | undefined;
        try {
          writeCheckpoint(packCheckpoint(folder, saved(2), { keep: 1 }), on);
        } catch (cause) {
          error = cause as Error;
        }
        over = acts() < failing;
        if (!over) {
          assert.match(
            error?.message ?? "",
            /Cannot save the checkpoint .*step-000002: no space is left .* goes on from step-00000[12]/,
          );
        }
        const { state, parameters } = readCheckpoint(folder); // reads every byte
        const advised = /goes on from step-00000(\d)/.exec(error?.message ?? "")?.[1] ?? "2";
        assert.equal(state.step, Number(advised), `act ${failing}`);
        assert.deepEqual(parameters, saved(state.step).parameters);
        saveCheckpoint(folder, saved(3), { keep: 1 });
        assert.deepEqual(readdirSync(folder), ["step-000003"]);
      });
      if (over) {
        assert.ok(failing > 12, `only ${failing - 1} acts were tried`);
        break;
      }
    }
  }
});

Deno.test({
  name:
    "pretrain() on a device that gets full says so, keeps the last checkpoint, and goes on to the same bits",
  ignore: !canMount,
  fn: () =>
    onDevice("200k", async (folder) => {
      const changes = { save_checkpoints_steps: 1, keep_checkpoint_max: 0, num_train_steps: 30 };
      const run = runOf({ output_dir: folder, ...changes });
      await assert.rejects(
        pretrain({ config, run, examples }, { engine }),
        /(Cannot save the checkpoint .*|Cannot write .*): no space (is )?left on the device[;:] free some/,
      );
      const { step } = readCheckpoint(folder).state;
      assert.ok(step > 1 && step < 30, `step ${step}`);
      assert.deepEqual(readdirSync(folder).filter((name) => name.includes(".tmp-")), []);
      remount(folder, "size=10m");
      const { parameters } = await pretrain({ config, run, examples }, { engine });
      const whole = await pretrain({ config, run: runOf({ num_train_steps: 30 }), examples }, { engine });
      assert.deepEqual(parameters, whole.parameters);
    }),
});

Deno.test({
  name: "pretrain() in a folder that cannot be written says so before it begins, and when it becomes so",
  ignore: !canMount,
  fn: () =>
    onDevice("10m", async (folder) => {
      const run = runOf({ output_dir: folder, save_checkpoints_steps: 2 });
      remount(folder, "ro");
      const refused = /Cannot train in .*: the device cannot be written to; choose another output_dir/;
      await assert.rejects(pretrain({ config, run, examples }, { engine }), refused);
      remount(folder, "rw");
      const onStep = (): void => remount(folder, "ro"); // at step 5
      await assert.rejects(
        pretrain({ config, run, examples }, { engine, onStep }),
        /Cannot (save|write) .*(cannot be written to|no permission)/,
      );
      remount(folder, "rw");
      assert.ok([2, 4].includes(readCheckpoint(folder).state.step)); // the save of step 4 may have been on its way
      rmSync(join(folder, "train.lock"), { force: true });
      assert.equal((await pretrain({ config, run, examples }, { engine })).step, 12);
    }),
});

Deno.test("pretrain() lets one trainer into a folder: the other is told, and the first ends as if alone", async () => {
  await inFolder(async (folder) => {
    const run = runOf({ output_dir: folder, save_checkpoints_steps: 1, log_every: 1 });
    let second: unknown;
    const onStep = async ({ step }: { readonly step: number }): Promise<void> => {
      if (step === 3) second = await pretrain({ config, run, examples }, { engine }).catch((error) => error);
    };
    const { parameters } = await pretrain({ config, run, examples }, { engine, onStep });
    assert.match(String(second), /process \d+ on .* is training there; wait for it/);
    const alone = await pretrain({ config, run: runOf({}), examples }, { engine });
    assert.deepEqual(parameters, alone.parameters);
  });
});
