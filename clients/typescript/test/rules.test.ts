/** Networks and the rules of a language. */

import { strict as assert } from "node:assert";
import { test } from "node:test";

import { BelljarError, Sandbox } from "belljar";

import { fake, refused, said, serve } from "./service.js";

const FINDING = {
  file: "main.py", line: 3, column: 5, rule: "python/import", text: "import os", message: "m", advice: "a",
};
const CONNECTION = {
  host: "a.test", port: 443, address: null, opened_ms: 1.5, duration_ms: 2.5,
  sent_bytes: 1, received_bytes: 2, verdict: "unresolved",
};
const NETWORK = {
  kind: "gate", grants: ["a.test:443"], sent_bytes: 1, received_bytes: 2,
  connections: [CONNECTION], unrecorded_connections: 7,
};
const LISTENS = "import socket; print(socket.create_server(('127.0.0.1', 0)).fileno() > 2)";

const service = serve();

test("a run has no network but what it asks for", async () => {
  const sandbox = new Sandbox("python", { socket: service.socket });
  const without = await sandbox.run("1");
  assert.deepEqual([without.network, without.mode], [null, "full"]);
  const outcome = await sandbox.run(LISTENS, { network: ["loopback"] });
  assert.deepEqual([outcome.stdout, outcome.network?.kind], ["True\n", "loopback"]);
});

test("what nobody allows is refused", async () => {
  const sandbox = new Sandbox("python", { socket: service.socket });
  await refused("policy_refused", sandbox.run("1", { network: ["a.test:443"] }));
  await refused("policy_refused", sandbox.run("1", { mode: "off" }));
  await refused("policy_refused", sandbox.session({ network: ["a.test:443"] }));
});

test("findings are told", async () => {
  const answer = said(JSON.stringify({ code: "policy_refused", message: "m", findings: [FINDING] }), "", "403 Forbidden");
  const error: unknown = await fake([answer], ({ socket }) => new Sandbox("python", { socket }).run("1"))
    .catch((error: unknown) => error);
  assert(error instanceof BelljarError);
  assert.deepEqual(error.findings, [FINDING]);
});

test("connections are told", async () => {
  const row = { id: "1", runtime: "python", status: "ok", stdout: "", stderr: "", mode: "standard", network: NETWORK };
  const outcome = await fake([said(JSON.stringify(row))], ({ socket }) => new Sandbox("python", { socket }).run("1"));
  assert.equal(outcome.mode, "standard");
  assert.equal(outcome.network?.unrecordedConnections, 7);
  assert.deepEqual(outcome.network?.connections[0]?.verdict, "unresolved");
  assert.equal(outcome.network?.connections[0]?.durationMs, 2.5);
});
