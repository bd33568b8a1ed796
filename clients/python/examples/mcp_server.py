"""An MCP server whose tool runs Python, each time in a jar of its own."""

from belljar import AsyncSandbox
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError

server = FastMCP("calculator")
sandbox = AsyncSandbox("python", limits={"wall_ms": 10_000, "memory_bytes": 256 << 20}, retries=3)


@server.tool()
async def run_python(code: str) -> str:
    """Run Python code and return what it prints."""
    outcome = await sandbox.run(code)
    if not outcome.ok:
        raise ToolError(f"{outcome.message}\n{outcome.stderr}")
    return outcome.stdout


if __name__ == "__main__":
    server.run()
