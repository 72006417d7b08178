"""A slow, plain oracle for crontabs: it walks every minute and asks the rules in words.

It shares nothing with `jobctl.schedule`: fields are read again for each question, clocks come from
`datetime.astimezone`, and daylight saving is what a person with a calendar and a watch would do:

* Keep in mind the furthest local time that the clock on the wall has shown.
* When the hour field begins with a star, look only at the clock: run if what it shows is named.
* Otherwise, when it shows something new, run if that is named; when it jumped forward, run once,
  now, if anything that it jumped over was named; when it shows something again, do not run.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def is_named_by_item(item: str, value: int, low: int, high: int, names: list[str]) -> bool:
    """Whether one item of a list means that value."""
    body, _, step = item.partition("/")
    if body == "*":
        first, last = low, high
    else:
        ends = [
            names.index(end.lower()) + low if end.lower() in names else int(end)
            for end in body.split("-")
        ]
        first, last = ends[0], ends[-1]
        if names is WEEKDAYS and last == 0 < first:
            last = 7
    return first <= value <= last and (value - first) % int(step or 1) == 0


def is_named(text: str, value: int, low: int, high: int, names: list[str] | None = None) -> bool:
    """Whether a field means that value."""
    return any(is_named_by_item(item, value, low, high, names or []) for item in text.split(","))


def is_day_of_month_named(text: str, day: date) -> bool:
    """Whether the third field means that date."""
    last = calendar.monthrange(day.year, day.month)[1]
    for item in text.split(","):
        if item == "L":
            named = day.day == last
        elif item.startswith("L-"):
            named = day.day == last - int(item[2:])
        elif item.endswith("W"):
            wanted = last if item == "LW" else int(item[:-1])
            named = day.day == working_day(day.year, day.month, wanted)
        else:
            named = is_named(item, day.day, 1, 31)
        if named:
            return True
    return False


def working_day(year: int, month: int, wanted: int) -> int | None:
    """The Monday-to-Friday of the month that is nearest to the wanted day."""
    last = calendar.monthrange(year, month)[1]
    if wanted > last:
        return None
    candidates = [
        day for day in range(1, last + 1) if date(year, month, day).weekday() < calendar.SATURDAY
    ]
    return min(candidates, key=lambda day: abs(day - wanted))


def is_weekday_named(text: str, day: date) -> bool:
    """Whether the fifth field means that date."""
    weekday = (day.weekday() + 1) % 7
    for item in text.split(","):
        if "#" in item:
            wanted, _, nth = item.partition("#")
            same = [
                other
                for other in calendar.Calendar().itermonthdates(day.year, day.month)
                if other.month == day.month and other.weekday() == day.weekday()
            ]
            named = number_of(wanted) == weekday and same.index(day) + 1 == int(nth)
        elif item.endswith("L"):
            named = number_of(item[:-1]) == weekday and (day + timedelta(days=7)).month != day.month
        else:
            named = is_named(item, weekday, 0, 6, WEEKDAYS) or (
                weekday == 0 and item[0] != "*" and is_named(item, 7, 0, 7, WEEKDAYS)
            )
        if named:
            return True
    return False


def number_of(weekday: str) -> int:
    """0 for Sunday, from a name or a number."""
    return WEEKDAYS.index(weekday.lower()) if weekday.lower() in WEEKDAYS else int(weekday) % 7


@dataclass(frozen=True)
class Named:
    """What an expression names; each question is answered from the text and remembered."""

    minute: frozenset[int]
    hour: frozenset[int]
    seconds: tuple[int, ...]
    is_real_time: bool
    text: str
    is_celery: bool

    @classmethod
    def of(cls, expression: str, *, is_celery: bool = False) -> Named:
        fields = expression.split()
        second = fields[5] if len(fields) == 6 else "0"
        return cls(
            minute=frozenset(value for value in range(60) if is_named(fields[0], value, 0, 59)),
            hour=frozenset(value for value in range(24) if is_named(fields[1], value, 0, 23)),
            seconds=tuple(value for value in range(60) if is_named(second, value, 0, 59)),
            is_real_time=fields[1].startswith("*"),
            text=expression,
            is_celery=is_celery,
        )

    def is_minute(self, local: datetime) -> bool:
        """Whether the local minute is named."""
        return (
            local.minute in self.minute
            and local.hour in self.hour
            and is_day_named(self.text, local.date(), self.is_celery)
        )


@cache
def is_day_named(expression: str, day: date, is_celery: bool) -> bool:
    """Whether the three day fields mean that date, by the rule of cronie or of Celery."""
    _, _, day_text, month_text, weekday_text = expression.split()[:5]
    if not is_named(month_text, day.month, 1, 12, MONTHS):
        return False
    by_month = is_day_of_month_named(day_text, day)
    by_week = is_weekday_named(weekday_text, day)
    if is_celery or day_text[0] == "*" or weekday_text[0] == "*":
        return by_month and by_week
    return by_month or by_week


@dataclass(frozen=True)
class Look:
    """One look at the clock on the wall: the moment, what it shows, what it jumped over."""

    at_s: int
    shown: datetime
    is_new: bool
    skipped: tuple[datetime, ...]


def looks(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[Look]:
    """A look each minute of (after, until], having watched the clock for two days before."""
    at = after - timedelta(days=2)
    furthest = at.astimezone(zone).replace(tzinfo=None)
    while at < until:
        at += MINUTE
        shown = at.astimezone(zone).replace(tzinfo=None)
        skipped = []
        if shown > furthest + MINUTE:
            jumped = furthest + MINUTE
            while jumped < shown:
                skipped.append(jumped)
                jumped += MINUTE
        is_new = shown > furthest
        furthest = max(furthest, shown)
        if at > after:
            yield Look(int(at.timestamp()), shown, is_new, tuple(skipped))


def walk(named: Named, seen: list[Look], *, until_s: int) -> list[int]:
    """The instants, in seconds, that the looks give, up to and including ``until_s``."""
    runs: set[int] = set()
    for look in seen:
        if not named.is_real_time:
            if look.skipped and any(named.is_minute(jumped) for jumped in look.skipped):
                runs.add(look.at_s)
            if not look.is_new:
                continue
        if named.is_minute(look.shown):
            runs.update(look.at_s + second for second in named.seconds)
    return sorted(run for run in runs if run <= until_s)


def changes(zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """The moments at which the offset changes, found by looking every six hours and halving."""
    found = []
    at, offset = since, since.astimezone(zone).utcoffset()
    while at < until:
        ahead = at + timedelta(hours=6)
        if ahead.astimezone(zone).utcoffset() != offset:
            low, high = at, ahead
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if middle.astimezone(zone).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            found.append(high)
            ahead = high
            offset = ahead.astimezone(zone).utcoffset()
        at = ahead
    return found


def utc(year: int, month: int = 1, day: int = 1, hour: int = 0) -> datetime:
    """A moment in UTC."""
    return datetime(year, month, day, hour, tzinfo=UTC)
