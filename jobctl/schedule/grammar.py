"""The text of a crontab becomes sets of numbers.

The grammar is cronie's, with its star rule, and beyond it: seconds as an optional sixth field,
``L``, ``L-3``, ``LW``, ``15W``, ``5#3``, ``5L``, ``H``. Where cronie takes a field that can never
match (``22-2``, ``sat-mon``) or that is a slip of its parser (``5-0`` in minutes), it is refused
here with what was probably meant.

croniter expands ranges and steps. Everything in which it differs from cronie is decided before it
is asked: which texts are allowed, single values (it takes ``5-5`` for every minute), steps wider
than the field, Sundays as 7, hashes, and the markers of the day fields.

``H`` and ``~`` are drawn from a digest of the seed, so they never move: not at a reload (as cronie's
do) and not with a version of croniter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from jobctl.schedule.base import ScheduleError
from jobctl.schedule.days import EVERY_DAY_OF_MONTH, EVERY_WEEKDAY, DayRule
from jobctl.schedule.foreign import name_foreign

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

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


class Dialect(StrEnum):
    """Whose crontab it is."""

    CRONIE = "cronie"
    """A day matches by either day field, unless one of the two begins with a star."""
    CELERY = "celery"
    """A day must match both day fields; ranges may wrap around."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name in messages, its range, the names that stand for numbers."""

    name: str
    position: int  # in croniter's order
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[int, ...]:
        """Everything the field can mean."""
        return tuple(range(self.low, self.high + 1))


