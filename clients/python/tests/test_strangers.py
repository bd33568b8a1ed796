"""Answers that no service should give, and those that only some give."""

from __future__ import annotations

import json
import os
import time
from typing import Any
from unittest import mock

import belljar
from belljar import _wire

from .service import Asynchronous, Case, Fake, said

OUTCOME = {"id": "1", "runtime": "python", "status": "ok", "stdout": "hi", "stderr": ""}
CODES = (
    "invalid_request", "policy_refused", "unenforceable", "unknown_runtime", "unauthorized",
    "not_found", "internal", "lost",
)


def problem(code: str, **more: object) -> bytes:
    row = {"code": code, "message": "m", "fault": "host", "may_retry": True, "hint": "h", **more}
    return json.dumps(row).encode()


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


class Strangers(Case):
    def ask(self, *answers: bytes, holds: bool = False, **options: Any) -> belljar.Outcome:
        with Fake(*answers, holds=holds) as fake:
            outcome: belljar.Outcome = self.sandbox(socket=fake.path, **options).run("1")
            return outcome

    def test_no_answer_is_taken_for_another(self) -> None:
        length = b"HTTP/1.1 200 OK\r\nContent-Length: "
        chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for answer in (
            b"",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x00\xff" * 500 + b"\r\n\r\n",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 abc OK\r\n\r\n",
            length + b"500\r\n\r\n{",
            chunk + b"zz\r\nabc\r\n0\r\n\r\n",
            chunk + b"5\r\nabc",
            chunk,
            said(b"<html>"),
            said(b"[1]"),
            said(b"{}"),
            said(b'{"id":"1","status":"ok","stdout":5}'),
            said(b'{"id":"1","status":"ok","stdout":"*","encoding":"base64"}'),
            said(b'{"id":"1","status":"ok","artifacts":[5]}'),
            said(b'{"id":"1","status":"ok","receipt":[1]}'),
            said(b"[" * 200_000),
            said(b"<html>", status="502 Bad Gateway"),
            said(b"[]", status="500 Oops"),
        ):
            with self.subTest(answer=answer[:80]), self.assertRaises(belljar.BelljarError) as caught:
                self.ask(answer)
            self.assertIn(caught.exception.code, ("internal", "unreachable"))

    def test_who_speaks_otherwise_and_holds_the_line_is_left(self) -> None:
        self.assert_refused("internal", self.ask, b"220 mail ready\r\n", holds=True)

    def test_a_huge_head_is_left_early(self) -> None:
        line = b"HTTP/1.1 200 OK\r\nX-Much: " + b"x" * (8 << 20)
        many = b"HTTP/1.1 200 OK\r\n" + b"X-Much: yes\r\n" * (1 << 19)
        for answer in (line, many, b"y" * (8 << 20)):
            self.assert_refused("internal", self.ask, answer, holds=True)

    def test_a_problem_that_does_not_end_is_left(self) -> None:
        answer = b"HTTP/1.1 500 Oops\r\n\r\n" + b"x" * (3 << 20)
        self.assert_refused("internal", self.ask, answer, holds=True)

    def test_who_says_nothing_is_waited_for_no_longer_than_said(self) -> None:
        with Fake(b"", holds=True) as fake, self.assertRaises(belljar.BelljarTimeout):
            self.sandbox(socket=fake.path).run("1", timeout=0.2)

    def test_who_has_a_full_queue_is_waited_for(self) -> None:
        with Fake(*[said(json.dumps(OUTCOME).encode())] * 9, pause=0.5) as fake:
            waiting = fake.fill()
            try:
                self.assertTrue(self.sandbox(socket=fake.path).run("1", timeout=10).ok)
                with self.assertRaises(belljar.BelljarTimeout):
                    waiting += fake.fill()
                    self.sandbox(socket=fake.path).run("1", timeout=0.1)
            finally:
                for stream in waiting:
                    stream.close()

    def test_who_stops_in_the_middle_is_waited_for_no_longer_than_said(self) -> None:
        for head in ("", "Content-Length: 900\r\n", "Connection: close\r\n"):
            answer = f"HTTP/1.1 200 OK\r\n{head}\r\n{{".encode()
            began = time.monotonic()
            with self.subTest(head), Fake(answer, holds=True) as fake:
                with self.assertRaises(belljar.BelljarTimeout):
                    self.sandbox(socket=fake.path).run("1", timeout=0.2)
            self.assertLess(time.monotonic() - began, 5)

    def test_nobody_is_unreachable(self) -> None:
        with self.assertRaises(belljar.Unreachable) as caught:
            self.sandbox(socket="/nowhere/socket").run("1")
        self.assertIn("/nowhere/socket", str(caught.exception))
        self.assertTrue(caught.exception.may_retry)

    def test_every_problem_has_its_parts(self) -> None:
        for code in CODES:
            error = self.assert_refused(code, self.ask, said(problem(code), status="500 Oops"))
            self.assertEqual((error.message, error.fault, error.hint), ("m", "host", "h"))
            self.assertTrue(error.may_retry)
            self.assertEqual((error.status, error.raw["code"]), (500, code))

    def test_overload_names_a_time(self) -> None:
        busy = said(problem("overloaded", retry_after_ms=250), status="503 Busy")
        with self.assertRaises(belljar.Overloaded) as caught:
            self.ask(busy)
        self.assertEqual(caught.exception.retry_after_ms, 250)
        header = said(problem("overloaded"), "Retry-After: 2\r\n", status="429 Busy")
        with self.assertRaises(belljar.Overloaded) as caught:
            self.ask(header)
        self.assertEqual(caught.exception.retry_after_ms, 2000)

    def test_overload_is_asked_again_as_often_as_said(self) -> None:
        busy = said(problem("overloaded", retry_after_ms=50), status="503 Busy")
        began = time.monotonic()
        self.assertTrue(self.ask(busy, busy, said(json.dumps(OUTCOME).encode()), retries=2).ok)
        self.assertGreaterEqual(time.monotonic() - began, 0.1)
        with self.assertRaises(belljar.Overloaded):
            self.ask(busy, busy, said(json.dumps(OUTCOME).encode()), retries=1)

    def test_other_problems_are_not_asked_again(self) -> None:
        answer = said(json.dumps(OUTCOME).encode())
        wrong = said(problem("internal"), status="500 Oops")
        self.assert_refused("internal", self.ask, wrong, answer, retries=5)

    def test_another_version_is_refused(self) -> None:
        answer = said(json.dumps(OUTCOME).encode(), "Belljar-Api: 2\r\n")
        self.assertIn("version 2", str(self.assert_refused("internal", self.ask, answer)))
        ours = said(json.dumps(OUTCOME).encode(), "belljar-api: 1\r\n")
        self.assertTrue(self.ask(ours).ok)

    def test_what_newer_services_say_is_tolerated(self) -> None:
        row = {
            **OUTCOME,
            "new": {"a": 1},
            "receipt": {"floor": "strict", "new": 1, "layers": [{"layer": "x", "new": 1}]},
            "denials": [{"what": "y", "new": 1}],
            "artifacts": [{"path": "p", "bytes": 1, "media_type": "m", "new": 1}],
            "error": {"type": "T", "new": 1, "traceback": [{"file": "f", "new": 1}]},
        }
        outcome = self.ask(said(json.dumps(row).encode()))
        self.assertEqual(outcome.raw["new"], {"a": 1})
        self.assertEqual(outcome.receipt.layers, (belljar.LayerState("x"),))
        self.assertEqual(outcome.denials, (belljar.Denial(what="y"),))
        self.assertEqual(outcome.artifacts, (belljar.Artifact("p", 1, "m"),))
        self.assertEqual(outcome.error, belljar.Raised("T", "", (belljar.Frame("f"),)))

    def test_answers_in_pieces_are_put_together(self) -> None:
        body = json.dumps(OUTCOME).encode()
        self.assertTrue(self.ask(chunked(*(bytes([byte]) for byte in body))).ok)
        early = b"HTTP/1.1 100 Continue\r\n\r\n"
        self.assertTrue(self.ask(early + said(body)).ok)
        self.assertTrue(self.ask(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body).ok)

    def test_events_in_pieces_are_put_together(self) -> None:
        last = json.dumps({"event": "outcome", "seq": 4, "outcome": OUTCOME}).encode()
        lines = b'{"event":"started","seq":1,"id":"1"}\n{"event":"later","seq":2}\n\n'
        lines += b'{"event":"denial","seq":3,"what":"x","new":1}\n' + last + b"\n"
        with Fake(chunked(*(lines[i : i + 7] for i in range(0, len(lines), 7)))) as fake:
            events = list(self.sandbox(socket=fake.path).stream("1"))
        self.assertEqual(events[0], belljar.Started(1, "1"))
        self.assertEqual(events[1], belljar.Denied(3, belljar.Denial(what="x")))
        self.assertEqual((len(events), events[2].outcome.stdout), (3, "hi"))

    def test_events_without_an_end_are_no_outcome(self) -> None:
        started = b'{"event":"started","seq":1,"id":"1"}\n'
        failed = b'{"event":"problem","seq":2,"problem":' + problem("lost") + b"}\n"
        for code, body in (
            ("unreachable", started),
            ("lost", started + failed),
            ("internal", started + b"{nonsense\n"),
            ("internal", started + b'{"event":"stdout","seq":2,"content":"*","encoding":"base64"}\n'),
        ):
            with self.subTest(body=body), Fake(chunked(body)) as fake:
                events = self.sandbox(socket=fake.path).stream("1")
                self.assertEqual(next(events), belljar.Started(1, "1"))
                self.assert_refused(code, next, events)

    def test_no_name_leaves_its_line(self) -> None:
        for options in ({"tenant": "a\r\nX-Evil: 1"}, {"tenant": "ä"}):
            with self.assertRaises(ValueError):
                self.sandbox(socket="/nowhere", **options).run("1")
        with self.assertRaises(ValueError):
            self.sandbox(socket="/nowhere").run("1", idempotency_key="a\nb")

    def test_names_of_runs_stay_in_their_places(self) -> None:
        with Fake(said(b"{}")) as fake:
            self.sandbox(socket=fake.path).attach("../a b?c").status()
        self.assertTrue(fake.asked[0].startswith(b"GET /v1/runs/..%2Fa%20b%3Fc HTTP/1.1\r\n"))

    def test_what_is_asked_has_its_heads(self) -> None:
        with Fake(said(json.dumps(OUTCOME).encode())) as fake:
            self.sandbox(socket=fake.path, tenant="them").run("1", idempotency_key="k1")
        head = fake.asked[0].decode().lower()
        for line in ("post /v1/runs http/1.1", "x-belljar-tenant: them", "idempotency-key: k1"):
            self.assertIn(line + "\r\n", head)


class StrangersAsync(Asynchronous, Strangers):
    pass


class Places(Case):
    def test_the_socket_is_where_the_service_listens(self) -> None:
        for surroundings, expected in (
            ({"BELLJAR_SOCKET": "/a/b", "XDG_RUNTIME_DIR": "/run/user/1"}, "/a/b"),
            ({"XDG_RUNTIME_DIR": "/run/user/1"}, "/run/user/1/belljar.sock"),
            ({"XDG_RUNTIME_DIR": "not/absolute"}, "/run/belljar.sock"),
            ({}, "/run/belljar.sock"),
        ):
            with mock.patch.dict(os.environ, surroundings, clear=True):
                self.assertEqual(_wire.usual_socket(), expected)
