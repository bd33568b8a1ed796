"""Runs before the payload of a run with secrets, so that their pipe is read and closed by then."""

import os

if "BELLJAR_SECRETS_FD" in os.environ:
    import belljar  # noqa: F401
