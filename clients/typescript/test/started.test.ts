/** Runs that go on by themselves, and what they are asked for beside. */

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { BelljarTimeout, Sandbox, type Event } from "belljar";

import { all, eventually, refused, runsWith, serve } from "./service.js";

const ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)";
const SOON = { timeoutMs: 30_000 };

const service = serve();

function sandbox(): Sandbox {
  return new Sandbox("python", { socket: service.socket });
}

test("a run is waited for later", async () => {
  const code = "import time; input(); time.sleep(0.5); print('late')";
  const run = await sandbox().start(code, { stdinOpen: true });
  assert(["queued", "running"].includes(await run.status()));
  await run.writeStdin("\n");
  const outcome = await run.wait();
  assert.deepEqual([outcome.id, outcome.stdout], [run.id, "late\n"]);
  assert.equal(await run.status(), "ok");
});

test("waiting may end before the run", async () => {
  const run = await sandbox().start("input(); print('late')", { stdinOpen: true });
  await assert.rejects(run.wait({ timeoutMs: 300 }), BelljarTimeout);
  await assert.rejects(run.wait({ signal: AbortSignal.abort() }), { name: "AbortError" });
  await run.writeStdin("\n");
  assert.equal((await run.wait(SOON)).stdout, "late\n");
});

test("a run is cancelled", async () => {
  const mark = `mark-${randomUUID()}`;
  const run = await sandbox().start("import time; time.sleep(600)", { args: [mark], start: "cold" });
  assert(await eventually(() => runsWith(mark)));
  await run.cancel();
  assert.equal((await run.wait(SOON)).status, "cancelled");
  assert(!(await runsWith(mark)));
});

test("standard input follows", async () => {
  const run = await sandbox().start(ECHO, { stdin: "first\n", stdinOpen: true });
  await run.writeStdin("second\n");
  await run.writeStdin(Buffer.from("third\n"));
  await run.closeStdin();
  assert.equal((await run.wait(SOON)).stdout, "FIRST\nSECOND\nTHIRD\n");
});

test("standard input that is closed takes no more", async () => {
  const run = await sandbox().start("import time; time.sleep(20)");
  assert.equal((await refused("invalid_request", run.writeStdin("x"))).status, 409);
  await run.cancel();
});

test("events are told again as far as they are kept", async () => {
  const run = await sandbox().start(ECHO, { stdin: "a\n", stdinOpen: true });
  const told: Event[] = [];
  for await (const event of run.events()) {
    told.push(event);
    if (event.event === "started") await run.closeStdin();
  }
  assert.deepEqual(told.map(({ seq }) => seq), told.map((_, i) => i + 1));
  assert.deepEqual(told.slice(0, 2).map(({ event }) => event), ["queued", "started"]);
  assert.equal(told.at(-1)?.event, "outcome");
  const again = await all(run.events());
  assert(again.length > 0);
  assert.deepEqual(again, told.slice(-again.length));
  assert.deepEqual(await all(run.events(told.length - 1)), told.slice(-1));
});

test("artifacts are kept", async () => {
  const code = "open('a b.bin', 'wb').write(bytes(range(256)))";
  const run = await sandbox().start(code, { collect: ["*.bin"] });
  assert.deepEqual((await run.wait(SOON)).artifacts.map(({ path }) => path), ["a b.bin"]);
  assert.deepEqual([...(await run.artifact("a b.bin"))], Array.from({ length: 256 }, (_, i) => i));
  await refused("not_found", run.artifact("other"));
});

test("a run is found by its name", async () => {
  const run = await sandbox().start("print(1)");
  assert.equal((await sandbox().attach(run.id).wait(SOON)).stdout, "1\n");
  await refused("not_found", sandbox().attach("01NOSUCH").status());
});

test("labels stay with a run", async () => {
  const run = await sandbox().start("1", { labels: { forWhom: "me" } });
  const outcome = await run.wait(SOON);
  assert.deepEqual(outcome.labels, { forWhom: "me" });
  assert.match(outcome.createdAt ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("the same key is the same run", async () => {
  const idempotencyKey = randomUUID();
  const code = "import uuid; print(uuid.uuid4())";
  const first = await sandbox().run(code, { idempotencyKey });
  const again = await sandbox().run(code, { idempotencyKey });
  assert.deepEqual([first.id, first.stdout], [again.id, again.stdout]);
  const error = await refused("key_reused", sandbox().run("other", { idempotencyKey }));
  assert.equal(error.status, 422);
});
