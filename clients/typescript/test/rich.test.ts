/** Values and exceptions in their parts. */

import { strict as assert } from "node:assert";
import { test } from "node:test";

import { Sandbox } from "belljar";

import { serve } from "./service.js";

const service = serve();

test("the last expression has a value", async () => {
  const python = new Sandbox("python", { socket: service.socket });
  const { result, error } = await python.run("x = 20\n{'a_b': [x + 1]}", { rich: true });
  assert.deepEqual([result?.text, result?.json], ["{'a_b': [21]}", { a_b: [21] }]);
  assert.equal(error, null);
  assert.equal((await python.run("x = 1", { rich: true })).result, null);
});

test("an exception comes in its parts", async () => {
  const python = new Sandbox("python", { socket: service.socket });
  const outcome = await python.run("def f():\n    raise ValueError('no')\nf()", { rich: true });
  assert.deepEqual([outcome.error?.type, outcome.error?.message], ["ValueError", "no"]);
  const last = outcome.error?.traceback.at(-1);
  assert.deepEqual([last?.line, last?.function], [2, "f"]);
});

test("node has values too", async () => {
  const node = new Sandbox("node", { socket: service.socket });
  const { result, message } = await node.run("const x = 20;\nx + 1", { rich: true });
  assert.equal(result?.text, "21", message);
});
