"""The text of a crontab becomes a rule.

The grammar is cronie's, with its star rule, and beyond it seconds as an optional sixth field and the
items that `jobctl.schedule.fields` knows.
"""

from __future__ import annotations

import re
import sys
from dataclasses import field
from functools import lru_cache

from jobctl.schedule.base import ScheduleError
from jobctl.schedule.days import EVERY_DAY_OF_MONTH, EVERY_WEEKDAY, DayRule, finder_of
from jobctl.schedule.fields import FIELDS, HOUR, MINUTE, SECOND, Dialect, FieldValues, parse_field
from jobctl.schedule.foreign import name_foreign
from jobctl.schedule.normal import normal_days, normal_text
from jobctl.task.keys import nearest
from jobctl.values import dataclass

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
REBOOT = "@reboot"


@dataclass(frozen=True, slots=True)
class CrontabRule:
    """What a crontab means, apart from its zone. Two texts that mean the same give equal rules.

    All tuples rise and have no repeats. ``is_real_time`` says that the hour field begins with a
    star, so that clock changes are followed (see `jobctl.schedule.crontab`). ``fields`` are the
    five or six texts as they were written, for explanations; empty for ``@reboot``.
    """

    normal: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    is_real_time: bool
    days: DayRule
    fields: tuple[str, ...] = field(compare=False, default=())

    @property
    def is_at_boot(self) -> bool:
        """Whether this is ``@reboot``."""
        return self.normal == REBOOT


_AT_BOOT = CrontabRule(
    normal=REBOOT, seconds=(), minutes=(), hours=(), is_real_time=False, days=DayRule()
)


# What only other programs write; five or six words without it need no closer look.
_FOREIGN = re.compile(r"[?:.]|cron\(")


def parse_crontab_text(expression: str, *, dialect: Dialect, seed: str = "") -> CrontabRule:
    """The rule of a crontab's time part: five or six fields, or a nickname. Raises ScheduleError.

    ``seed`` decides ``H`` and ``~`` and nothing else. A rule that no day can match (``0 0 31 2 *``)
    is given back like any other: whether that is an error is for the caller to say.
    """
    words = [(word[0], word.start() + 1) for word in re.finditer(r"[^ \t]+", expression)]
    if len(words) == 1 and words[0][0].startswith("@"):
        return _parse_nickname(words[0][0], dialect)
    _refuse_foreign(expression, len(words))
    found = [
        parse_field(field, text, dialect=dialect, seed=seed, column=column, expression=expression)
        for field, (text, column) in zip(FIELDS, words, strict=False)
    ]
    minute, hour, day, month, weekday = found[:5]
    seconds = found[5].plain if len(found) == 6 else (0,)
    days = _day_rule(day, month, weekday, dialect)
    normal = [
        normal_text(MINUTE, minute.plain, has_star=True),
        normal_text(HOUR, hour.plain, has_star=hour.is_star, needs_star=hour.is_star),
        *normal_days(days, dialect),
    ]
    if seconds != (0,):
        normal.append(normal_text(SECOND, seconds, has_star=True))
    return CrontabRule(
        normal=" ".join(normal),
        seconds=seconds,
        minutes=minute.plain,
        hours=hour.plain,
        is_real_time=hour.is_star,
        days=days,
        fields=tuple(sys.intern(text) for text, _ in words),
    )


def _refuse_foreign(expression: str, count: int) -> None:
    """Raise ScheduleError for what has not five or six fields, or is of another program."""
    if count in (5, 6) and not _FOREIGN.search(expression):
        return
    foreign = name_foreign(expression)
    if foreign is not None:
        raise ScheduleError(foreign.message, foreign.hint)
    if count not in (5, 6):
        raise ScheduleError(
            f'"{expression}" has {count} field{"" if count == 1 else "s"}, not 5',
            "The fields are minute, hour, day of month, month, day of week, and if wanted second.",
        )


def _parse_nickname(name: str, dialect: Dialect) -> CrontabRule:
    if name == REBOOT:
        return _AT_BOOT
    if name in NICKNAMES:
        return parse_crontab_text(NICKNAMES[name], dialect=dialect)
    foreign = name_foreign(name)
    if foreign is not None:
        raise ScheduleError(foreign.message, foreign.hint, column=1)
    near = nearest(name.lower(), [*NICKNAMES, REBOOT])
    hint = f'Did you mean "{near}"?' if near else "Known: " + ", ".join([*NICKNAMES, REBOOT])
    raise ScheduleError(f'unknown nickname "{name}"', hint, column=1)


@lru_cache(maxsize=16_384)
def _day_rule(
    day: FieldValues, month: FieldValues, weekday: FieldValues, dialect: Dialect
) -> DayRule:
    is_both = dialect is Dialect.CELERY or day.is_star or weekday.is_star
    full_days, full_weekdays = day.plain == EVERY_DAY_OF_MONTH, weekday.plain == EVERY_WEEKDAY
    if not is_both and (full_days or full_weekdays):
        # One of the two is always true, so the other one says nothing.
        return DayRule(months=month.plain)
    rule = DayRule(
        months=month.plain,
        days=day.plain,
        from_last=() if full_days else day.from_last,
        near=() if full_days else day.near,
        weekdays=weekday.plain,
        nth=tuple(pair for pair in weekday.nth if pair[0] not in weekday.plain),
        last=tuple(last for last in weekday.last if last not in weekday.plain),
        is_both=is_both,
    )
    return finder_of(rule).rule
