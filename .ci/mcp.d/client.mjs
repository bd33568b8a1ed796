// The same task, asked for by the client of the TypeScript kit.
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [door, task] = process.argv.slice(2);
const { csv, code, plot } = JSON.parse(readFileSync(task, "utf8"));
const isAddress = door.startsWith("http");
const plots = Boolean(process.env.BELLJAR_TEST_VENV);
const transport = isAddress
  ? new StreamableHTTPClientTransport(new URL(door))
  : new StdioClientTransport({ command: door, args: ["mcp"], env: process.env });

function check(holds, what) {
  if (!holds) throw new Error(JSON.stringify(what));
}

const client = new Client({ name: "task", version: "1" });
await client.connect(transport);
// The kit validates what is structured against the schemas that this lists.
const { tools } = await client.listTools();
check(tools.some((tool) => tool.name === "run_code"), tools);
let told = 0;
const result = await client.callTool(
  {
    name: "run_code",
    arguments: {
      runtime: "python",
      code: code + (plots ? plot : ""),
      files: [{ path: "rain.csv", content: csv }],
      collect: ["*.json", "*.png"],
    },
  },
  undefined,
  { onprogress: () => (told += 1) },
);
check(!result.isError, result);
check(result.structuredContent.stdout === "{'Oslo': 101, 'Rome': 140}\n", result);
check(told > 0, "no progress");
const link = result.content.find((block) => block.type === "resource_link");
const read = await client.readResource({ uri: link.uri });
check(JSON.parse(read.contents[0].text).Rome === 140, read);
if (plots) {
  const image = result.content.find((block) => block.type === "image");
  check(Buffer.from(image.data, "base64").subarray(1, 4).toString() === "PNG", image);
}
const failed = await client.callTool({
  name: "run_code",
  arguments: { runtime: "python", code: "1/0" },
});
check(failed.isError && failed.content[0].text.includes("ZeroDivisionError"), failed);
const refused = await client
  .callTool({ name: "run_code", arguments: { runtime: "python", cdoe: "1" } })
  .catch((error) => error);
check(String(refused).includes("cdoe"), String(refused));
// A call that is given up is ended.
const giveUp = new AbortController();
setTimeout(() => giveUp.abort(), 300);
const given = await client
  .callTool(
    { name: "run_code", arguments: { runtime: "python", code: "import time; time.sleep(60)" } },
    undefined,
    { signal: giveUp.signal },
  )
  .catch((error) => error);
check(given instanceof Error, given);
await client.close();
console.log(`typescript: ${isAddress ? "http" : "stdio"}: passed`);
