"""Warnings about schedules that are allowed but seldom meant."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from jobctl.clock import SECOND
from jobctl.schedule.bounded import BoundedSchedule
from jobctl.schedule.crontab import CrontabSchedule
from jobctl.schedule.days import finder_of
from jobctl.schedule.fields import DAY_OF_MONTH, FIELDS, Dialect
from jobctl.schedule.solar import SolarSchedule
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.schedule.base import Schedule
    from jobctl.schedule.crontab import ClockChange
    from jobctl.schedule.fields import Field
    from jobctl.schedule.grammar import CrontabRule

YEAR_US = 366 * 86_400 * SECOND
HERD = 20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}  # the other months have 31 days


class LintCode(StrEnum):
    """What may not be meant. The words are part of ``explain --json`` and stay as they are."""

    NEVER_FIRES = "never-fires"
    """There is no instant, or none any more."""
    BOTH_DAY_FIELDS = "both-day-fields"
    """Day of month and day of week are both restricted, and how they combine surprises."""
    UNEVEN_STEP = "uneven-step"
    """A step does not divide its field, so that one gap is shorter than the others."""
    EVERY_MINUTE_OF_HOUR = "every-minute-of-hour"
    """Hours are chosen but minutes are not: sixty runs in each of them."""
    EVERY_SECOND = "every-second"
    """The sixth field, seconds, is a star: perhaps the fields are in another tool's order."""
    LEAP_DAY_ONLY = "leap-day-only"
    """It runs on 29 February and on no other day."""
    SKIPPED_MONTHS = "skipped-months"
    """Only days that some months do not have."""
    SKIPPED_DAYS = "skipped-days"
    """The sun does not do so for some time of the year."""
    DAYLIGHT_SAVING = "daylight-saving"
    """A change of the clocks within a year touches it."""
    HERD = "herd"
    """Many schedules fire at the same instant."""


@dataclass(frozen=True, slots=True)
class Lint:
    """One warning: a stable code and a sentence about the schedule at hand."""

    code: LintCode
    message: str


def lints_of(schedule: Schedule, *, from_at: int, others: Iterable[Schedule] = ()) -> list[Lint]:
    """All warnings about a schedule as seen from a moment, in the order of `LintCode`.

    ``others`` are the schedules beside it, for the herd; it need not be among them.
    """
    if schedule.is_at_boot:
        return []
    next_at = schedule.next_after(from_at)
    if isinstance(schedule, BoundedSchedule):
        schedule = schedule.rule
    if next_at is None:
        return [Lint(LintCode.NEVER_FIRES, _why_never(schedule))]
    found: list[Lint | None] = []
    if isinstance(schedule, CrontabSchedule):
        found += [
            _both_day_fields(schedule),
            *_uneven_steps(schedule.rule),
            _every_minute_of_hour(schedule.rule),
            _every_second(schedule.rule),
            _leap_day_only(schedule.rule),
            _skipped_months(schedule.rule),
            *_daylight_saving(schedule, from_at),
        ]
    if isinstance(schedule, SolarSchedule):
        found.append(_skipped_days(schedule, from_at))
    found.append(_herd(next_at, from_at, others))
    return [lint for lint in found if lint is not None]


def _why_never(schedule: Schedule) -> str:
    if isinstance(schedule, CrontabSchedule) and finder_of(schedule.rule.days).is_never:
        return "It never fires: no such day exists."
    previous = "It never fires again: no instant is left."
    return previous if schedule.kind != "solar" else "It never fires: the sun does not do so there."


def _both_day_fields(schedule: CrontabSchedule) -> Lint | None:
    texts = schedule.rule.fields
    day, weekday = texts[2], texts[4]
    if day == "*" or weekday == "*":
        return None
    rule = schedule.rule.days
    if rule.is_every_day_of_month and rule.is_every_weekday:
        said = "one of the two is always true, so it runs every day"
    elif not rule.is_both:
        said = "it runs on days that match either of them"
    elif schedule.dialect is Dialect.CELERY:
        said = "it runs only on days that match both of them, as Celery does"
    else:
        star = "day of month" if day.startswith("*") else "day of week"
        said = f"because {star} begins with a star, it runs only on days that match both of them"
    return Lint(
        LintCode.BOTH_DAY_FIELDS, f'Day of month "{day}" and day of week "{weekday}": {said}.'
    )


def _uneven_steps(rule: CrontabRule) -> list[Lint]:
    found = []
    for field, text in zip(FIELDS, rule.fields, strict=False):
        for item in text.split(","):
            step = re.fullmatch(r"\*/([0-9]+)", item)
            if step:
                message = _uneven(field, int(step[1]))
                if message:
                    found.append(Lint(LintCode.UNEVEN_STEP, f'{field.name} "{item}": {message}'))
    return found


