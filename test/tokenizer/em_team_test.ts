import assert from "node:assert/strict";

Deno.test("startTeam() hands large arrays to threads without listing their indexes", async () => {
  const bytes = 1 << 24;
  const script = new URL("team_memory.ts", import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, String(bytes)],
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { own, objective, grown } = JSON.parse(new TextDecoder().decode(stdout));
  assert.deepEqual([own, objective], [[0], 0]);
  // A thread takes 30 MB; indexes would take 11 times the arrays' bytes.
  assert.ok(grown < 8 * bytes, `memory grew by ${grown} bytes`);
});
