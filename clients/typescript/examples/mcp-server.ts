/** An MCP server whose tool runs JavaScript, each time in a jar of its own. */

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { Sandbox } from "belljar";
import { z } from "zod";

const server = new McpServer({ name: "calculator", version: "1.0.0" });
const sandbox = new Sandbox("node", { limits: { wallMs: 10_000, memoryBytes: 256 << 20 }, retries: 3 });

server.registerTool(
  "run_javascript",
  { description: "Run JavaScript and return what it prints.", inputSchema: { code: z.string() } },
  async ({ code }, { signal }) => {
    const outcome = await sandbox.run(code, { signal });
    const text = outcome.ok ? outcome.stdout : `${outcome.message}\n${outcome.stderr}`;
    return { content: [{ type: "text", text }], isError: !outcome.ok };
  },
);

await server.connect(new StdioServerTransport());
