"""One moment, then done."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from jobctl.clock import SECOND
from jobctl.schedule.base import Kind, Schedule, ScheduleError
from jobctl.schedule.zone import FIRST_S, LAST_S, Zone, zone_named
from jobctl.values import dataclass

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r"\s*(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.IGNORECASE,
)
_HINT = 'Write "2027-03-01T02:30", or with an offset "2027-03-01T02:30+01:00".'


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockedSchedule(Schedule):
    """See the module. ``at_us`` is the moment, microseconds since the epoch."""

    kind: ClassVar[Kind] = Kind.CLOCKED

    at_us: int

    def next_after(self, moment_us: int) -> int | None:
        """The moment, while it is still to come."""
        return self.at_us if self.at_us > moment_us else None

    def previous_before(self, moment_us: int) -> int | None:
        """The moment, once it is past."""
        return self.at_us if self.at_us < moment_us else None

    def count_between(self, after_us: int, until_us: int) -> int:
        """1 when the moment lies in (after, until], else 0."""
        return int(after_us < self.at_us <= until_us)


def parse_clocked(expression: str, *, timezone: str) -> ClockedSchedule:
    """A moment from ISO 8601 text. Raises ScheduleError.

    Without an offset it is local time in ``timezone``: a time that a clock change repeats means its
    first occurrence, one that it skips means the first moment after the gap. Whether the moment is
    past is for the caller to judge, who knows the time: ``next_after(now)`` is None then.
    """
    shape = _SHAPE.fullmatch(expression.strip())
    if shape is None:
        raise ScheduleError(f'"{expression}" is not a date with a time', _HINT)
    offset = (shape["offset"] or "").upper()
    try:
        written = datetime.fromisoformat(f"{shape['date']}T{shape['time'] or '00:00'}{offset}")
    except ValueError as error:
        raise ScheduleError(f'"{expression}" is no moment: {error}', _HINT) from None
    zone = zone_named(timezone)
    at_us = _moment(zone, written)
    return ClockedSchedule(normal=moment_text(zone, at_us), timezone=timezone, at_us=at_us)


def moment_of(text: str, *, timezone: str) -> int:
    """The moment that a text means, microseconds since the epoch. Raises ScheduleError as `parse_clocked`."""
    return parse_clocked(text, timezone=timezone).at_us


def moment_text(zone: Zone, moment_us: int) -> str:
    """ISO 8601 with the offset of the zone, without fractions where there are none."""
    offset_s = zone.offset_at(moment_us // SECOND)
    local = _EPOCH + timedelta(microseconds=moment_us, seconds=offset_s)
    sign = "-" if offset_s < 0 else "+"
    hours, rest = divmod(abs(offset_s), 3600)
    minutes, seconds = divmod(rest, 60)
    shown = f"{sign}{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")
    return local.replace(tzinfo=None).isoformat() + shown


def _moment(zone: Zone, written: datetime) -> int:
    as_if_utc = written.replace(tzinfo=UTC) if written.tzinfo is None else written
    moment_us = (as_if_utc - _EPOCH) // timedelta(microseconds=1)
    if not FIRST_S < moment_us // SECOND < LAST_S:
        raise ScheduleError(f'"{written.isoformat()}" is too far away', "Is the year right?")
    if written.tzinfo is not None:
        return moment_us
    local_s, fraction_us = divmod(moment_us, SECOND)
    # The first segment whose clocks get as far; two days before is before any offset.
    segment = zone.segment_at(local_s - 2 * 86_400)
    while segment.local_end <= local_s:
        segment = zone.segment_at(segment.end)
    if local_s < segment.local_start:
        return segment.start * SECOND
    return (local_s - segment.offset) * SECOND + fraction_us
