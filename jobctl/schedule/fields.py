"""One field of a crontab: its text becomes a set of numbers.

The texts are cronie's, and beyond it: ``L``, ``L-3``, ``LW``, ``15W``, ``5#3``, ``5L``, ``H``. Where
cronie takes a field that can never match (``22-2``, ``sat-mon``) or that is a slip of its parser
(``5-0`` in minutes), it is refused here with what was probably meant.

croniter expands ranges and steps. Everything in which it differs from cronie is decided before it
is asked: which texts are allowed, single values (it takes ``5-5`` for every minute), steps wider
than the field, Sundays as 7, hashes, and the markers of the day fields.

``H`` and ``~`` are drawn from a digest of the seed, so they never move: not at a reload (as cronie's
do) and not with a version of croniter.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import StrEnum
from functools import lru_cache

from jobctl.schedule.base import ScheduleError
from jobctl.task.keys import nearest
from jobctl.values import dataclass

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


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
class FieldValues:
    """What one field means. All tuples rise and have no repeats.

    ``is_star``: it begins with a star. ``plain`` are the numbers; the others are the markers of the
    day fields, as in `jobctl.schedule.days.DayRule`.
    """

    is_star: bool
    plain: tuple[int, ...]
    from_last: tuple[int, ...] = ()
    near: tuple[int, ...] = ()
    nth: tuple[tuple[int, int], ...] = ()
    last: tuple[int, ...] = ()


def parse_field(
    field: Field, text: str, *, dialect: Dialect, seed: str, column: int, expression: str
) -> FieldValues:
    """What a field's text means. Raises ScheduleError, with the column in the whole expression.

    ``column`` is where the text begins in it, counted from 1.
    """
    try:
        return _remembered_field(field, text, dialect, seed if _is_drawn(text) else "")
    except ScheduleError:
        # Once more for the message: what is remembered knows no place.
        return _read_field(text, _Place(field, column, expression), dialect, seed)


@lru_cache(maxsize=16_384)
def _remembered_field(field: Field, text: str, dialect: Dialect, seed: str) -> FieldValues:
    return _read_field(text, _Place(field, 1, text), dialect, seed)


def _is_drawn(text: str) -> bool:
    return "H" in text or "~" in text


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
class _Found:
    """What the items of a field have been found to mean so far."""

    plain: set[int] = field(default_factory=set)
    from_last: set[int] = field(default_factory=set)
    near: set[int] = field(default_factory=set)
    nth: set[tuple[int, int]] = field(default_factory=set)
    last: set[int] = field(default_factory=set)


def _read_field(text: str, place: _Place, dialect: Dialect, seed: str) -> FieldValues:
    found = _Found()
    column = place.column
    for number, item in enumerate(text.split(",")):
        at = _Place(place.field, column, place.expression)
        if not item:
            raise at.refuse("an empty item in the list", "Remove the comma too many.")
        if not _add_marker(item, at, found):
            found.plain.update(_plain_values(item, at, dialect, _Draw(seed, number)))
        column += len(item) + 1
    return FieldValues(
        is_star=text.startswith("*"),
        plain=tuple(sorted(found.plain)),
        from_last=tuple(sorted(found.from_last)),
        near=tuple(sorted(found.near)),
        nth=tuple(sorted(found.nth)),
        last=tuple(sorted(found.last)),
    )


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
        # Loaded by the first draw: it brings OpenSSL along, four megabytes.
        from hashlib import sha256

        return int.from_bytes(sha256(text.encode(errors="surrogatepass")).digest()[:8], "big")


_LAST = re.compile(r"L(?:-([0-9]+))?")
_NEAR = re.compile(r"(?:([0-9]+)|L)W")
_NTH = re.compile(r"([0-9A-Za-z]+)#([0-9]+)")
_LAST_WEEKDAY = re.compile(r"([0-9]|[A-Za-z]{3})L|L([0-9])")


def _add_marker(item: str, at: _Place, found: _Found) -> bool:
    """Take an item with a marker of the day fields; False when it is none of them."""
    match at.field.name:
        case "day of month":
            return _add_day_marker(item, at, found)
        case "day of week":
            return _add_weekday_marker(item, at, found)
        case _:
            return False


def _add_day_marker(item: str, at: _Place, found: _Found) -> bool:
    if last := _LAST.fullmatch(item):
        before = int(last[1] or 0)
        if before > 30:
            raise at.refuse(f'"{item}": no month has so many days', '"L-30" is the most.')
        found.from_last.add(before)
        return True
    if near := _NEAR.fullmatch(item):
        found.near.add(_number(near[1], at) if near[1] else 0)
        return True
    return False


def _add_weekday_marker(item: str, at: _Place, found: _Found) -> bool:
    if item == "L":
        raise at.refuse('"L" needs a weekday before it', 'The last Friday of the month is "5L".')
    if nth := _NTH.fullmatch(item):
        if not 1 <= int(nth[2]) <= 5:
            raise at.refuse(
                f'"{item}": a weekday comes one to five times a month',
                'For the last one write L: "5L".',
            )
        found.nth.add((_number(nth[1], at) % 7, int(nth[2])))
        return True
    if last := _LAST_WEEKDAY.fullmatch(item):
        found.last.add(_number(last[1] or last[2], at) % 7)
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
            near = nearest(near, tuple(field.names))
        if near:
            return f'Names have three letters. Did you mean "{near}"?'
    if field is SECOND:
        return "The sixth field is seconds: is there a field too many?"
    return 'Items are *, 5, 1-5, */15 or 1-5/2, joined by commas; "H" draws a fixed value.'
