"""Spans of time as a person writes them: ``30s``, ``1h30m``, ``2 days``, ``90``."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from jobctl.clock import SECOND
from jobctl.schedule.base import ScheduleError

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LONG = {
    "week": "w", "day": "d", "hour": "h", "hr": "h", "minute": "m", "min": "m",
    "second": "s", "sec": "s",
}  # fmt: skip
_PART = re.compile(r"\s*(?:and\s+)?([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]+)\s*,?")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ISO = re.compile(r"P(?=[0-9T])[0-9A-Z.]+", re.IGNORECASE)


def parse_span(text: str) -> int:
    """A span in microseconds, more than zero. Raises ScheduleError.

    Numbers with the units w, d, h, m, s or their words, largest first or not; a number alone is
    seconds. Months and years are refused, because they have no fixed length.
    """
    plain = text.strip()
    if _NUMBER.fullmatch(plain):
        return _positive(text, _microseconds(plain, 1))
    if _ISO.fullmatch(plain):
        raise ScheduleError(
            f'"{text}" is an ISO 8601 duration, which is not used here',
            'Write it with units: "1h30m".',
        )
    total, at = 0, 0
    while at < len(plain):
        part = _PART.match(plain, at)
        if part is None:
            raise _not_a_span(text)
        total += _microseconds(part[1], _unit(text, part[2]))
        at = part.end()
    return _positive(text, total)


def span_text(span_us: int) -> str:
    """The normal form of a span: ``1w2d``, ``1h30m``, ``0.5s``. It parses back to the same span."""
    parts = []
    left = span_us
    for unit, seconds in _SECONDS.items():
        if unit == "s":
            break
        count, left = divmod(left, seconds * SECOND)
        if count:
            parts.append(f"{count}{unit}")
    if left or not parts:
        seconds_text = format(Decimal(left).scaleb(-6).normalize(), "f")
        parts.append(f"{seconds_text}s")
    return "".join(parts)


def _unit(text: str, unit: str) -> int:
    folded = unit.casefold()
    short = _LONG.get(folded.removesuffix("s"), folded)
    if short in _SECONDS and (unit != "M"):
        return _SECONDS[short]
    if unit == "M" or folded.removesuffix("s") in {"mo", "mon", "month", "y", "yr", "year"}:
        raise ScheduleError(
            f'"{text}": months and years have no fixed length',
            'Use a crontab instead: "0 0 1 * *" is the first of every month.',
        )
    raise ScheduleError(f'"{text}": unknown unit "{unit}"', "Units are w, d, h, m and s.")


def _microseconds(number: str, unit_s: int) -> int:
    try:
        exact = Decimal(number) * unit_s * SECOND
    except InvalidOperation:  # pragma: no cover - the pattern lets only numbers through
        raise _not_a_span(number) from None
    return round(exact)


def _positive(text: str, span_us: int) -> int:
    if span_us <= 0:
        raise ScheduleError(f'"{text}" is no time at all', 'Write a span such as "30s" or "1h30m".')
    return span_us


def _not_a_span(text: str) -> ScheduleError:
    return ScheduleError(
        f'"{text}" is not a span of time',
        'Write numbers with units, such as "30s", "1h30m" or "1w".',
    )