def _uneven(field: Field, step: int) -> str:
    size = len(field.values)
    if step == 1 or (size % step == 0 and field is not DAY_OF_MONTH):
        return ""
    values = field.values[::step]
    if len(values) == 1:
        return f"a step wider than the field leaves only {values[0]}."
    shown = ",".join(str(value) for value in values)
    if field is DAY_OF_MONTH:
        return "it begins again with each month, so the gap over its end differs."
    short = size - values[-1] + values[0]
    return f"means {shown}: the last gap is {short}, the others are {step}."


def _every_minute_of_hour(rule: CrontabRule) -> Lint | None:
    if len(rule.minutes) < 60 or len(rule.hours) == 24:
        return None
    hour = rule.hours[0]
    return Lint(
        LintCode.EVERY_MINUTE_OF_HOUR,
        f"It runs every minute from {hour:02}:00 to {hour:02}:59"
        f"{' and in the other hours named' if len(rule.hours) > 1 else ''}; "
        f'"0 {rule.fields[1]} …" runs once an hour.',
    )


def _every_second(rule: CrontabRule) -> Lint | None:
    if len(rule.seconds) < 60 or (len(rule.minutes) == 60 and len(rule.hours) == 24):
        return None
    return Lint(
        LintCode.EVERY_SECOND,
        "The sixth field is seconds, and here every second. "
        "Other tools put seconds first: is that what was meant?",
    )


def _leap_day_only(rule: CrontabRule) -> Lint | None:
    if not finder_of(rule.days).is_leap_day_only:
        return None
    return Lint(LintCode.LEAP_DAY_ONLY, "It runs on 29 February only, so in leap years only.")


def _skipped_months(rule: CrontabRule) -> Lint | None:
    days = rule.days
    if not days.days or days.from_last or days.near or not days.is_every_weekday:
        return None
    first = days.days[0]
    short = [month for month in days.months if _LONGEST.get(month, 31) < first]
    if not short or len(short) == len(days.months):
        return None
    return Lint(
        LintCode.SKIPPED_MONTHS,
        f'{len(short)} of its months have no day {first}; the last day of every month is "L".',
    )


def _skipped_days(schedule: SolarSchedule, from_at: int) -> Lint | None:
    """The first polar day or night of the year to come."""
    # Solar days differ from 24 hours by minutes, near the poles by an hour or two.
    day_and_a_half = 36 * 3600 * SECOND
    for before, after in pairwise(schedule.between(from_at, from_at + YEAR_US)):
        if after - before > day_and_a_half:
            since, until = (_local(moment // SECOND) for moment in (before, after))
            return Lint(
                LintCode.SKIPPED_DAYS,
                f"The sun does not do so between {since:%Y-%m-%d} and {until:%Y-%m-%d}; "
                "those days have no run.",
            )
    return None


def _daylight_saving(schedule: CrontabSchedule, from_at: int) -> list[Lint]:
    """At most one warning for a gap and one for a fold: the first of each within a year."""
    if schedule.rule.is_real_time and len(schedule.rule.hours) == 24:
        return []  # every real hour, whatever clocks do
    found: dict[bool, Lint] = {}
    for change in schedule.touched_by_clocks(from_at, from_at + YEAR_US):
        if change.is_gap not in found:
            message = _change_told(schedule, change)
            found[change.is_gap] = Lint(LintCode.DAYLIGHT_SAVING, message)
    return list(found.values())


def _change_told(schedule: CrontabSchedule, change: ClockChange) -> str:
    first, last = _local(change.first), _local(change.last)
    several = first != last
    named = f"{first:%H:%M} to {last:%H:%M}" if several else f"{first:%H:%M}"
    place = f"on {first:%Y-%m-%d} in {schedule.timezone}"
    does, comes = ("do", "come") if several else ("does", "comes")
    match change.is_gap, schedule.rule.is_real_time:
        case True, True:
            then = "left out, because hours with a star follow real time"
        case True, False:
            then = f"one run instead, at {_local(change.resumes):%H:%M}"
        case False, True:
            then = "both count, because hours with a star follow real time"
        case _:
            then = "only the first counts"
    if change.is_gap:
        return f"{named} {does} not exist {place}: {then}."
    return f"{named} {comes} twice {place}: {then}."


def _local(local_s: int) -> datetime:
    return _EPOCH + timedelta(seconds=local_s)


def _herd(next_at: int, from_at: int, others: Iterable[Schedule]) -> Lint | None:
    together = sum(1 for other in others if other.next_after(from_at) == next_at)
    if together < HERD:
        return None
    return Lint(
        LintCode.HERD,
        f"{together} schedules fire at the same instant; "
        '"H" in place of a number, or a jitter, spreads them.',
    )
