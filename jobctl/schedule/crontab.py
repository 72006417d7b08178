"""The instants of a crontab in a time zone, with daylight saving.

The rule of the whole, by the hour field:

* **Fixed hours** name local times. Each local time that is named happens once a day. Times that a
  zone skips (a gap: the hour of spring, a day that a country leaves out) collapse into one run at
  the first valid instant after the gap. Of times that a zone repeats (a fold: the hour of autumn),
  the first occurrence counts.
* **Hours that begin with a star** (``*``, ``*/n``) follow real time: every real minute whose local
  hour matches, so both hours of a fold and nothing for a gap.

Which day a local time belongs to, for the day fields, is the day that it names.

Both halves are one sentence about segments (see `jobctl.schedule.zone`): a fixed local time
happens at the first moment at which clocks show that time *or a later one*, while real time looks
at each segment for itself. croniter and cronsim iterate otherwise and are not used: croniter 7 runs
``30 2 * * *`` twice in autumn, cronsim loses the phase of ``*/20`` where a zone shifts by half an
hour.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from jobctl.clock import SECOND
from jobctl.schedule.base import Kind, Schedule, ScheduleError
from jobctl.schedule.days import finder_of
from jobctl.schedule.grammar import CrontabRule, parse_crontab_text
from jobctl.schedule.zone import DAY_S, FIRST_S, LAST_S, Segment, Zone, zone_named
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.schedule.fields import Dialect

# The numbers themselves are shared by all rules; a minutely one is then a tuple of references.
_MINUTES_OF_DAY = tuple(range(24 * 60))


class LocalTimes:
    """The local times a rule names, without any zone: seconds since 1970-01-01 00:00 local time."""

    __slots__ = ("_first", "_last", "_minutes", "_seconds", "days", "per_day")

    def __init__(self, rule: CrontabRule) -> None:
        self.days = finder_of(rule.days)
        self._minutes = _minutes_of_day(rule.hours, rule.minutes)
        self._seconds = rule.seconds
        self._first = self._minutes[0] * 60 + self._seconds[0]
        self._last = self._minutes[-1] * 60 + self._seconds[-1]
        self.per_day = len(self._minutes) * len(self._seconds)

    def next_after(self, local: int) -> int | None:
        """The first named time strictly after that local time."""
        day, second_of_day = divmod(local, DAY_S)
        if second_of_day < self._last and self.days.is_match(day):
            minutes, seconds = self._minutes, self._seconds
            minute, second = divmod(second_of_day, 60)
            at = bisect_left(minutes, minute)
            if minutes[at] == minute:
                if second < seconds[-1]:
                    return local - second + seconds[bisect_right(seconds, second)]
                at += 1
            return day * DAY_S + minutes[at] * 60 + seconds[0]
        following = self.days.next_day(day)
        return None if following is None else following * DAY_S + self._first

    def previous_before(self, local: int) -> int | None:
        """The last named time strictly before that local time."""
        day, second_of_day = divmod(local, DAY_S)
        if second_of_day > self._first and self.days.is_match(day):
            minutes, seconds = self._minutes, self._seconds
            minute, second = divmod(second_of_day, 60)
            at = bisect_right(minutes, minute) - 1
            if minutes[at] == minute:
                if second > seconds[0]:
                    return local - second + seconds[bisect_left(seconds, second) - 1]
                at -= 1
            return day * DAY_S + minutes[at] * 60 + seconds[-1]
        preceding = self.days.previous_day(day)
        return None if preceding is None else preceding * DAY_S + self._last

    def count(self, after: int, until: int) -> int:
        """How many named times lie in (after, until]."""
        if until <= after:
            return 0
        first_day, after_second = divmod(after, DAY_S)
        last_day, until_second = divmod(until, DAY_S)
        count = self.days.count_days(first_day, last_day) * self.per_day
        if self.days.is_match(first_day):
            count -= self._count_in_day(after_second)
        if self.days.is_match(last_day):
            count += self._count_in_day(until_second)
        return count

    def _count_in_day(self, until_second: int) -> int:
        """How many times of one day are not later than that second of the day."""
        minute, second = divmod(until_second, 60)
        at = bisect_left(self._minutes, minute)
        count = at * len(self._seconds)
        if at < len(self._minutes) and self._minutes[at] == minute:
            count += bisect_right(self._seconds, second)
        return count


@lru_cache(maxsize=16_384)
def _minutes_of_day(hours: tuple[int, ...], minutes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_MINUTES_OF_DAY[hour * 60 + minute] for hour in hours for minute in minutes)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockChange:
    """A change of the clocks that touches a crontab: some of its times are skipped or repeated.

    ``at`` is the moment of the change in microseconds. ``first`` and ``last`` are the named times
    that it touches, as local seconds since 1970-01-01 00:00; ``resumes`` is the local time that
    clocks show right after it.
    """

    at: int
    is_gap: bool
    first: int
    last: int
    resumes: int


class ZonedTimes:
    """The instants of a rule in a zone, in whole seconds since the epoch."""

    __slots__ = ("_is_real_time", "_times", "_zone")

    def __init__(self, rule: CrontabRule, zone: Zone) -> None:
        self._times = LocalTimes(rule)
        self._zone = zone
        self._is_real_time = rule.is_real_time

    def next_after(self, moment_s: int) -> int | None:
        """The first instant strictly after the moment; None when the calendar ends first."""
        segment = self._zone.segment_at(moment_s)
        after = moment_s + segment.offset
        while True:
            if not self._is_real_time and after < segment.reached - 1:
                after = segment.reached - 1
            local = self._times.next_after(after)
            if local is None:
                return None
            if local < segment.local_end:
                # Before the segment's own clock begins: it was named within the gap.
                return max(local - segment.offset, segment.start)
            if segment.end >= LAST_S:
                return None
            segment = self._zone.segment_at(segment.end)
            after = self._earliest(segment) - 1

    def previous_before(self, moment_s: int) -> int | None:
        """The last instant strictly before the moment; None when the calendar begins first."""
        segment = self._zone.segment_at(moment_s - 1)
        before = moment_s + segment.offset
        while True:
            local = self._times.previous_before(before)
            if local is None:
                return None
            if local >= self._earliest(segment):
                return max(local - segment.offset, segment.start)
            if segment.start <= FIRST_S:
                return None
            segment = self._zone.segment_at(segment.start - 1)
            before = segment.local_end

    def count(self, after_s: int, until_s: int) -> int:
        """How many instants lie in (after, until]."""
        count = 0
        segment = self._zone.segment_at(after_s)
        while segment.start <= until_s:
            begin = max(after_s + 1, segment.start)
            last = min(until_s, segment.end - 1) + segment.offset
            earliest = self._earliest(segment)
            if begin == segment.start and earliest < segment.local_start:
                # Everything named in the gap is one instant, shared with the first valid time.
                count += self._times.count(earliest - 1, segment.local_start) > 0
                begin += 1
            count += self._times.count(max(begin + segment.offset, earliest) - 1, last)
            segment = self._zone.segment_at(segment.end)
        return count

    def touched(self, after_s: int, until_s: int) -> list[ClockChange]:
        """The changes of the clocks in (after, until] that skip or repeat a named time, in order."""
        found = []
        for segment in self._zone.changes(after_s, until_s):
            low, high = sorted((segment.reached, segment.local_start))
            first, last = self._times.next_after(low - 1), self._times.previous_before(high)
            if first is not None and last is not None and first < high:
                found.append(
                    ClockChange(
                        at=segment.start * SECOND,
                        is_gap=segment.reached < segment.local_start,
                        first=first,
                        last=last,
                        resumes=segment.local_start,
                    )
                )
        return found

    def _earliest(self, segment: Segment) -> int:
        """The first local time whose run the segment holds."""
        return segment.local_start if self._is_real_time else segment.reached


@dataclass(frozen=True, kw_only=True, slots=True)
class CrontabSchedule(Schedule):
    """Local times named by fields. See the module for what happens when clocks change."""

    kind: ClassVar[Kind] = Kind.CRONTAB

    dialect: Dialect
    # The normal form says all that the rule says, within a dialect.
    rule: CrontabRule = field(compare=False)
    _times: ZonedTimes | None = field(compare=False, repr=False)

    @property
    def is_at_boot(self) -> bool:
        """Whether this is ``@reboot``: it has no instants."""
        return self.rule.is_at_boot

    def next_after(self, moment_us: int) -> int | None:
        """The first instant strictly after the moment; None when there is none."""
        moment_s = moment_us // SECOND
        if self._times is None or not FIRST_S < moment_s < LAST_S:
            return None
        instant = self._times.next_after(moment_s)
        return None if instant is None else instant * SECOND

    def previous_before(self, moment_us: int) -> int | None:
        """The last instant strictly before the moment; None when there was none."""
        moment_s = -(-moment_us // SECOND)
        if self._times is None or not FIRST_S < moment_s < LAST_S:
            return None
        instant = self._times.previous_before(moment_s)
        return None if instant is None else instant * SECOND

    def count_between(self, after_us: int, until_us: int) -> int:
        """How many instants lie in (after, until]; counts years and days, not instants."""
        after_s = max(after_us // SECOND, FIRST_S + 1)
        until_s = min(until_us // SECOND, LAST_S - 1)
        if self._times is None or until_s <= after_s:
            return 0
        return self._times.count(after_s, until_s)

    def touched_by_clocks(self, after_us: int, until_us: int) -> list[ClockChange]:
        """The changes of the clocks in (after, until] that skip or repeat a named time, in order."""
        after_s = max(after_us // SECOND, FIRST_S + 1)
        until_s = min(until_us // SECOND, LAST_S - 1)
        if self._times is None or until_s <= after_s:
            return []
        return self._times.touched(after_s, until_s)


@lru_cache(maxsize=16_384)
def parse_crontab(
    expression: str, *, timezone: str, dialect: Dialect, seed: str, allow_never: bool = False
) -> CrontabSchedule:
    """A crontab in a zone. Raises ScheduleError, also when no day can ever match.

    Equal arguments give the same object, so that equal expressions share all work and memory.
    ``allow_never`` lets a rule without any instant through, for explaining it.
    """
    zone = zone_named(timezone)
    rule = parse_crontab_text(expression, dialect=dialect, seed=seed)
    if not allow_never and not rule.is_at_boot and finder_of(rule.days).is_never:
        raise ScheduleError(
            f'"{expression}" never fires: no such day exists', 'The last day of a month is "L".'
        )
    return CrontabSchedule(
        normal=rule.normal,
        timezone=zone.name,
        dialect=dialect,
        rule=rule,
        _times=None if rule.is_at_boot else ZonedTimes(rule, zone),
    )
