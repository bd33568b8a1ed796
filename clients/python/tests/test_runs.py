"""Runs that are waited for."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import belljar

from .service import Asynchronous, ServiceCase, eventually, runs_with

SLEEPS = "import time\nprint('up', flush=True)\ntime.sleep(600)"


class Runs(ServiceCase):
    def test_an_outcome_has_all_its_fields(self) -> None:
        outcome = self.sandbox().run("import sys; print('out'); print('err', file=sys.stderr)")
        self.assertIsInstance(outcome, belljar.Outcome)
        self.assertTrue(outcome.ok)
        self.assertEqual((outcome.status, outcome.exit_code, outcome.signal), ("ok", 0, None))
        self.assertEqual((outcome.stdout, outcome.stderr), ("out\n", "err\n"))
        self.assertEqual((outcome.stdout_bytes, outcome.stderr_bytes), (b"out\n", b"err\n"))
        self.assertEqual((outcome.stdout_dropped_bytes, outcome.stderr_dropped_bytes), (0, 0))
        self.assertEqual((outcome.runtime, outcome.message), ("python", "exited with code 0"))
        self.assertGreater(outcome.wall_ms, 0)
        self.assertGreater(outcome.cpu_ms, 0)
        self.assertGreater(outcome.memory_peak_bytes, 1 << 20)
        self.assertGreaterEqual(outcome.processes_peak, 1)
        self.assertIn("run", outcome.timings_ms)
        self.assertEqual((outcome.artifacts, outcome.artifact_errors), ((), ()))
        self.assertEqual(outcome.limits["wall_ms"], 60_000)
        self.assertIn("seccomp", [row.layer for row in outcome.receipt.layers])
        self.assertIn("memory_bytes", [row.limit for row in outcome.receipt.limits])
        self.assertTrue(outcome.id and outcome.start and outcome.receipt.floor)
        self.assertEqual(outcome.raw["id"], outcome.id)

    def test_whatever_the_code_does_is_an_outcome(self) -> None:
        run, hog = self.sandbox().run, "x = []\nwhile True: x.append(bytearray(10**6))"
        self.assertEqual(run("raise SystemExit(7)").exit_code, 7)
        self.assertEqual(run("raise SystemExit(7)").status, "nonzero_exit")
        killed = run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        self.assertEqual((killed.status, killed.signal), ("signalled", 9))
        self.assertEqual(run("while True: pass", limits={"wall_ms": 300}).status, "wall_time")
        self.assertEqual(run("while True: pass", limits={"cpu_ms": 200}).status, "cpu_time")
        hogged = run(hog, limits={"memory_bytes": 64 << 20})
        if is_memory_counted(hogged) or "MemoryError" not in hogged.stderr:
            self.assertEqual(hogged.status, "memory", hogged.stderr)
        limits = {"stdout_bytes": 100, "on_output_limit": "kill"}
        self.assertEqual(run("while True: print('x' * 1000)", limits=limits).status, "output")

    def test_a_refused_call_stands_among_the_denials(self) -> None:
        code = "import socket\ntry: socket.socket()\nexcept OSError: print('refused')"
        outcome = self.sandbox().run(code)
        self.assertEqual(outcome.stdout, "refused\n")
        self.assertTrue(any("socket" in denial.what for denial in outcome.denials))

    def test_everything_that_is_asked_for_arrives(self) -> None:
        code = (
            "import belljar, os, sys; from pathlib import Path\n"
            "print(sys.argv[1:], sys.stdin.read(), os.environ['WHO'], len(belljar.secrets['KEY']))\n"
            "print(Path('a.txt').read_text(), list(Path('d/b.bin').read_bytes()))\n"
        )
        outcome = self.sandbox().run(
            code,
            args=["one", "two words"],
            stdin="told",
            env={"WHO": "me"},
            secrets={"KEY": "hunter2"},
            files={"a.txt": "äöü", "d/b.bin": b"\x00\xff"},
            start="cold",
        )
        self.assertTrue(outcome.ok, outcome.stderr)
        self.assertEqual(
            outcome.stdout, "['one', 'two words'] told me 7\näöü [0, 255]\n"
        )

    def test_standard_input_may_be_any_bytes(self) -> None:
        code = "import sys; sys.stdout.write(sys.stdin.buffer.read().hex())"
        self.assertEqual(self.sandbox().run(code, stdin=b"\xff\x00").stdout, "ff00")

    def test_one_of_the_files_may_be_the_code(self) -> None:
        files = {"main.py": "import other; print(other.X)", "other.py": "X = 5"}
        outcome = self.sandbox().run(files=files, entry="main.py")
        self.assertEqual(outcome.stdout, "5\n", outcome.stderr)

    def test_output_that_is_no_text_is_exact(self) -> None:
        outcome = self.sandbox().run("import os; os.write(1, bytes(range(256)))")
        self.assertEqual(outcome.stdout_bytes, bytes(range(256)))
        self.assertIn("\ufffd", outcome.stdout)

    def test_large_output_is_whole(self) -> None:
        limits = {"stdout_bytes": 8 << 20}
        outcome = self.sandbox().run("print('x' * (6 << 20), end='')", limits=limits)
        self.assertEqual(outcome.stdout_bytes, b"x" * (6 << 20))

    def test_too_large_output_is_counted(self) -> None:
        outcome = self.sandbox().run("print('x' * 5000, end='')", limits={"stdout_bytes": 1000})
        self.assertEqual(outcome.stdout, "x" * 1000)
        self.assertEqual(outcome.stdout_dropped_bytes, 4000)

    def test_files_come_back_as_artifacts(self) -> None:
        code = "from pathlib import Path\nPath('out').mkdir()\n"
        code += "Path('out/a.bin').write_bytes(bytes(range(256)) * 64)\nPath('b.txt').write_text('b')"
        outcome = self.sandbox().run(code, collect=["out/*.bin"])
        [artifact] = outcome.artifacts
        self.assertEqual((artifact.path, artifact.size_bytes), ("out/a.bin", 256 * 64))
        self.assertEqual(artifact.content, bytes(range(256)) * 64)

    def test_limits_of_the_sandbox_hold_where_the_run_names_none(self) -> None:
        sandbox = self.sandbox(limits={"wall_ms": 5000, "processes": 9})
        limits = sandbox.run("pass", limits={"wall_ms": 4000}).limits
        self.assertEqual((limits["wall_ms"], limits["processes"]), (4000, 9))

    def test_a_wrong_request_is_refused(self) -> None:
        for options in ({"limits": {"wall_ms": 0}}, {"limits": {"no_such": 1}}, {"floor": "low"}):
            error = self.assert_refused("invalid_request", self.sandbox().run, "1", **options)
            self.assertEqual((error.fault, error.may_retry, error.status), ("caller", False, 400))
        self.assert_refused("unknown_runtime", self.sandbox("cobol").run, "1")
        with self.assertRaisesRegex(TypeError, "no such option: wall"):
            self.sandbox().run("1", wall=1)
        with self.assertRaisesRegex(TypeError, "args"):
            self.sandbox().run("1", args="one")


class RunsAsync(Asynchronous, Runs):
    pass


class Streams(ServiceCase):
    def test_events_come_in_order_and_as_they_happen(self) -> None:
        code = (
            "import sys\n"
            "for i in range(3):\n"
            "    print(i, flush=True); input()\n"
            "    print(i, file=sys.stderr, flush=True); input()\n"
        )
        sandbox, name, events = self.sandbox(), "", []
        for event in sandbox.stream(code, stdin_open=True):
            events.append(event)
            if isinstance(event, belljar.Started):
                name = event.id
            # Nothing is written before what was written last has been told.
            if isinstance(event, belljar.Output) and event.text.strip():
                sandbox.attach(name).write_stdin("\n")
        kinds = [type(event) for event in events]
        self.assertIn(belljar.Started, kinds[:2])
        self.assertIs(kinds[-1], belljar.Ended)
        written = [event for event in events if isinstance(event, belljar.Output)]
        text = [event.stream + event.text.strip() for event in written if event.text.strip()]
        self.assertEqual(text, [f"{stream}{i}" for i in range(3) for stream in ("stdout", "stderr")])
        outcome = events[-1].outcome
        self.assertEqual((outcome.stdout, outcome.stderr), ("0\n1\n2\n", "0\n1\n2\n"))

    def test_events_are_numbered(self) -> None:
        numbers = [event.seq for event in self.sandbox().stream("print(1)")]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_pieces_of_output_are_exact(self) -> None:
        events = self.sandbox().stream("import os; os.write(1, b'a\\xff'); os.write(1, b'\\x00')")
        written = [event.data for event in events if isinstance(event, belljar.Output)]
        self.assertEqual(b"".join(written), b"a\xff\x00")

    def test_what_is_refused_is_raised(self) -> None:
        ask = self.sandbox("cobol").stream
        self.assert_refused("unknown_runtime", lambda: list(ask("1")))

    def test_closing_a_stream_ends_its_run(self) -> None:
        mark = f"mark-{uuid.uuid4()}"
        sandbox = self.sandbox()
        events = sandbox.stream(SLEEPS, args=[mark], start="cold")
        name = next(event.id for event in events if isinstance(event, belljar.Started))
        self.assertTrue(any(isinstance(event, belljar.Output) for event in events))
        self.assertTrue(runs_with(mark))
        events.close()
        self.assertTrue(eventually(lambda: not runs_with(mark)), "it goes on")
        self.assertTrue(eventually(lambda: has_ended(sandbox.attach(name))), "it is listed")

    def test_leaving_after_a_time_ends_the_run(self) -> None:
        mark = f"mark-{uuid.uuid4()}"
        began = time.monotonic()
        with self.assertRaises(belljar.BelljarTimeout) as caught:
            self.sandbox().run(SLEEPS, args=[mark], start="cold", timeout=1.5)
        self.assertIsInstance(caught.exception, TimeoutError)
        self.assertLess(time.monotonic() - began, 10)
        self.assertTrue(eventually(lambda: not runs_with(mark)), "it goes on")

    def test_a_stream_that_takes_too_long_ends(self) -> None:
        mark = f"mark-{uuid.uuid4()}"
        with self.assertRaises(belljar.BelljarTimeout):
            for _ in self.sandbox().stream(SLEEPS, args=[mark], start="cold", timeout=1.5):
                pass
        self.assertTrue(eventually(lambda: not runs_with(mark)), "it goes on")


class StreamsAsync(Asynchronous, Streams):
    pass


class ManyAtOnce(ServiceCase):
    def test_fifty_threads(self) -> None:
        sandbox = self.sandbox(retries=5)
        with ThreadPoolExecutor(50) as pool:
            outcomes = list(pool.map(lambda i: sandbox.run(f"print({i})"), range(50)))
        self.assertEqual([it.stdout for it in outcomes], [f"{i}\n" for i in range(50)])

    def test_fifty_tasks(self) -> None:
        async def all_of_them() -> list[belljar.Outcome]:
            sandbox = belljar.AsyncSandbox("python", socket=self.path, retries=5)
            return list(await asyncio.gather(*(sandbox.run(f"print({i})") for i in range(50))))

        outcomes = asyncio.run(all_of_them())
        self.assertEqual([it.stdout for it in outcomes], [f"{i}\n" for i in range(50)])

    def test_cancelling_a_task_ends_its_run(self) -> None:
        mark = f"mark-{uuid.uuid4()}"

        async def leave() -> None:
            sandbox = belljar.AsyncSandbox("python", socket=self.path)
            task = asyncio.create_task(sandbox.run(SLEEPS, args=[mark], start="cold"))
            while not runs_with(mark):
                await asyncio.sleep(0.02)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(asyncio.wait_for(leave(), 30))
        self.assertTrue(eventually(lambda: not runs_with(mark)), "it goes on")

    def test_breaking_out_of_a_loop_ends_the_run(self) -> None:
        mark = f"mark-{uuid.uuid4()}"

        async def leave() -> None:
            sandbox = belljar.AsyncSandbox("python", socket=self.path)
            async for event in sandbox.stream(SLEEPS, args=[mark], start="cold"):
                if isinstance(event, belljar.Output):
                    break
            self.assertTrue(runs_with(mark))
            while runs_with(mark):
                await asyncio.sleep(0.02)

        asyncio.run(asyncio.wait_for(leave(), 30))


def is_memory_counted(outcome: belljar.Outcome) -> bool:
    """Elsewhere the limit is one on addresses, which may refuse first what is too much."""
    return ("memory_bytes", "enforced") in [(it.limit, it.state) for it in outcome.receipt.limits]


def has_ended(run: Any) -> bool:
    try:
        return bool(run.status() == "cancelled")
    except belljar.BelljarError as error:
        if error.code != "not_found":
            raise
        return True
