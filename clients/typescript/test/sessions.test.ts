/** Jars that answer more than once. */

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { Sandbox, type Session, type SessionOptions } from "belljar";

import { all, eventually, refused, runsWith, serve } from "./service.js";

const service = serve();

async function within<T>(use: (session: Session) => Promise<T>, options: SessionOptions = {}): Promise<T> {
  const session = await new Sandbox("python", { socket: service.socket }).session(options);
  try {
    return await use(session);
  } finally {
    await session[Symbol.asyncDispose]();
  }
}

/** Seen from outside by its argument as soon as it runs. */
function sleeps(mark: string): string {
  return `import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; time.sleep(30)", "${mark}"], stderr=-3)`;
}

test("calls see what those before them left", () =>
  within(async (session) => {
    const first = await session.call("x = 20\nprint('one')");
    assert.deepEqual([first.status, first.ok, first.call, first.session], ["ok", true, 1, session.id]);
    assert.equal(first.stdout, "one\n");
    const second = await session.call("print(x + 1)\nx + 2");
    assert.deepEqual([second.stdout, second.result?.text, second.call], ["21\n", "22", 2]);
  }));

test("each call has a name", () =>
  within(async (session) => {
    const names = new Set([(await session.call("1")).id, (await session.call("1")).id, session.id]);
    assert.deepEqual([names.size, names.has("")], [3, false]);
  }));

test("sessions do not see each other", () =>
  within((one) =>
    within(async (other) => {
      assert((await one.call("x = 1")).ok);
      const call = await other.call("x");
      assert.deepEqual([call.status, call.error?.type], ["error", "NameError"]);
    }),
  ));

test("a call takes what a run takes", () => {
  const options = { env: { WHO: "me" }, files: { a: "1" }, callLimits: { wallMs: 5000 } };
  return within(async (session) => {
    const code = `import os, sys
print(os.environ['WHO'], open('a').read(), open('b').read(), sys.stdin.read())
open('c.txt', 'w').write('3')`;
    const call = await session.call(code, { stdin: "told", files: { b: Buffer.from("2") }, collect: ["*.txt"] });
    assert.equal(call.stdout, "me 1 2 told\n", call.stderr);
    assert.deepEqual(call.artifacts.map(({ path, content }) => [path, content?.toString()]), [["c.txt", "3"]]);
  }, options);
});

test("a call that takes too long ends", () =>
  within(async (session) => {
    assert.equal((await session.call("while True: pass", { wallMs: 300 })).status, "wall_time");
  }));

test("a session that ends itself says why", () =>
  within(async (session) => {
    const call = await session.call("import os; os._exit(3)");
    assert.deepEqual([call.status, call.outcome?.exitCode], ["ended", 3]);
  }));

test("a call is streamed", () =>
  within(async (session) => {
    const events = await all(session.stream("print('a')"));
    const last = events.at(-1);
    assert(last?.event === "outcome");
    assert.deepEqual([last.outcome.stdout, last.outcome.session], ["a\n", session.id]);
  }));

test("a call is interrupted and its state kept", () =>
  within(async (session) => {
    await session.call("x = 5");
    const mark = `mark-${randomUUID()}`;
    const call = session.call(sleeps(mark));
    await eventually(() => runsWith(mark));
    await session.interrupt();
    assert.equal((await call).status, "interrupted");
    assert.equal((await session.call("print(x)")).stdout, "5\n");
  }));

test("one call at a time", () =>
  within(async (session) => {
    for await (const event of session.stream("import time; print('up', flush=True); time.sleep(3)")) {
      if (event.event !== "stdout") continue;
      const error = await refused("session_busy", session.call("1"));
      assert.deepEqual([error.status, error.mayRetry], [409, true]);
    }
  }));

test("a closed session is not found", async () => {
  const closed = await within(async (session) => session);
  await refused("not_found", closed.call("1"));
  await closed.close();
});
