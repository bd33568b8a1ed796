"""Networks and the rules of a language."""

from __future__ import annotations

import json

import belljar

from .service import Asynchronous, Case, Fake, ServiceCase, said

FINDING = {
    "file": "main.py", "line": 3, "column": 5, "rule": "python/import", "text": "import os",
    "message": "m", "advice": "a",
}
CONNECTION = {
    "host": "a.test", "port": 443, "address": None, "opened_ms": 1.5, "duration_ms": 2.5,
    "sent_bytes": 1, "received_bytes": 2, "verdict": "unresolved", "new": 1,
}
NETWORK = {
    "kind": "gate", "grants": ["a.test:443"], "sent_bytes": 1, "received_bytes": 2,
    "connections": [CONNECTION], "unrecorded_connections": 7,
}
LISTENS = "import socket; print(socket.create_server(('127.0.0.1', 0)).fileno() > 2)"


class Rules(ServiceCase):
    def test_a_run_has_no_network_but_what_it_asks_for(self) -> None:
        outcome = self.sandbox().run("1")
        self.assertEqual((outcome.network, outcome.mode), (None, "full"))
        outcome = self.sandbox().run(LISTENS, network=["loopback"])
        self.assertEqual((outcome.stdout, outcome.status), ("True\n", "ok"))
        self.assertEqual(outcome.network and outcome.network.kind, "loopback")

    def test_what_nobody_allows_is_refused(self) -> None:
        run = self.sandbox().run
        for options in ({"network": ["a.test:443"]}, {"mode": "off"}, {"mode": "strange"}):
            self.assert_refused("policy_refused", run, "1", **options)

        def opened() -> None:
            with self.sandbox().session(network=["a.test:443"]):
                raise AssertionError("it is open")

        self.assert_refused("policy_refused", opened)


class AsyncRules(Asynchronous, Rules):
    pass


class Told(Case):
    def test_findings_are_told(self) -> None:
        row = {"code": "policy_refused", "message": "m", "findings": [FINDING, 5]}
        with Fake(said(json.dumps(row).encode(), status="403 Forbidden")) as fake:
            with self.assertRaises(belljar.BelljarError) as caught:
                self.sandbox(socket=fake.path).run("1")
        self.assertEqual(caught.exception.findings, (belljar.Finding(**FINDING),))  # type: ignore[arg-type]

    def test_connections_are_told(self) -> None:
        row = {"id": "1", "status": "ok", "stdout": "", "mode": "standard", "network": NETWORK}
        with Fake(said(json.dumps(row).encode())) as fake:
            outcome = self.sandbox(socket=fake.path).run("1")
        network = outcome.network
        self.assertEqual((outcome.mode, network.grants), ("standard", ("a.test:443",)))
        self.assertEqual(network.unrecorded_connections, 7)
        connection = network.connections[0]
        self.assertEqual((connection.host, connection.verdict), ("a.test", "unresolved"))
