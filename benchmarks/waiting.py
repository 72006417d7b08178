"""Waiting for what announces itself nowhere. Works in the environment of a peer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def pause(seconds: float) -> None:
    """Do nothing for a while: idleness is part of some measures."""
    time.sleep(seconds)  # noqa: TID251 -- a driver outside jobctl, which has no loop to wait in


def now_s() -> float:
    """Seconds since the epoch, by the clock that schedules go by."""
    return time.time_ns() / 1e9


def pause_until(moment_s: float) -> None:
    """Do nothing until a moment of that clock; nothing at all when it has passed."""
    pause(max(0.0, moment_s - now_s()))


def until(what: str, look: Callable[[], T], *, limit_s: float, every_s: float = 0.005) -> T:
    """Look until something true is seen, and give it back.

    Raises:
        TimeoutError: it was not seen within ``limit_s``; the text says what was waited for.
    """
    end = time.perf_counter() + limit_s
    while not (seen := look()):
        if time.perf_counter() > end:
            raise TimeoutError(f"waited {limit_s:g} s for {what}; last seen: {seen!r}")
        pause(every_s)
    return seen
