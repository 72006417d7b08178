"""What a local time means in a zone: a moment, two moments, or none.

Where clocks are put back a local time comes twice, where they are put forward it does not come at all. A
schedule has its own rule for that (`jobctl.schedule.crontab`); this only tells which of them it is, for
somebody who asks about the time that he read on a clock.
"""

from __future__ import annotations

from typing import Final

from jobctl.clock import SECOND
from jobctl.schedule.zone import DAY_S, FIRST_S, LAST_S, Zone
from jobctl.values import dataclass

_NEAR_S: Final = 2 * DAY_S
"""A local time lies within so much of the same time in UTC, whatever the zone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A local time, in microseconds as if it were UTC, and the moments at which clocks show it, rising.

    ``skipped_at`` is set when there is none: the moment at which the clocks were put forward over it.
    """

    local_us: int
    moments: tuple[int, ...]
    skipped_at: int | None = None

    @property
    def last(self) -> int:
        """The latest moment that can be meant."""
        if self.skipped_at is not None:
            return self.skipped_at
        return self.moments[-1]


def read_local(zone: Zone, local_us: int) -> Reading | None:
    """Find the moments of a local time; None when it lies too far away to be told."""
    local_s, fraction_us = divmod(local_us, SECOND)
    if not FIRST_S + _NEAR_S < local_s < LAST_S - _NEAR_S:
        return None
    moments = []
    skipped_at = None
    segment = zone.segment_at(local_s - _NEAR_S)
    while segment.start <= local_s + _NEAR_S:
        if segment.local_start <= local_s < segment.local_end:
            moments.append((local_s - segment.offset) * SECOND + fraction_us)
        elif segment.reached <= local_s < segment.local_start:
            skipped_at = segment.start * SECOND
        segment = zone.segment_at(segment.end)
    return Reading(
        local_us=local_us, moments=tuple(moments), skipped_at=None if moments else skipped_at
    )
