"""What every contestant of the schedules is given: when each schedule is due, and how that is judged.

Works in the environment of a peer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from benchmarks.percentile import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping

PERIOD_S: Final = 300
"""How often each of the spread schedules is due; their instants lie evenly on the seconds of this time."""


def offset_s(number: int) -> int:
    """When in each period the schedule of this number is due."""
    return number % PERIOD_S


def name_of(number: int) -> str:
    """What the schedule of this number is called."""
    return f"tenant-{number}"


def first_instants(count: int, begin_s: int) -> dict[int, int]:
    """The instant of each schedule, by its number, in the first period from ``begin_s`` on, which is
    included; seconds since the epoch."""
    return {number: begin_s + offset_s(number) for number in range(count)}


def lateness(
    instants: Mapping[int, int], served: Mapping[int, float], end_s: float
) -> dict[str, float]:
    """The percentiles of how late the instants before ``end_s`` were served.

    ``served``: moments in s by number. One that was not served by then counts with the time it has
    waited so far. Raises ValueError when none was due.
    """
    late_ms = [
        (min(served.get(number, end_s), end_s) - instant) * 1e3
        for number, instant in instants.items()
        if instant < end_s
    ]
    if not late_ms:
        raise ValueError("nothing was due")
    return {"late, p50": percentile(late_ms, 50), "late, p99": percentile(late_ms, 99)}


def seconds_since(began_ns: int) -> float:
    """How long it is since that moment of the monotonic clock, which all processes share."""
    return (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - began_ns) / 1e9
