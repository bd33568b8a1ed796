"""A task of the real world, asked for by the client of the Python kit: over standard streams when
it is given a program, over HTTP when it is given an address."""

import asyncio
import base64
import json
import os
import pathlib
import sys

from mcp import Client, MCPError, StdioServerParameters

TASK = json.loads(pathlib.Path(__file__).with_name("task.json").read_text())


async def main(door: str) -> None:
    is_address = door.startswith("http")
    server = door if is_address else StdioServerParameters(command=door, args=["mcp"], env=dict(os.environ))
    plots = bool(os.environ.get("BELLJAR_TEST_VENV"))
    async with Client(server) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"run_code", "list_runtimes", "open_session"} <= tools, tools
        told = []

        async def progress(done, total, message):
            told.append(message)

        result = await client.call_tool(
            "run_code",
            {
                "runtime": "python",
                "code": TASK["code"] + (TASK["plot"] if plots else ""),
                "files": [{"path": "rain.csv", "content": TASK["csv"]}],
                "collect": ["*.json", "*.png"],
            },
            progress_callback=progress,
        )
        assert not result.is_error, result
        assert result.structured_content["stdout"] == "{'Oslo': 101, 'Rome': 140}\n", result
        assert told, "no progress"
        link = next(block for block in result.content if block.type == "resource_link")
        read = await client.read_resource(link.uri)
        assert json.loads(read.contents[0].text) == {"Oslo": 101, "Rome": 140}, read
        if plots:
            image = next(block for block in result.content if block.type == "image")
            assert base64.b64decode(image.data).startswith(b"\x89PNG"), image
        failed = await client.call_tool("run_code", {"runtime": "python", "code": "1/0"})
        assert failed.is_error and "ZeroDivisionError" in failed.content[0].text, failed
        try:
            await client.call_tool("run_code", {"runtime": "python", "cdoe": "1"})
        except MCPError as error:
            assert "cdoe" in str(error), error
        else:
            raise AssertionError("nonsense was taken")
    print(f"python: {'http' if is_address else 'stdio'}: passed")


asyncio.run(main(sys.argv[1]))