MINUTE = Field("minute", 0, 0, 59)
HOUR = Field("hour", 1, 0, 23)
DAY_OF_MONTH = Field("day of month", 2, 1, 31)
MONTH = Field("month", 3, 1, 12, _MONTHS)
DAY_OF_WEEK = Field("day of week", 4, 0, 6, _WEEKDAYS)
SECOND = Field("second", 5, 0, 59)
FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, SECOND)


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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a text stands, for messages."""

    field: Field
    column: int
    expression: str

    def refuse(self, what: str, hint: str = "") -> ScheduleError:
        return ScheduleError(
            f'{self.field.name}: {what} (column {self.column} of "{self.expression}")',
            hint,
            column=self.column,
        )


@dataclass(slots=True)
class _Values:
    """What one field has been found to mean so far."""

    is_star: bool
    plain: set[int] = field(default_factory=set)
    from_last: set[int] = field(default_factory=set)
    near: set[int] = field(default_factory=set)
    nth: set[tuple[int, int]] = field(default_factory=set)
    last: set[int] = field(default_factory=set)

    def sorted(self) -> tuple[int, ...]:
        return tuple(sorted(self.plain))


@lru_cache(maxsize=65_536)
def _parse(expression: str, dialect: Dialect, seed: str) -> CrontabRule:
    words = [(word[0], word.start() + 1) for word in re.finditer(r"[^ \t]+", expression)]
    if len(words) == 1 and words[0][0].startswith("@"):
        return _parse_nickname(words[0][0], dialect)
    foreign = name_foreign(expression)
    if foreign is not None:
        raise ScheduleError(foreign.message, foreign.hint)
    if len(words) not in (5, 6):
        raise ScheduleError(
            f'"{expression}" has {len(words)} field{"" if len(words) == 1 else "s"}, not 5',
            "The fields are minute, hour, day of month, month, day of week, and if wanted second.",
        )
    places = [_Place(FIELDS[at], column, expression) for at, (_, column) in enumerate(words)]
    texts = tuple(text for text, _ in words)
    found = [
        _parse_field(text, place, dialect, seed) for text, place in zip(texts, places, strict=True)
    ]
    minute, hour, day, month, weekday = found[:5]
    seconds = found[5].sorted() if len(found) == 6 else (0,)
    days = _day_rule(day, month, weekday, dialect)
    normal = [
        _normal_text(MINUTE, minute.sorted(), has_star=True),
        _normal_text(HOUR, hour.sorted(), has_star=hour.is_star, needs_star=hour.is_star),
        *_normal_days(days, dialect),
    ]
    if seconds != (0,):
        normal.append(_normal_text(SECOND, seconds, has_star=True))
    return CrontabRule(
        normal=" ".join(normal),
        seconds=seconds,
        minutes=minute.sorted(),
        hours=hour.sorted(),
        is_real_time=hour.is_star,
        days=days,
        fields=texts,
    )


def parse_crontab_text(expression: str, *, dialect: Dialect, seed: str = "") -> CrontabRule:
    """The rule of a crontab's time part: five or six fields, or a nickname. Raises ScheduleError.

    Equal arguments give the same object. ``seed`` decides ``H`` and ``~`` and nothing else. A rule
    that no day can match (``0 0 31 2 *``) is given back like any other: whether that is an error is
    for the caller to say.
    """
    is_drawn = "H" in expression or "~" in expression
    return _parse(expression, dialect, seed if is_drawn else "")


def _parse_nickname(name: str, dialect: Dialect) -> CrontabRule:
    if name == REBOOT:
        return _AT_BOOT
    if name in NICKNAMES:
        return _parse(NICKNAMES[name], dialect, "")
    foreign = name_foreign(name)
    if foreign is not None:
        raise ScheduleError(foreign.message, foreign.hint, column=1)
    near = get_close_matches(name.lower(), [*NICKNAMES, REBOOT], n=1)
    hint = f'Did you mean "{near[0]}"?' if near else "Known: " + ", ".join([*NICKNAMES, REBOOT])
    raise ScheduleError(f'unknown nickname "{name}"', hint, column=1)


def _parse_field(text: str, place: _Place, dialect: Dialect, seed: str) -> _Values:
    values = _Values(is_star=text.startswith("*"))
    column = place.column
    for number, item in enumerate(text.split(",")):
        at = _Place(place.field, column, place.expression)
        if not item:
            raise at.refuse("an empty item in the list", "Remove the comma too many.")
        if not _add_marker(item, at, values):
            values.plain.update(_plain_values(item, at, dialect, _Draw(seed, number)))
        column += len(item) + 1
    return values


@dataclass(frozen=True, slots=True)
class _Draw:
    """What ``H`` and ``~`` draw: the same number wherever ``H`` stands in a field, another one for
    each ``~`` of a list.
    """

    seed: str
    item: int

    def once(self, field: Field) -> int:
        return self._number(f"{self.seed}\0{field.name}")

    def once_more(self, field: Field) -> int:
        return self._number(f"{self.seed}\0{field.name}\0{self.item}")

    @staticmethod
    def _number(text: str) -> int:
        return int.from_bytes(sha256(text.encode(errors="surrogatepass")).digest()[:8], "big")


_LAST = re.compile(r"L(?:-([0-9]+))?")
_NEAR = re.compile(r"(?:([0-9]+)|L)W")
_NTH = re.compile(r"([0-9A-Za-z]+)#([0-9]+)")
_LAST_WEEKDAY = re.compile(r"([0-9]|[A-Za-z]{3})L|L([0-9])")


def _add_marker(item: str, at: _Place, values: _Values) -> bool:
    """Take an item with a marker of the day fields; False when it is none of them."""
    match at.field.name:
        case "day of month":
            return _add_day_marker(item, at, values)
        case "day of week":
            return _add_weekday_marker(item, at, values)
        case _:
            return False


def _add_day_marker(item: str, at: _Place, values: _Values) -> bool:
    if last := _LAST.fullmatch(item):
        before = int(last[1] or 0)
        if before > 30:
            raise at.refuse(f'"{item}": no month has so many days', '"L-30" is the most.')
        values.from_last.add(before)
        return True
    if near := _NEAR.fullmatch(item):
        values.near.add(_number(near[1], at) if near[1] else 0)
        return True
    return False


def _add_weekday_marker(item: str, at: _Place, values: _Values) -> bool:
    if item == "L":
        raise at.refuse('"L" needs a weekday before it', 'The last Friday of the month is "5L".')
    if nth := _NTH.fullmatch(item):
        if not 1 <= int(nth[2]) <= 5:
            raise at.refuse(
                f'"{item}": a weekday comes one to five times a month',
                'For the last one write L: "5L".',
            )
        values.nth.add((_number(nth[1], at) % 7, int(nth[2])))
        return True
    if last := _LAST_WEEKDAY.fullmatch(item):
        values.last.add(_number(last[1] or last[2], at) % 7)
        return True
    return False


_STAR = re.compile(r"\*(?:/([0-9]+))?")
_ONE = re.compile(r"([0-9A-Za-z]+)(?:/([0-9]+))?")
_RANGE = re.compile(r"([0-9A-Za-z]+)-([0-9A-Za-z]+)(?:/([0-9]+))?")
_RANDOM = re.compile(r"([0-9A-Za-z]*)~([0-9A-Za-z]*)(/[0-9]+)?")
_HASH = re.compile(r"H(?:\(([0-9]+)-([0-9]+)\))?(?:/([0-9]+))?")


def _plain_values(item: str, at: _Place, dialect: Dialect, draw: _Draw) -> tuple[int, ...]:
    if star := _STAR.fullmatch(item):
        step = _step(star[1], at)
        return (
            at.field.values if step == 1 else _expand(at.field, at.field.low, at.field.high, step)
        )
    if hashed := _HASH.fullmatch(item):
        return _hashed(hashed, at, draw.once(at.field))
    if one := _ONE.fullmatch(item):
        value = _number(one[1], at)
        if one[2]:
            raise at.refuse(
                f'"{item}": a step needs a range before it',
                f'Write "{value}-{at.field.high}/{one[2]}".',
            )
        return (_folded(value, at.field),)
    if span := _RANGE.fullmatch(item):
        return _range(span, at, dialect)
    if drawn := _RANDOM.fullmatch(item):
        return (_drawn(drawn, at, draw.once_more(at.field)),)
    raise at.refuse(f'"{item}" is not understood', _guess(item, at.field))


def _range(span: re.Match[str], at: _Place, dialect: Dialect) -> tuple[int, ...]:
    low, high, step = _number(span[1], at), _number(span[2], at), _step(span[3], at)
    if low > high and high == 0 and at.field is DAY_OF_WEEK and not span[3]:
        high = 7  # cronie: a range may end with Sunday, whatever its number
    if low > high:
        wrapped = [*range(low, at.field.high + 1), *range(at.field.low, high + 1)][::step]
        if dialect is Dialect.CELERY:
            return tuple(_folded(value, at.field) for value in wrapped)
        raise at.refuse(
            f'"{span[0]}" runs backwards; cron takes it, but not as it is meant',
            f'Write "{_wrapped_text(low, high, step, at.field)}".',
        )
    return _expand(at.field, low, high, step)


def _wrapped_text(low: int, high: int, step: int, field: Field) -> str:
    values = [*range(low, field.high + 1), *range(field.low, high + 1)][::step]
    if field.names:
        return ",".join(field.names[value - field.low] for value in values)
    if step != 1:
        return ",".join(str(value) for value in values)
    return ",".join(
        str(first) if first == last else f"{first}-{last}"
        for first, last in ((low, field.high), (field.low, high))
    )


def _hashed(hashed: re.Match[str], at: _Place, number: int) -> tuple[int, ...]:
    low, high = at.field.low, at.field.high
    if at.field is DAY_OF_MONTH:
        high = 28  # every month has it, so that no month is left out
    if hashed[1]:
        low, high = _number(hashed[1], at), _number(hashed[2], at)
        if low > high:
            raise at.refuse(f'"{hashed[0]}" runs backwards', f'Write "H({high}-{low})".')
    step = _step(hashed[3], at)
    if hashed[3] is None:
        return (_folded(low + number % (high - low + 1), at.field),)
    return _expand(at.field, low + number % min(step, high - low + 1), high, step)


def _drawn(drawn: re.Match[str], at: _Place, number: int) -> int:
    if drawn[3]:
        raise at.refuse(f'"{drawn[0]}": no step after ~', f'Write "H{drawn[3]}".')
    low = _number(drawn[1], at) if drawn[1] else at.field.low
    high = _number(drawn[2], at) if drawn[2] else at.field.high
    if low > high:
        raise at.refuse(f'"{drawn[0]}" runs backwards', f'Write "{drawn[2]}~{drawn[1]}".')
    return _folded(low + number % (high - low + 1), at.field)


def _step(text: str | None, at: _Place) -> int:
    if text is None:
        return 1
    if int(text) == 0:
        raise at.refuse("a step of 0 never gets anywhere", "Leave it out for every one.")
    return int(text)


def _number(text: str, at: _Place) -> int:
    field = at.field
    if text.isdigit():
        value = int(text)
        high = 7 if field is DAY_OF_WEEK else field.high
        if not field.low <= value <= high:
            raise at.refuse(f"{text} is out of range {field.low}-{high}", _guess_number(value, at))
        return value
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.low
    raise at.refuse(f'"{text}" is not understood', _guess(text, field))


def _folded(value: int, field: Field) -> int:
    return value % 7 if field is DAY_OF_WEEK else value


@lru_cache(maxsize=16_384)
def _expand(field: Field, low: int, high: int, step: int) -> tuple[int, ...]:
    """The numbers of a range with a step, both ends included; Sunday is 0."""
    if low == high or step > high - low:
        return (_folded(low, field),)
    # Loaded by the first range: it brings dateutil along, six megabytes that a daemon whose
    # crontabs name single times does without.
    from croniter import croniter

    columns = ["*"] * 6
    columns[field.position] = f"{low}-{high}/{step}"
    values = croniter.expand(" ".join(columns))[0][field.position]
    if values == ["*"]:
        return field.values
    return tuple(sorted({_folded(int(value), field) for value in values}))


def _guess_number(value: int, at: _Place) -> str:
    words = at.expression.split()
    match at.field.name:
        case "hour" if value == 24:
            return "Midnight is hour 0."
        case "hour" if value < 60 and words[0].isdigit() and int(words[0]) < 24:
            swapped = " ".join([words[1], words[0], *words[2:]])
            return f'Minute and hour swapped? "{swapped}"'
        case "minute" | "second" if value == 60:
            return "The full hour is minute 0."
        case "day of month" if value == 32:
            return 'The last day of the month is "L".'
        case "day of month" | "month" if value == 0:
            return "It counts from 1."
        case "day of week":
            return "Sunday is 0 or 7, Saturday is 6."
        case _:
            return f"Allowed are {at.field.low} to {at.field.high}."


def _guess(text: str, field: Field) -> str:
    if text.startswith("-") and field is MINUTE:
        return "A leading - is cronie's mark for less logging; it is no part of the times."
    if field.names and text.isalpha():
        near = text[:3].lower()
        if near not in field.names:
            near = next(iter(get_close_matches(near, field.names, n=1)), "")
        if near:
            return f'Names have three letters. Did you mean "{near}"?'
    if field is SECOND:
        return "The sixth field is seconds: is there a field too many?"
    return 'Items are *, 5, 1-5, */15 or 1-5/2, joined by commas; "H" draws a fixed value.'


def _day_rule(day: _Values, month: _Values, weekday: _Values, dialect: Dialect) -> DayRule:
    is_both = dialect is Dialect.CELERY or day.is_star or weekday.is_star
    days, weekdays = day.sorted(), weekday.sorted()
    full_days, full_weekdays = days == EVERY_DAY_OF_MONTH, weekdays == EVERY_WEEKDAY
    if not is_both and (full_days or full_weekdays):
        # One of the two is always true, so the other one says nothing.
        return DayRule(months=month.sorted())
    return DayRule(
        months=month.sorted(),
        days=days,
        from_last=() if full_days else tuple(sorted(day.from_last)),
        near=() if full_days else tuple(sorted(day.near)),
        weekdays=weekdays,
        nth=()
        if full_weekdays
        else tuple(sorted(pair for pair in weekday.nth if pair[0] not in weekday.plain)),
        last=()
        if full_weekdays
        else tuple(sorted(last for last in weekday.last if last not in weekday.plain)),
        is_both=is_both,
    )


def _normal_days(rule: DayRule, dialect: Dialect) -> tuple[str, str, str]:
    # Only where both fields leave something out does a star in front change the meaning.
    needs_star = (
        rule.is_both
        and dialect is Dialect.CRONIE
        and not rule.is_every_day_of_month
        and not rule.is_every_weekday
    )
    may_have_star = rule.is_both
    markers = [
        *("L" if before == 0 else f"L-{before}" for before in rule.from_last),
        *("LW" if near == 0 else f"{near}W" for near in rule.near),
    ]
    week_markers = [
        *(f"{weekday}#{count}" for weekday, count in rule.nth),
        *(f"{weekday}L" for weekday in rule.last),
    ]
    day_star = needs_star and 1 in rule.days
    day = _normal_text(
        DAY_OF_MONTH, rule.days, has_star=may_have_star, needs_star=day_star, markers=markers
    )
    weekday = _normal_text(
        DAY_OF_WEEK,
        rule.weekdays,
        has_star=may_have_star,
        needs_star=needs_star and not day_star,
        markers=week_markers,
    )
    return day, _normal_text(MONTH, rule.months, has_star=True), weekday


def _normal_text(
    field: Field,
    values: tuple[int, ...],
    *,
    has_star: bool,
    needs_star: bool = False,
    markers: list[str] | None = None,
) -> str:
    """The shortest plain text of a set. A star is written only where it is allowed or needed."""
    if has_star and not markers:
        if values == field.values:
            return "*"
        step = values[1] - values[0] if len(values) > 1 else 0
        even = len(field.values) % step == 0 if step else False
        if step > 1 and (even or needs_star) and values == field.values[::step]:
            return f"*/{step}"
    items = []
    if needs_star:
        # A step as wide as the field leaves its first value, with a star in front.
        items.append(f"*/{len(field.values)}")
        values = tuple(value for value in values if value != field.low)
    items.extend(_runs(values))
    return ",".join([*items, *(markers or [])])


def _runs(values: tuple[int, ...]) -> list[str]:
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts = []
    for run in runs:
        if len(run) > 2:
            texts.append(f"{run[0]}-{run[-1]}")
        else:
            texts.extend(str(value) for value in run)
    return texts
