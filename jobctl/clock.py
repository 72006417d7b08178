"""The one module that reads time.

A *moment* is an integer: microseconds since 1970-01-01 UTC (the form in which moments are stored and
sent). A *span* is a float of seconds, measured with the monotonic clock. Zones appear only in
schedules and on screens. A computer's wall clock may jump; nothing but a schedule may be decided by
comparing two readings of it.
"""

from __future__ import annotations

import time
from typing import Final, Protocol, TypeAlias, TypeVar

Moment: TypeAlias = int
"""Microseconds since the epoch, UTC."""

SECOND: Final = 1_000_000
"""Microseconds in a second."""


class Clock(Protocol):
    """Two hands: the wall clock may jump, the monotonic one only moves forward."""

    def now(self) -> Moment:
        """The wall clock."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start that is the same for all processes of this boot."""
        ...


class HostClock(Clock, Protocol):
    """A clock with a third hand: it goes steadily, whoever sets the wall clock and while the host sleeps."""

    def since_boot(self) -> Moment:
        """Microseconds since the host booted."""
        ...


class SystemClock:
    """The computer's clocks."""

    def now(self) -> Moment:
        """The wall clock, whole microseconds."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC: it stands still while the computer is suspended."""
        return time.monotonic()

    def since_boot(self) -> Moment:
        """CLOCK_BOOTTIME: nobody sets it, and it runs on while the computer is suspended."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


Place = TypeVar("Place", int, float)
"""A moment, or a point of the monotonic clock."""


def earliest(*found: Place | None) -> Place | None:
    """The first of several, leaving out those that are None; None when all are.

    A turn asks this of every part of the daemon: min() over a generator takes three times as long.
    """
    first = None
    for one in found:
        if one is not None and (first is None or one < first):
            first = one
    return first


def iso(moment: Moment) -> str:
    """The moment as ISO 8601 in UTC, with microseconds: ``2026-11-20T04:00:00.000000+00:00``."""
    seconds, micros = divmod(moment, SECOND)
    parts = time.gmtime(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', parts)}.{micros:06d}+00:00"
