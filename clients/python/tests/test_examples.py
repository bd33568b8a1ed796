"""The examples do what the documents say."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from .service import ServiceCase

PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = PACKAGE / "examples"


class Examples(ServiceCase):
    def test_a_tool_runs_python_in_a_jar(self) -> None:
        try:
            from mcp import ClientSession, StdioServerParameters
            from mcp.client.stdio import stdio_client
        except ImportError:
            self.fail("the package mcp is not installed: pip install 'mcp>=1.20,<2'")
        server = StdioServerParameters(
            command=sys.executable,
            args=[str(EXAMPLES / "mcp_server.py")],
            env={**self.surroundings(), "API_KEY": "hunter2"},
        )

        async def drive() -> None:
            async with stdio_client(server) as streams, ClientSession(*streams) as session:
                await session.initialize()

                async def call(code: str) -> tuple[bool, str]:
                    answer = await session.call_tool("run_python", {"code": code})
                    return answer.isError, getattr(answer.content[0], "text", "")

                self.assertEqual(await call("print(6 * 7)"), (False, "42\n"))
                where = "import os; print(os.environ.get('API_KEY'))"
                self.assertEqual(await call(where), (False, "None\n"))
                is_error, text = await call("raise ValueError('no')")
                self.assertTrue(is_error)
                self.assertIn("exited with code 1", text)
                self.assertIn("ValueError: no", text)
                is_error, _ = await call("import os; os.kill(os.getpid(), 9)")
                self.assertTrue(is_error)
                self.assertEqual(await call("print('still here')"), (False, "still here\n"))

        asyncio.run(asyncio.wait_for(drive(), 60))

    def test_a_stream_is_shown_and_left(self) -> None:
        command = [sys.executable, str(EXAMPLES / "stream.py")]
        shown = subprocess.run(
            command, env=self.surroundings(), stdout=subprocess.PIPE, check=True, timeout=60
        )
        self.assertTrue(shown.stdout.startswith(b"line 0\nline 1\nline 2\nline 3"), shown.stdout)
        self.assertNotIn(b"line 9", shown.stdout)

    def test_the_document_shows_the_example_as_it_is(self) -> None:
        document = (PACKAGE.parents[1] / "docs/integrate.md").read_text()
        _, *blocks = document.split("```python\n")
        after = blocks[1].split("```")[0]
        self.assertGreater(len(after), 300)
        self.assertIn(after, (EXAMPLES / "mcp_server.py").read_text())

    def test_the_readme_begins_with_what_works(self) -> None:
        self.assertEqual(self.run_block(0), b"")

    def test_the_readme_goes_on_with_what_works(self) -> None:
        self.assertEqual(
            self.run_block(1), b"0\n1\n2\nResult(text='21', html=None, json=21)\n"
        )

    def run_block(self, number: int) -> bytes:
        """What the block of that number in the README writes."""
        code = (PACKAGE / "README.md").read_text().split("```python\n")[number + 1].split("```")[0]
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=self.surroundings(), stdout=subprocess.PIPE, check=True, timeout=60
        )
        return done.stdout

    def surroundings(self) -> dict[str, str]:
        return {**os.environ, "BELLJAR_SOCKET": str(self.path), "PYTHONPATH": str(PACKAGE / "src")}
