/** Runs that are waited for. */

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { BelljarTimeout, Sandbox, type SandboxOptions } from "belljar";

import { all, eventually, refused, runsWith, serve } from "./service.js";

const SLEEPS = "import time\nprint('up', flush=True)\ntime.sleep(600)";

const service = serve();

function sandbox(runtime = "python", options: SandboxOptions = {}): Sandbox {
  return new Sandbox(runtime, { socket: service.socket, ...options });
}

function newMark(): string {
  return `mark-${randomUUID()}`;
}

async function assertEnds(mark: string): Promise<void> {
  assert(await eventually(async () => !(await runsWith(mark))), "it goes on");
}

test("an outcome has all its fields", async () => {
  const outcome = await sandbox().run("import sys; print('out'); print('err', file=sys.stderr)");
  assert(outcome.ok);
  assert.deepEqual([outcome.status, outcome.exitCode, outcome.signal], ["ok", 0, null]);
  assert.deepEqual([outcome.stdout, outcome.stderr], ["out\n", "err\n"]);
  assert.deepEqual([outcome.stdoutDroppedBytes, outcome.stderrDroppedBytes], [0, 0]);
  assert.deepEqual(outcome.stdoutBytes, Buffer.from("out\n"));
  assert.deepEqual([outcome.runtime, outcome.message], ["python", "exited with code 0"]);
  assert(outcome.wallMs > 0 && outcome.cpuMs > 0 && outcome.memoryPeakBytes > 2 ** 20);
  assert(outcome.processesPeak >= 1 && outcome.id && outcome.start);
  assert.equal(typeof outcome.timingsMs["run"], "number");
  assert.deepEqual([outcome.artifacts, outcome.artifactErrors], [[], []]);
  assert.equal(outcome.limits.wallMs, 60_000);
  assert(outcome.receipt.layers.some(({ layer, costUs }) => layer === "seccomp" && costUs >= 0));
  assert(outcome.receipt.limits.some(({ limit }) => limit === "memory_bytes"));
  assert.equal(outcome.raw["exit_code"], 0);
});

test("whatever the code does is an outcome", async () => {
  const { run } = { run: sandbox().run.bind(sandbox()) };
  assert.equal((await run("raise SystemExit(7)")).exitCode, 7);
  const killed = await run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)");
  assert.deepEqual([killed.status, killed.signal], ["signalled", 9]);
  const status = async (code: string, limits: object) => (await run(code, { limits })).status;
  assert.equal(await status("while True: pass", { wallMs: 300 }), "wall_time");
  assert.equal(await status("while True: pass", { cpuMs: 200 }), "cpu_time");
  const hog = "x = []\nwhile True: x.append(bytearray(10**6))";
  const hogged = await run(hog, { limits: { memoryBytes: 2 ** 26 } });
  // Where no cgroup counts it, the limit is one on addresses, which may refuse first what is too much.
  const row = hogged.receipt.limits.find(({ limit }) => limit === "memory_bytes");
  if (row?.state === "enforced" || !hogged.stderr.includes("MemoryError")) {
    assert.equal(hogged.status, "memory", hogged.stderr);
  }
  const kill = { stdoutBytes: 100, onOutputLimit: "kill" };
  assert.equal(await status("while True: print('x' * 1000)", kill), "output");
});

test("a refused call stands among the denials", async () => {
  const code = "import socket\ntry: socket.socket()\nexcept OSError: print('refused')";
  const { denials } = await sandbox().run(code);
  assert(denials.some(({ what, hint }) => what.includes("socket") && hint));
});

test("everything that is asked for arrives", async () => {
  const code = `import belljar, os, sys; from pathlib import Path
print(sys.argv[1:], sys.stdin.read(), os.environ['theName'], len(belljar.secrets['A_KEY']))
print(Path('a.txt').read_text(), list(Path('dirA/b.bin').read_bytes()))`;
  const outcome = await sandbox().run(code, {
    args: ["one", "two words"],
    stdin: "told",
    env: { theName: "me" },
    secrets: { A_KEY: "hunter2" },
    files: { "a.txt": "äöü", "dirA/b.bin": new Uint8Array([0, 255]) },
    start: "cold",
  });
  assert.equal(outcome.stdout, "['one', 'two words'] told me 7\näöü [0, 255]\n", outcome.stderr);
});

test("one of the files may be the code", async () => {
  const files = { "main.py": "import other; print(other.X)", "other.py": "X = 5" };
  assert.equal((await sandbox().run(undefined, { files, entry: "main.py" })).stdout, "5\n");
});

test("input and output that are no text are exact", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())";
  const outcome = await sandbox().run(code, { stdin: bytes.subarray(0) });
  assert.deepEqual(outcome.stdoutBytes, bytes);
  assert(outcome.stdout.includes("\ufffd"));
});

