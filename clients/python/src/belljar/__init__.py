"""Run code in throwaway processes that the kernel confines, through the socket of ``belljar serve``."""

from . import _types
from ._aio import AsyncRun, AsyncSandbox, AsyncSession
from ._sync import Run, Sandbox, Session
from ._types import *  # noqa: F403

__version__ = "0.1.0"
__all__ = ["AsyncRun", "AsyncSandbox", "AsyncSession", "Run", "Sandbox", "Session"]
__all__ += _types.__all__
