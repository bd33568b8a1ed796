"""Runs that go on by themselves."""

from __future__ import annotations

import time
import uuid

import belljar

from .service import Asynchronous, ServiceCase, eventually, runs_with

ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"


class Started(ServiceCase):
    def test_a_run_is_waited_for_later(self) -> None:
        code = "import time; input(); time.sleep(0.5); print('late')"
        run = self.sandbox().start(code, stdin_open=True)
        self.assertIn(run.status(), ("queued", "running"))
        run.write_stdin("\n")
        outcome = run.wait()
        self.assertEqual((outcome.id, outcome.stdout), (run.id, "late\n"))
        self.assertEqual(run.status(), "ok")
        self.assertEqual(run.wait().stdout, "late\n")

    def test_waiting_may_end_before_the_run(self) -> None:
        run = self.sandbox().start("input(); print('late')", stdin_open=True)
        began = time.monotonic()
        with self.assertRaises(belljar.BelljarTimeout):
            run.wait(timeout=0.3)
        self.assertLess(time.monotonic() - began, 10)
        run.write_stdin("\n")
        self.assertEqual(run.wait(timeout=30).stdout, "late\n")

    def test_a_run_is_cancelled(self) -> None:
        mark = f"mark-{uuid.uuid4()}"
        run = self.sandbox().start("import time; time.sleep(600)", args=[mark], start="cold")
        self.assertTrue(eventually(lambda: runs_with(mark)))
        run.cancel()
        self.assertEqual(run.wait(timeout=30).status, "cancelled")
        self.assertFalse(runs_with(mark))

    def test_standard_input_follows(self) -> None:
        run = self.sandbox().start(ECHO, stdin="first\n", stdin_open=True)
        run.write_stdin("second\n")
        run.write_stdin(b"third\n")
        run.close_stdin()
        self.assertEqual(run.wait(timeout=30).stdout, "FIRST\nSECOND\nTHIRD\n")

    def test_standard_input_that_is_closed_takes_no_more(self) -> None:
        run = self.sandbox().start("import time; time.sleep(20)")
        error = self.assert_refused("invalid_request", run.write_stdin, "x")
        self.assertEqual(error.status, 409)
        run.cancel()

    def test_input_is_answered_in_between(self) -> None:
        run = self.sandbox().start(ECHO, stdin_open=True)
        events = run.events()
        run.write_stdin("a\n")
        text = ""
        while "A" not in text:
            event = next(events)
            text += event.text if isinstance(event, belljar.Output) else ""
        run.close_stdin()
        self.assertIsInstance(list(events)[-1], belljar.Ended)

    def test_events_are_told_again_as_far_as_they_are_kept(self) -> None:
        run = self.sandbox().start(ECHO, stdin="a\n", stdin_open=True)
        events = run.events()
        told = [next(events), next(events)]
        run.close_stdin()
        told += events
        self.assertEqual([event.seq for event in told], list(range(1, len(told) + 1)))
        self.assertIsInstance(told[0], belljar.Queued)
        self.assertIsInstance(told[1], belljar.Started)
        self.assertEqual(told[-1].outcome.stdout, "A\n")
        again = list(run.events())
        self.assertGreaterEqual(len(again), 1)
        self.assertEqual(again, told[-len(again) :])
        self.assertEqual(list(run.events(since=told[-2].seq)), told[-1:])

    def test_artifacts_are_kept(self) -> None:
        code = "open('a b.bin', 'wb').write(bytes(range(256)))"
        run = self.sandbox().start(code, collect=["*.bin"])
        self.assertEqual([it.path for it in run.wait(timeout=30).artifacts], ["a b.bin"])
        self.assertEqual(run.artifact("a b.bin"), bytes(range(256)))
        self.assert_refused("not_found", run.artifact, "other")

    def test_a_run_is_found_by_its_name(self) -> None:
        sandbox = self.sandbox()
        run = sandbox.start("print(1)")
        self.assertEqual(sandbox.attach(run.id).wait(timeout=30).stdout, "1\n")
        self.assert_refused("not_found", sandbox.attach("01NOSUCH").status)

    def test_labels_stay_with_a_run(self) -> None:
        outcome = self.sandbox().start("1", labels={"for": "me"}).wait(timeout=30)
        self.assertEqual(outcome.labels, {"for": "me"})
        self.assertRegex(outcome.created_at or "", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_the_same_key_is_the_same_run(self) -> None:
        sandbox, key = self.sandbox(), str(uuid.uuid4())
        code = "import uuid; print(uuid.uuid4())"
        first = sandbox.run(code, idempotency_key=key)
        again = sandbox.run(code, idempotency_key=key)
        self.assertEqual((first.id, first.stdout), (again.id, again.stdout))
        error = self.assert_refused("key_reused", sandbox.run, "other", idempotency_key=key)
        self.assertEqual(error.status, 422)


class StartedAsync(Asynchronous, Started):
    pass
