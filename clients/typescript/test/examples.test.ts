/** The examples do what the documents say. */

import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { promisify } from "node:util";

import { serve } from "./service.js";

const service = serve();
const built = (name: string) => fileURLToPath(new URL(`../examples/${name}.js`, import.meta.url));

test("a tool runs JavaScript in a jar", async () => {
  const sdk = await import("@modelcontextprotocol/sdk/client/index.js").catch(() => undefined);
  assert(sdk, "@modelcontextprotocol/sdk is not installed: run npm ci in clients/typescript");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const client = new sdk.Client({ name: "test", version: "1.0.0" });
  const env = { PATH: process.env["PATH"] ?? "", BELLJAR_SOCKET: service.socket, API_KEY: "hunter2" };
  const command = process.execPath;
  await client.connect(new StdioClientTransport({ command, args: [built("mcp-server")], env }));
  try {
    const call = async (code: string) => {
      const answer = await client.callTool({ name: "run_javascript", arguments: { code } });
      const [first] = answer.content as { text: string }[];
      return [answer.isError === true, first?.text ?? ""] as const;
    };
    assert.deepEqual(await call("console.log(6 * 7)"), [false, "42\n"]);
    assert.deepEqual(await call("console.log(process.env.API_KEY)"), [false, "undefined\n"]);
    const [isError, text] = await call("throw new Error('no')");
    assert(isError && text.includes("exited with code 1") && text.includes("Error: no"), text);
    assert.deepEqual((await call("process.kill(process.pid, 'SIGKILL')"))[0], true);
    assert.deepEqual(await call("console.log('still here')"), [false, "still here\n"]);
  } finally {
    await client.close();
  }
});

test("a stream is shown and left", async () => {
  const env = { ...process.env, BELLJAR_SOCKET: service.socket };
  const { stdout } = await promisify(execFile)(process.execPath, [built("stream")], { env });
  assert(stdout.startsWith("line 0\nline 1\nline 2\nline 3"), stdout);
  assert(!stdout.includes("line 9"), stdout);
});

test("the document shows the example as it is", async () => {
  const root = new URL("../../../../", import.meta.url);
  const read = (path: string) => readFile(new URL(path, root), "utf8");
  const document = await read("docs/integrate.md");
  const example = await read("clients/typescript/examples/mcp-server.ts");
  const after = document.split("```ts\n").at(-1)?.split("```")[0] ?? "";
  assert(after.length > 300, "no example in TypeScript");
  assert(example.includes(after), "docs/integrate.md and the example differ");
});
