"""Values, figures and exceptions in their parts."""

from __future__ import annotations

from .service import Asynchronous, ServiceCase


class Rich(ServiceCase):
    def test_the_last_expression_has_a_value(self) -> None:
        outcome = self.sandbox().run("x = 20\n{'a': [x + 1]}", rich=True)
        self.assertTrue(outcome.ok, outcome.stderr)
        assert outcome.result is not None
        self.assertEqual(outcome.result.text, "{'a': [21]}")
        self.assertEqual(outcome.result.json, {"a": [21]})
        self.assertIsNone(outcome.error)

    def test_no_expression_has_none(self) -> None:
        self.assertIsNone(self.sandbox().run("x = 1", rich=True).result)

    def test_an_exception_comes_in_its_parts(self) -> None:
        code = "def f():\n    raise ValueError('no')\nf()"
        outcome = self.sandbox().run(code, rich=True)
        self.assertFalse(outcome.ok)
        assert outcome.error is not None
        self.assertEqual((outcome.error.type, outcome.error.message), ("ValueError", "no"))
        last = outcome.error.traceback[-1]
        self.assertEqual((last.line, last.function), (2, "f"))


class RichAsync(Asynchronous, Rich):
    pass
