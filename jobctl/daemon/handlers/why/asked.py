"""The moment that somebody asks about, as he read it on a clock in the zone of a schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND
from jobctl.errors import UsageError
from jobctl.schedule.reading import Reading, read_local
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.schedule.zone import Zone

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOO_FAR: Final = "that moment lies too far away"
_HINT: Final = 'Write "02:30", "2026-11-20", "2026-11-20 02:30" or "2026-11-20T02:30:00+01:00".'


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A moment, how it was read, and the day if it was one: then the moment is the last of that day."""

    at: Moment
    reading: Reading | None = None
    day: str | None = None


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A text such as ``02:30``, ``2026-11-20`` or ``2026-11-20 02:30``, without a zone. Made by `parse`."""

    day: date | None
    clock: time | None

    @classmethod
    def parse(cls, text: str) -> LocalTime:
        """Raises UsageError for anything else, also for what has an offset."""
        plain = text.strip()
        try:
            if plain[2:3] == ":":
                clock = time.fromisoformat(plain)
                if clock.tzinfo is None:
                    return cls(None, clock)
            elif len(plain) == len("2026-11-20"):
                return cls(date.fromisoformat(plain), None)
            else:
                when = datetime.fromisoformat(plain)
                if when.tzinfo is None:
                    return cls(when.date(), when.time())
        except ValueError:
            pass
        raise UsageError(f'"{text[:50]}" is no local time', hint=_HINT)

    def in_zone(self, zone: Zone, now: Moment) -> Asked:
        """The moment that is meant in a zone: of a time alone the last one that is not after ``now``.

        Raises UsageError: it lies too far away.
        """
        if self.day is None:
            assert self.clock is not None
            local_s = now // SECOND + zone.offset_at(now // SECOND)
            today = (_EPOCH + timedelta(seconds=local_s)).date()
            asked = self._read(zone, today, self.clock)
            if asked.at > now:
                asked = self._read(zone, today - timedelta(days=1), self.clock)
            return asked
        if self.clock is None:
            if self.day == date.max:
                raise UsageError(_TOO_FAR, hint=_HINT)
            following = self._read(zone, self.day + timedelta(days=1), time())
            reading = following.reading
            assert reading is not None
            first = reading.skipped_at if reading.skipped_at is not None else reading.moments[0]
            return Asked(at=first - 1, day=self.day.isoformat())
        return self._read(zone, self.day, self.clock)

    def _read(self, zone: Zone, day: date, clock: time) -> Asked:
        local = datetime.combine(day, clock, tzinfo=UTC)
        reading = read_local(zone, (local - _EPOCH) // timedelta(microseconds=1))
        if reading is None:
            raise UsageError(_TOO_FAR, hint=_HINT)
        return Asked(at=reading.last, reading=reading)
