"""The functions that jobctl's workers run in the benches."""

from __future__ import annotations

import time


def noop() -> None:
    """Do nothing: all that is measured is the way there and back."""


def visit(number: int) -> None:
    """Do nothing for one of many: what a schedule of each is for."""


def stamp() -> int:
    """The moment of the start, in ns since the epoch."""
    return time.time_ns()
