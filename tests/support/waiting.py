"""Waiting for an event that has a name. No test sleeps; no test waits without saying for what."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE = float(os.environ.get("JOBCTL_TEST_PATIENCE", "1"))


def until(
    what: str, look: Callable[[], T], *, limit_s: float = 20.0, log: Callable[[], str] | None = None
) -> T:
    """Look until something true is seen, and give it back.

    For events that announce themselves nowhere (a process that ends, a file that appears). Fails with
    what was expected, what was seen last, and the log.
    """
    end = time.monotonic() + limit_s * PATIENCE
    seen = look()
    while not seen:
        if time.monotonic() > end:
            told = f"\n--- log\n{log()}" if log else ""
            raise AssertionError(f"waited {limit_s} s for: {what}; last seen: {seen!r}{told}")
        time.sleep(0.002)
        seen = look()
    return seen
