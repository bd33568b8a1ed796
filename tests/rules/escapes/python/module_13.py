# caught: static
import contextlib
reached = contextlib.os
