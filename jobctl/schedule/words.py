"""Schedules in English words, for people who read a crontab once a year."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.schedule.bounded import BoundedSchedule
from jobctl.schedule.clocked import ClockedSchedule, moment_text
from jobctl.schedule.crontab import CrontabSchedule
from jobctl.schedule.days import EVERY_MONTH
from jobctl.schedule.interval import IntervalSchedule
from jobctl.schedule.normal import runs
from jobctl.schedule.solar import SolarSchedule
from jobctl.schedule.zone import zone_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.schedule.base import Schedule
    from jobctl.schedule.days import DayRule
    from jobctl.schedule.grammar import CrontabRule

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")
_MOST_TIMES = 6  # more times of a day than this are told by their fields


def words_of(schedule: Schedule) -> str:
    """One sentence without a full stop: when it runs, without the zone."""
    match schedule:
        case CrontabSchedule():
            return _crontab(schedule.rule)
        case IntervalSchedule():
            return _interval(schedule)
        case ClockedSchedule():
            return f"once, at {schedule.normal}"
        case SolarSchedule():
            return _solar(schedule)
        case BoundedSchedule():
            return words_of(schedule.rule) + _bounds(schedule)
        case _:
            return schedule.normal


def _bounds(schedule: BoundedSchedule) -> str:
    zone = zone_named(schedule.timezone)
    start, end = schedule.start_us, schedule.end_us
    from_when = "" if start is None else f", from {moment_text(zone, start)} on"
    until_when = "" if end is None else f", until {moment_text(zone, end)}"
    return from_when + until_when


def _interval(schedule: IntervalSchedule) -> str:
    seconds, fraction = divmod(schedule.every_us, 1_000_000)
    parts = []
    for name, length in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(_counted(count, name))
    if fraction:
        parts.append(f"{seconds + fraction / 1_000_000:g} seconds")
    elif seconds:
        parts.append(_counted(seconds, "second"))
    span = parts[0].removeprefix("1 ") if len(parts) == 1 else " ".join(parts)
    return f"every {span} of real time"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _solar(schedule: SolarSchedule) -> str:
    ns = "south" if schedule.latitude < 0 else "north"
    ew = "west" if schedule.longitude < 0 else "east"
    event = schedule.event.replace("_", " ")
    return (
        f"every day at {event} at {abs(schedule.latitude):g}° {ns} "
        f"{abs(schedule.longitude):g}° {ew}, where the sun does so that day"
    )


def _crontab(rule: CrontabRule) -> str:
    if rule.is_at_boot:
        return "once after each boot of the host"
    parts = [_time_of_day(rule), _days(rule.days)]
    if rule.days.months != EVERY_MONTH:
        parts.append("in " + _listed([_MONTHS[month - 1] for month in rule.days.months]))
    return ", ".join(parts)


def _time_of_day(rule: CrontabRule) -> str:
    if rule.seconds == (0,):
        return _minutes_and_hours(rule)
    minute = _minutes_and_hours(rule)
    if len(rule.seconds) == 60:
        return (
            "every second" if minute == "every minute" else f"{minute}, every second of the minute"
        )
    step = _even_step(rule.seconds, 60)
    if step:
        each = f"every {step} seconds"
        return each if minute == "every minute" else f"{minute}, {each} of the minute"
    return f"{minute}, at second {_listed([str(second) for second in rule.seconds])}"


def _minutes_and_hours(rule: CrontabRule) -> str:
    minutes, hours = rule.minutes, rule.hours
    step = _even_step(minutes, 60)
    every = "every minute" if len(minutes) == 60 else f"every {step} minutes" if step else ""
    if len(hours) == 24:
        if every:
            return every
        if minutes == (0,):
            return "every hour, on the hour"
        plural = "s" if len(minutes) > 1 else ""
        listed = _listed([str(minute) for minute in minutes])
        return f"every hour at minute{plural} {listed}"
    if len(minutes) * len(hours) <= _MOST_TIMES:
        times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
        return "at " + _listed(times)
    if every:
        spans = [f"{run[0]:02}:00 to {run[-1]:02}:{minutes[-1]:02}" for run in runs(hours)]
        return f"{every} from {_listed(spans)}"
    at = "on the hour" if minutes == (0,) else f"at minute {_listed([str(m) for m in minutes])}"
    hour_step = _even_step(hours, 24)
    if hour_step:
        return f"every {hour_step} hours, {at}"
    named = [
        f"{run[0]} to {run[-1]}" if len(run) > 2 else _listed([str(hour) for hour in run])
        for run in runs(hours)
    ]
    return f"{at} of hour {_listed(named)}"


def _even_step(values: Sequence[int], size: int) -> int:
    """The step of values that come evenly around the clock; 0 when they do not."""
    if len(values) < 2 or values[0] != 0:
        return 0
    step = values[1]
    return step if size % step == 0 and tuple(values) == tuple(range(0, size, step)) else 0


def _days(rule: DayRule) -> str:
    by_month, by_week = _days_of_month(rule), _weekdays(rule)
    if not by_month and not by_week:
        return "every day"
    if by_month and by_week:
        if rule.is_both:
            return f"on {by_month}, but only if it is {by_week}"
        return f"on {by_month} and also on {by_week}"
    return f"on {by_month or by_week}"


def _days_of_month(rule: DayRule) -> str:
    """Empty when every day of the month is meant."""
    if rule.is_every_day_of_month:
        return ""
    spans = [f"{run[0]} to {run[-1]}" if len(run) > 2 else _listed([str(day) for day in run])
             for run in runs(rule.days)]  # fmt: skip
    parts = []
    if spans:
        plural = "s" if len(rule.days) > 1 else ""
        parts.append(f"day{plural} {_listed(spans)} of the month")
    for before in rule.from_last:
        days = "the last day" if before == 0 else f"the day {before} before the last"
        parts.append(f"{days} of the month")
    for near in rule.near:
        if near:
            parts.append(f"the working day nearest to day {near} of the month")
        else:
            parts.append("the last working day of the month")
    return _listed(parts)


def _weekdays(rule: DayRule) -> str:
    """Empty when every weekday is meant."""
    if rule.is_every_weekday:
        return ""
    parts = []
    if rule.weekdays == (1, 2, 3, 4, 5):
        parts.append("Monday to Friday")
    else:
        # Monday first, as a week is read.
        order = sorted(rule.weekdays, key=lambda weekday: (weekday - 1) % 7)
        parts.extend(_WEEKDAYS[weekday] for weekday in order)
    parts.extend(
        f"the {_ORDINALS[count]} {_WEEKDAYS[weekday]} of the month" for weekday, count in rule.nth
    )
    parts.extend(f"the last {_WEEKDAYS[weekday]} of the month" for weekday in rule.last)
    return _listed(parts)


def _listed(items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
