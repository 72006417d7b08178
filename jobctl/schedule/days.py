"""Which days of a year a crontab means.

Whether a date matches depends only on its place in the year, on whether the year is a leap year and
on the weekday of its first of January. There are fourteen such years, so a rule needs at most
fourteen masks, one byte a day; finding the next day is a search for a byte.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from jobctl.values import dataclass

EVERY_MONTH = tuple(range(1, 13))
EVERY_DAY_OF_MONTH = tuple(range(1, 32))
EVERY_WEEKDAY = tuple(range(7))

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1, 9998
_LEAP_DAY = 31 + 28  # counted from 0
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class DayRule:
    """The three day fields of a crontab. A day matches when its month does and, by ``is_both``,
    both of the day fields do or one of them does.

    ``from_last``: days before the last of the month, 0 for the last itself (``L``, ``L-3``).
    ``near``: the working day nearest to a day of the same month (``15W``), 0 for the last of the
    month (``LW``). ``nth``: pairs of weekday (0 is Sunday) and which one in the month (``5#3``).
    ``last``: the last such weekday of the month (``5L``).
    """

    months: tuple[int, ...] = EVERY_MONTH
    days: tuple[int, ...] = EVERY_DAY_OF_MONTH
    from_last: tuple[int, ...] = ()
    near: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = EVERY_WEEKDAY
    nth: tuple[tuple[int, int], ...] = ()
    last: tuple[int, ...] = ()
    is_both: bool = True

    @property
    def is_every_day_of_month(self) -> bool:
        """Whether the day of the month leaves nothing out."""
        return self.days == EVERY_DAY_OF_MONTH

    @property
    def is_every_weekday(self) -> bool:
        """Whether the weekday leaves nothing out."""
        return self.weekdays == EVERY_WEEKDAY

    def matches(self, year: int, month: int, day: int) -> bool:
        """Whether that date is meant."""
        if month not in self.months:
            return False
        by_month = self._matches_day_of_month(year, month, day)
        by_week = self._matches_weekday(year, month, day)
        return (by_month and by_week) if self.is_both else (by_month or by_week)

    def _matches_day_of_month(self, year: int, month: int, day: int) -> bool:
        if day in self.days:
            return True
        length = _length_of(year, month)
        return (length - day) in self.from_last or any(
            day == _nearest_working_day(year, month, near or length) for near in self.near
        )

    def _matches_weekday(self, year: int, month: int, day: int) -> bool:
        weekday = date(year, month, day).isoweekday() % 7
        if weekday in self.weekdays or (weekday, (day + 6) // 7) in self.nth:
            return True
        return weekday in self.last and day + 7 > _length_of(year, month)


def _length_of(year: int, month: int) -> int:
    """Days of a month. The module `calendar` would bring the locales of the host into the daemon."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and is_leap else _LENGTHS[month - 1]


def _nearest_working_day(year: int, month: int, day: int) -> int:
    """The working day nearest to that day without leaving the month; 0 if there is no such day."""
    length = _length_of(year, month)
    if day > length:
        return 0
    weekday = date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < length else day - 2
    return day


class DayFinder:
    """Finds the days of one rule. Days are numbered from 1970-01-01, which is 0.

    Equal rules share one: see `finder_of`. It remembers the year it was last asked about, and
    nothing else that could change an answer.
    """

    __slots__ = ("_end", "_mask", "_masks", "_start", "is_daily", "is_never", "rule")

    def __init__(self, rule: DayRule) -> None:
        self.rule = rule
        self._masks: dict[tuple[bool, int], bytes] = {}
        self._start = self._end = 0
        self._mask = b""
        self.is_daily = rule.months == EVERY_MONTH and (
            (rule.is_every_day_of_month and rule.is_every_weekday)
            or (not rule.is_both and (rule.is_every_day_of_month or rule.is_every_weekday))
        )
        # Twenty-eight years in a row without a century hold all fourteen kinds of year.
        self.is_never = not self.is_daily and not any(
            1 in self._mask_of(year) for year in range(2001, 2029)
        )

    @property
    def is_leap_day_only(self) -> bool:
        """Whether 29 February is the only day that is ever meant."""
        if self.is_daily or self.is_never:
            return False
        days = {
            (day, len(mask))
            for mask in (self._mask_of(year) for year in range(2001, 2029))
            for day, is_meant in enumerate(mask)
            if is_meant
        }
        return days == {(_LEAP_DAY, 366)}

    def is_match(self, day: int) -> bool:
        """Whether the day is meant."""
        if self.is_daily:
            return True
        if not self._start <= day < self._end and not self._turn_to(day):
            return False
        return self._mask[day - self._start] == 1

    def next_day(self, day: int) -> int | None:
        """The first day after that one; None when the calendar ends first."""
        if self.is_daily:
            return day + 1
        if self.is_never:
            return None
        day += 1
        while self._start <= day < self._end or self._turn_to(day):
            found = self._mask.find(1, day - self._start)
            if found >= 0:
                return self._start + found
            day = self._end
        return None

    def previous_day(self, day: int) -> int | None:
        """The last day before that one; None when the calendar begins first."""
        if self.is_daily:
            return day - 1
        if self.is_never:
            return None
        day -= 1
        while self._start <= day < self._end or self._turn_to(day):
            found = self._mask.rfind(1, 0, day - self._start + 1)
            if found >= 0:
                return self._start + found
            day = self._start - 1
        return None

    def count_days(self, first: int, end: int) -> int:
        """How many days of ``first <= day < end`` are meant."""
        if self.is_daily:
            return max(0, end - first)
        if self.is_never:
            return 0
        count = 0
        while first < end and (self._start <= first < self._end or self._turn_to(first)):
            count += self._mask.count(1, first - self._start, end - self._start)
            first = self._end
        return count

    def _turn_to(self, day: int) -> bool:
        """Remember the year of that day; False when it lies outside the calendar."""
        try:
            year = date.fromordinal(day + _EPOCH_DAY).year
        except (ValueError, OverflowError):
            return False
        if not _FIRST_YEAR < year < _LAST_YEAR:
            return False
        self._start = _first_of_january(year)
        self._end = _first_of_january(year + 1)
        self._mask = self._mask_of(year)
        return True

    def _mask_of(self, year: int) -> bytes:
        start = _first_of_january(year)
        days = _first_of_january(year + 1) - start
        kind = (days == 366, (start + 4) % 7)
        mask = self._masks.get(kind)
        if mask is None:
            mask = self._masks[kind] = bytes(
                self.rule.matches(year, month, day)
                for month in EVERY_MONTH
                for day in range(1, _length_of(year, month) + 1)
            )
        return mask


@lru_cache(maxsize=16_384)
def finder_of(rule: DayRule) -> DayFinder:
    """The finder that all crontabs with equal day fields share."""
    return DayFinder(rule)


def _first_of_january(year: int) -> int:
    return date(year, 1, 1).toordinal() - _EPOCH_DAY
