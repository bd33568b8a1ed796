"""Jars that answer more than once."""

from __future__ import annotations

import threading
import time
import uuid

import belljar

from .service import Asynchronous, ServiceCase, eventually, runs_with

#: Seen from outside by its argument as soon as it runs.
SLEEPS = """import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; time.sleep(30)", "{}"], stderr=-3)"""


class Sessions(ServiceCase):
    def test_calls_see_what_those_before_them_left(self) -> None:
        with self.sandbox().session() as session:
            first = session.call("x = 20\nopen('kept', 'w').write('k')\nprint('one')")
            self.assertIsInstance(first, belljar.Call)
            self.assertEqual((first.status, first.call, first.session), ("ok", 1, session.id))
            self.assertEqual((first.stdout, first.stderr), ("one\n", ""))
            second = session.call("print(x + 1, open('kept').read())")
            self.assertEqual((second.stdout, second.call), ("21 k\n", 2))

    def test_each_call_has_a_name(self) -> None:
        with self.sandbox().session() as session:
            names = {session.call("1").id, session.call("1").id, session.id}
            self.assertEqual((len(names), "" in names), (3, False))

    def test_sessions_do_not_see_each_other(self) -> None:
        with self.sandbox().session() as one, self.sandbox().session() as other:
            self.assertTrue(one.call("x = 1").ok)
            self.assertEqual(other.call("x").status, "error")

    def test_a_call_has_a_value_and_an_exception(self) -> None:
        with self.sandbox().session() as session:
            value = session.call("6 * 7").result
            self.assertEqual(value and value.text, "42")
            failed = session.call("1 / 0")
            self.assertEqual(failed.status, "error")
            self.assertEqual(failed.error and failed.error.type, "ZeroDivisionError")
            self.assertTrue(session.call("1").ok)

    def test_a_call_takes_what_a_run_takes(self) -> None:
        with self.sandbox().session(env={"WHO": "me"}, files={"a": "1"}) as session:
            code = "import os, sys\nprint(os.environ['WHO'], open('a').read(), open('b').read())\n"
            code += "print(sys.stdin.read())\nopen('c.txt', 'w').write('3')"
            call = session.call(code, stdin="told", files={"b": b"2"}, collect=["*.txt"])
            self.assertEqual(call.stdout, "me 1 2\ntold\n", call.stderr)
            self.assertEqual([(it.path, it.content) for it in call.artifacts], [("c.txt", b"3")])

    def test_a_call_that_takes_too_long_ends(self) -> None:
        with self.sandbox().session() as session:
            self.assertEqual(session.call("while True: pass", wall_ms=300).status, "wall_time")

    def test_a_session_that_ends_itself_says_why(self) -> None:
        with self.sandbox().session() as session:
            call = session.call("import os; os._exit(3)")
            self.assertEqual(call.status, "ended")
            assert call.outcome is not None
            self.assertEqual(call.outcome.exit_code, 3)

    def test_a_call_is_streamed(self) -> None:
        with self.sandbox().session() as session:
            events = list(session.stream("print('a')"))
            written = [event.data for event in events if isinstance(event, belljar.Output)]
            self.assertEqual(b"".join(written), b"a\n")
            self.assertIsInstance(events[-1].outcome, belljar.Call)
            self.assertEqual(events[-1].outcome.stdout, "a\n")

    def test_a_call_is_interrupted_and_its_state_kept(self) -> None:
        with self.sandbox().session() as session:
            session.call("x = 5")
            mark = f"mark-{uuid.uuid4()}"
            interrupted: list[float] = []
            other = threading.Thread(
                target=lambda: interrupted.append(self.interrupt(session.id, mark))
            )
            other.start()
            call = session.call(SLEEPS.format(mark))
            ended = time.monotonic()
            other.join()
            self.assertEqual(call.status, "interrupted")
            self.assertLess(ended - interrupted[0], 10)
            self.assertEqual(session.call("print(x)").stdout, "5\n")

    def interrupt(self, name: str, mark: str) -> float:
        """When the call that shows ``mark`` was interrupted."""
        eventually(lambda: runs_with(mark))
        now = time.monotonic()
        belljar.Session(belljar.Sandbox(socket=self.path)._settings, {"id": name}).interrupt()
        return now

    def test_one_call_at_a_time(self) -> None:
        with self.sandbox().session() as session:
            events = session.stream("import time; print('up', flush=True); time.sleep(3)")
            self.assertTrue(any(isinstance(event, belljar.Output) for event in events))
            error = self.assert_refused("session_busy", session.call, "1")
            self.assertEqual((error.status, error.may_retry), (409, True))

    def test_a_closed_session_is_not_found(self) -> None:
        with self.sandbox().session() as session:
            pass
        self.assert_refused("not_found", session.call, "1")
        session.close()


class SessionsAsync(Asynchronous, Sessions):
    pass
