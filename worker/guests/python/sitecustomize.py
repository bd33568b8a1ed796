"""Runs before the payload: takes its secrets off their pipe and leaves nothing to inherit."""

import os

# What the caller set follows the directory of this file, and is all that children get.
_rest = os.environ.pop("PYTHONPATH", "").partition(os.pathsep)[2]
if _rest:
    os.environ["PYTHONPATH"] = _rest
if "BELLJAR_SECRETS_FD" in os.environ:
    import belljar  # noqa: F401  reads and closes the pipe