test("large output is whole, and too large output is counted", async () => {
  const limits = { stdoutBytes: 8 << 20 };
  const whole = await sandbox().run("print('x' * (6 << 20), end='')", { limits });
  assert(whole.stdoutBytes.equals(Buffer.alloc(6 << 20, "x")));
  const cut = await sandbox().run("print('x' * 5000, end='')", { limits: { stdoutBytes: 1000 } });
  assert.deepEqual([cut.stdout.length, cut.stdoutDroppedBytes], [1000, 4000]);
});

test("files come back as artifacts", async () => {
  const code = "import os\nos.mkdir('out')\nopen('out/a.bin', 'wb').write(bytes(range(256)) * 64)";
  const { artifacts } = await sandbox().run(code, { collect: ["out/*.bin"] });
  assert.deepEqual(artifacts.map(({ path, bytes }) => [path, bytes]), [["out/a.bin", 256 * 64]]);
  assert.equal(artifacts[0]?.content?.[255], 255);
});

test("limits of the sandbox hold where the run names none", async () => {
  const usual = sandbox("python", { limits: { wallMs: 5000, processes: 9 } });
  const { limits } = await usual.run("pass", { limits: { wallMs: 4000 } });
  assert.deepEqual([limits.wallMs, limits.processes], [4000, 9]);
});

test("a wrong request is refused", async () => {
  const error = await refused("invalid_request", sandbox().run("1", { limits: { wallMs: 0 } }));
  assert.deepEqual([error.fault, error.mayRetry, error.status], ["caller", false, 400]);
  await refused("invalid_request", sandbox().run("1", { floor: "low" }));
  await refused("unknown_runtime", sandbox("cobol").run("1"));
  await refused("unknown_runtime", all(sandbox("cobol").stream("1")));
});

test("events come in order, numbered, and as they happen", async () => {
  const code = `import sys
for i in range(3):
    print(i, flush=True); input()
    print(i, file=sys.stderr, flush=True); input()`;
  const told: string[] = [];
  const numbers: number[] = [];
  let name = "";
  for await (const event of sandbox().stream(code, { stdinOpen: true })) {
    const text = "text" in event ? event.text.trim() : "";
    if (text || !("text" in event)) told.push(event.event + text);
    numbers.push(event.seq);
    if (event.event === "started") name = event.id;
    // Nothing is written before what was written last has been told.
    if (text) await sandbox().attach(name).writeStdin("\n");
    if (event.event === "outcome") assert.equal(event.outcome.stderr, "0\n1\n2\n");
  }
  const written = ["stdout0", "stderr0", "stdout1", "stderr1", "stdout2", "stderr2"];
  assert.deepEqual(told.slice(-8), ["started", ...written, "outcome"]);
  assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
});

test("fifty runs at one time", async () => {
  const usual = sandbox("python", { retries: 5 });
  const each = Array.from({ length: 50 }, (_, i) => usual.run(`print(${i})`));
  const outcomes = await Promise.all(each);
  assert.deepEqual(outcomes.map(({ stdout }) => stdout), outcomes.map((_, i) => `${i}\n`));
});

test("leaving a stream ends its run", async () => {
  const mark = newMark();
  let name = "";
  for await (const event of sandbox().stream(SLEEPS, { args: [mark], start: "cold" })) {
    if (event.event === "started") name = event.id;
    if (event.event === "stdout") break;
  }
  await assertEnds(mark);
  const isOver = () =>
    sandbox().attach(name).status().then(
      (status) => status === "cancelled",
      (error: { code?: string }) => error.code === "not_found",
    );
  assert(await eventually(isOver), "it is listed");
});

test("aborting ends the run", async () => {
  const mark = newMark();
  const leave = new AbortController();
  const options = { args: [mark], start: "cold", signal: leave.signal } as const;
  const run = sandbox().run(SLEEPS, options);
  assert(await eventually(() => runsWith(mark)));
  const reason = new Error("enough");
  leave.abort(reason);
  await assert.rejects(run, reason);
  await assertEnds(mark);
  await assert.rejects(sandbox().run("1", options), reason);
});

test("aborting a stream ends its run", async () => {
  const mark = newMark();
  const leave = new AbortController();
  const options = { args: [mark], start: "cold", signal: leave.signal } as const;
  const heard = async () => {
    for await (const event of sandbox().stream(SLEEPS, options)) {
      if (event.event === "stdout") leave.abort();
    }
  };
  await assert.rejects(heard(), { name: "AbortError" });
  await assertEnds(mark);
});

test("leaving after a time ends the run", async () => {
  const mark = newMark();
  const options = { args: [mark], start: "cold", timeoutMs: 1500 } as const;
  await assert.rejects(sandbox().run(SLEEPS, options), BelljarTimeout);
  await assert.rejects(all(sandbox().stream(SLEEPS, options)), BelljarTimeout);
  await assertEnds(mark);
});
