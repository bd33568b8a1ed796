/** Answers that no service should give, and those that only some give. */

import { strict as assert } from "node:assert";
import { test } from "node:test";

import { Overloaded, Sandbox, Unreachable, usualSocket, type Outcome, type SandboxOptions } from "belljar";

import { all, fake, refused, said } from "./service.js";

const OUTCOME = { id: "1", runtime: "python", status: "ok", stdout: "hi", stderr: "" };
const ANSWER = said(JSON.stringify(OUTCOME));
const CODES = [
  "invalid_request", "policy_refused", "unenforceable", "unknown_runtime", "unauthorized",
  "not_found", "internal", "lost",
];

function ask(answers: (string | Buffer)[], options: SandboxOptions = {}, holds = false): Promise<Outcome> {
  return fake(answers, ({ socket }) => new Sandbox("python", { socket, ...options }).run("1"), holds);
}

function problem(code: string, more: object = {}): string {
  return JSON.stringify({ code, message: "m", fault: "host", may_retry: true, hint: "h", ...more });
}

function chunked(...chunks: string[]): string {
  const body = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.join("")}0\r\n\r\n`;
}

test("no answer is taken for another", async () => {
  const length = "HTTP/1.1 200 OK\r\nContent-Length: ";
  const chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const answer of [
    "",
    "SSH-2.0-OpenSSH_9.2\r\n",
    Buffer.alloc(1000, 255),
    "HTTP/1.1 ",
    "HTTP/1.1 200 OK\r\nContent-Le",
    "HTTP/1.1 abc OK\r\n\r\n",
    `${length}500\r\n\r\n{`,
    `${chunk}zz\r\nabc\r\n0\r\n\r\n`,
    `${chunk}5\r\nabc`,
    chunk,
    said("<html>"),
    said("[1]"),
    said("{}"),
    said('{"id":"1","status":"ok","stdout":5}'),
    said('{"id":"1","status":"ok","artifacts":[5]}'),
    said('{"id":"1","status":"ok","receipt":[1]}'),
    said("<html>", "", "502 Bad Gateway"),
    said("[]", "", "500 Oops"),
  ]) {
    const error: unknown = await ask([answer]).catch((error: unknown) => error);
    const { code } = error as { code?: string };
    assert(code === "internal" || code === "unreachable", `${answer.toString().slice(0, 60)}: ${String(error)}`);
  }
});

test("who speaks otherwise and holds the line is left", async () => {
  await refused("internal", ask(["220 mail ready\r\n"], {}, true));
});

test("a huge head is left early", async () => {
  const line = `HTTP/1.1 200 OK\r\nX-Much: ${"x".repeat(8 << 20)}`;
  const many = `HTTP/1.1 200 OK\r\n${"X-Much: yes\r\n".repeat(1 << 19)}`;
  for (const answer of [line, many, "y".repeat(8 << 20)]) {
    await refused("internal", ask([answer], {}, true));
  }
});

test("a problem that does not end is left", async () => {
  const answer = `HTTP/1.1 500 Oops\r\n\r\n${"x".repeat(3 << 20)}`;
  await refused("internal", ask([answer], {}, true));
});

test("who says nothing is waited for no longer than said", async () => {
  const waited = fake([""], ({ socket }) => new Sandbox("python", { socket }).run("1", { timeoutMs: 200 }), true);
  await refused("timeout", waited);
});

test("nobody is unreachable", async () => {
  const error = await refused("unreachable", new Sandbox("python", { socket: "/nowhere/socket" }).run("1"));
  assert(error instanceof Unreachable && error.mayRetry);
  assert(error.message.includes("/nowhere/socket"));
});

test("every problem has its parts", async () => {
  for (const code of CODES) {
    const error = await refused(code, ask([said(problem(code), "", "500 Oops")]));
    assert.deepEqual([error.fault, error.hint, error.mayRetry, error.status], ["host", "h", true, 500]);
    assert.equal(error.raw["message"], "m");
  }
});

test("overload names a time", async () => {
  const named = await refused("overloaded", ask([said(problem("overloaded", { retry_after_ms: 250 }), "", "503 Busy")]));
  assert(named instanceof Overloaded);
  assert.equal(named.retryAfterMs, 250);
  const header = said(problem("overloaded"), "Retry-After: 2\r\n", "429 Busy");
  assert.equal((await refused("overloaded", ask([header]))).retryAfterMs, 2000);
});

test("overload, and nothing else, is asked again as often as said", async () => {
  const busy = said(problem("overloaded", { retry_after_ms: 50 }), "", "503 Busy");
  const began = Date.now();
  assert((await ask([busy, busy, ANSWER], { retries: 2 })).ok);
  assert(Date.now() - began >= 95);
  await refused("overloaded", ask([busy, busy, ANSWER], { retries: 1 }));
  await refused("internal", ask([said(problem("internal"), "", "500 Oops"), ANSWER], { retries: 5 }));
});

test("another version is refused", async () => {
  const other = said(JSON.stringify(OUTCOME), "Belljar-Api: 2\r\n");
  assert.match((await refused("internal", ask([other]))).message, /version 2/);
  assert((await ask([said(JSON.stringify(OUTCOME), "belljar-api: 1\r\n")])).ok);
});

test("what newer services say is tolerated", async () => {
  const row = {
    ...OUTCOME,
    new_thing: { a_b: 1 },
    labels: { my_label: "x" },
    receipt: { floor: "strict", layers: [{ layer: "x", cost_us: 5, new: 1 }] },
    artifacts: [{ path: "p", bytes: 1, media_type: "m", new: 1 }],
  };
  const outcome = await ask([said(JSON.stringify(row))]);
  assert.deepEqual(outcome.raw["new_thing"], { a_b: 1 });
  assert.deepEqual(outcome.labels, { my_label: "x" });
  assert.equal(outcome.receipt.layers[0]?.costUs, 5);
  assert.deepEqual(outcome.artifacts, [{ path: "p", bytes: 1, mediaType: "m", content: undefined }]);
});

test("events in pieces are put together", async () => {
  const last = JSON.stringify({ event: "outcome", seq: 4, outcome: OUTCOME });
  const lines = `{"event":"started","seq":1,"id":"1"}\n{"event":"later","seq":2}\n\n{"event":"denial","seq":3,"what":"ö"}\n${last}\n`;
  const answer = chunked(...(lines.match(/[^]{1,7}/g) ?? []));
  const events = await fake([answer], ({ socket }) => all(new Sandbox("python", { socket }).stream("1")));
  assert.deepEqual(events.slice(0, 2), [
    { event: "started", seq: 1, id: "1" },
    { event: "denial", seq: 3, denial: { what: "ö" } },
  ]);
  assert.equal(events.length, 3);
});

test("events without an end are no outcome", async () => {
  const started = '{"event":"started","seq":1,"id":"1"}\n';
  for (const [code, more] of [
    ["unreachable", ""],
    ["lost", `{"event":"problem","seq":2,"problem":${problem("lost")}}\n`],
    ["internal", "{nonsense\n"],
  ] as const) {
    await fake([chunked(started + more)], async ({ socket }) => {
      const events = new Sandbox("python", { socket }).stream("1");
      assert.equal((await events.next()).value?.event, "started");
      await refused(code, events.next());
    });
  }
});

test("what is asked has its heads, and stays in its place", async () => {
  await fake([ANSWER, said('{"status":"ok"}')], async ({ socket, asked }) => {
    const sandbox = new Sandbox("python", { socket, tenant: "them" });
    await sandbox.run("1", { idempotencyKey: "k1" });
    await sandbox.attach("../a b?c").status();
    for (const line of ["POST /v1/runs HTTP/1.1", "X-Belljar-Tenant: them", "Idempotency-Key: k1"]) {
      assert(asked[0]?.includes(`${line}\r\n`), line);
    }
    assert(asked[1]?.startsWith("GET /v1/runs/..%2Fa%20b%3Fc HTTP/1.1\r\n"));
    await assert.rejects(sandbox.run("1", { idempotencyKey: "a\r\nb" }), TypeError);
  });
});

test("the socket is where the service listens", () => {
  const { BELLJAR_SOCKET, XDG_RUNTIME_DIR } = process.env;
  try {
    process.env["BELLJAR_SOCKET"] = "/a/b";
    process.env["XDG_RUNTIME_DIR"] = "/run/user/1";
    assert.equal(usualSocket(), "/a/b");
    delete process.env["BELLJAR_SOCKET"];
    assert.equal(usualSocket(), "/run/user/1/belljar.sock");
    process.env["XDG_RUNTIME_DIR"] = "not/absolute";
    assert.equal(usualSocket(), "/run/belljar.sock");
  } finally {
    Object.assign(process.env, { ...(BELLJAR_SOCKET && { BELLJAR_SOCKET }), ...(XDG_RUNTIME_DIR && { XDG_RUNTIME_DIR }) });
  }
});
