"""Spans, sizes and rates as people write them: ``"1h30m"``, ``"64MiB"``, ``"10/s"``.

One reading for the file, the command line, the Python side and schedules. Everything here is pure; a value
that cannot be read raises `InvalidValue`, which says what was wrong and how it should look. Dates
and zones are no business of this file.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Final

from jobctl.errors import UsageError
from jobctl.values import dataclass

SPAN_UNITS: Final = {"w": 604_800_000_000, "d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000}  # fmt: skip
"""Microseconds of each unit, the longest first."""
_LONG_UNITS: Final = {
    "week": "w", "day": "d", "hour": "h", "hr": "h", "minute": "m", "min": "m", "second": "s",
    "sec": "s", "millisecond": "ms", "msec": "ms",
}  # fmt: skip
_NO_FIXED_LENGTH: Final = frozenset({"mo", "mon", "month", "y", "yr", "year"})
SIZE_UNITS: Final = {
    "B": 1,
    "K": 2**10,
    "KB": 10**3,
    "KiB": 2**10,
    "M": 2**20,
    "MB": 10**6,
    "MiB": 2**20,
    "G": 2**30,
    "GB": 10**9,
    "GiB": 2**30,
    "T": 2**40,
    "TB": 10**12,
    "TiB": 2**40,
}
# Moments are 64-bit microseconds: a span of this length may be added to any date that a person
# means without leaving them.
LONGEST_SPAN_S: Final = 100 * 366 * 86400.0

_SPAN_HINT: Final = (
    'Write a span as "30s", "5m", "1h30m", "2d", "1w", "500ms", or a number of seconds.'
)
_SIZE_HINT: Final = 'Write a size as "64MiB", "10MB", "4KiB", or a number of bytes.'
_RATE_HINT: Final = 'Write a rate as "10/s", "30/m", "1/h", "5/d" or "3/10s".'
# No value that fits has more digits, and Python refuses to read some thousand of them.
_NUMBER: Final = r"([0-9]{1,20})(?:\.([0-9]{1,20}))?"
_PART: Final = re.compile(rf"\s*(?:and\s+)?{_NUMBER}\s*([a-zA-Z]+)\s*,?")
_PLAIN: Final = re.compile(_NUMBER)
_ISO: Final = re.compile(r"P(?=[0-9T])[0-9A-Z.]+", re.IGNORECASE)
_SIZE: Final = re.compile(rf"{_NUMBER} ?([A-Za-z]+)?")
_RATE: Final = re.compile(r"([0-9]{1,20}) ?/ ?([0-9][0-9.a-z]*|[a-z]+)")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong inside a value: where in it (keys and positions), what, and the way out.

    ``on_key`` says that the key itself is wrong, not what stands behind it.
    """

    path: tuple[str | int, ...] = ()
    message: str
    hint: str = ""
    on_key: bool = False

    def under(self, *path: str | int) -> Fault:
        """Give the same fault as seen from the value around it."""
        return replace(self, path=(*path, *self.path))


class InvalidValue(UsageError, ValueError):
    """A value that cannot be read. ``faults`` holds everything that is wrong with it, at least one.

    It is a `ValueError` too, because validators of other libraries expect one.
    """

    code = "invalid_value"

    def __init__(
        self, message: str = "", *, hint: str = "", faults: tuple[Fault, ...] = ()
    ) -> None:
        self.faults = faults or (Fault(message=message, hint=hint),)
        super().__init__(self.faults[0].message, hint=self.faults[0].hint)


def shown(value: object) -> str:
    """Give a value as it may stand in a message: quoted, on one line, never longer than a line."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        # Python refuses to write some thousand digits.
        return "a number of too many digits"
    text = (
        f'"{value}"'
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def parse_span(value: object) -> float:
    """Read a span of time; gives seconds, at least 0 and at most a hundred years.

    Takes a number of seconds, or text as `parse_span_us` does. Raises `InvalidValue`.
    """
    if isinstance(value, str):
        return parse_span_us(value) / 1_000_000
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue(f"{shown(value)} is not a span of time", hint=_SPAN_HINT)
    # NaN is neither below nor above anything.
    if value < 0 or value != value or value == math.inf:
        raise InvalidValue(f"a span cannot be {shown(value)}", hint=_SPAN_HINT)
    if value > LONGEST_SPAN_S:
        raise _too_long(value)
    return float(value)


def parse_span_us(text: str) -> int:
    """Read a span as text; gives microseconds, at least 0 and at most a hundred years.

    Numbers with the units w, d, h, m, s, ms or their words, each used once at most (``"1h30m"``,
    ``"2 days and 5 minutes"``); a number alone is seconds. What is finer than a microsecond is rounded.
    Months and years are refused, because they have no fixed length. Raises `InvalidValue`.
    """
    plain = text.strip()
    alone = _PLAIN.fullmatch(plain)
    if alone is not None:
        return _checked_span(text, _times(alone[1], alone[2], SPAN_UNITS["s"]))
    if _ISO.fullmatch(plain):
        raise InvalidValue(
            f"{shown(text)} is an ISO 8601 duration, which is not used here",
            hint='Write it with units: "1h30m".',
        )
    total, at = 0, 0
    used: set[str] = set()
    while at < len(plain) or not used:
        part = _PART.match(plain, at)
        if part is None:
            raise InvalidValue(f"{shown(text)} is not a span of time", hint=_SPAN_HINT)
        unit = _span_unit(text, part[3])
        if unit in used:
            raise InvalidValue(f"{shown(text)} names a unit twice", hint=_SPAN_HINT)
        used.add(unit)
        total += _times(part[1], part[2], SPAN_UNITS[unit])
        at = part.end()
    return _checked_span(text, total)


def _span_unit(text: str, unit: str) -> str:
    folded = unit.casefold()
    short = _LONG_UNITS.get(folded.removesuffix("s"), folded)
    # "M" is a month to as many people as it is a minute.
    if unit == "M" or folded.removesuffix("s") in _NO_FIXED_LENGTH:
        raise InvalidValue(
            f"{shown(text)}: months and years have no fixed length",
            hint='Write days or weeks. For a schedule use a crontab: "0 0 1 * *" is the first of every month.',
        )
    if short not in SPAN_UNITS:
        raise InvalidValue(
            f"{shown(text)} is not a span of time: unknown unit {shown(unit)}",
            hint='Units are w, d, h, m, s and ms, as in "1h30m".',
        )
    return short


def _times(whole: str, part: str | None, unit: int) -> int:
    """``whole.part`` of a unit, exactly, rounded to the nearest whole."""
    scale: int = 10 ** len(part or "")
    doubled: int = 2 * int(whole + (part or "")) * unit
    return (doubled + scale) // (2 * scale)


def _checked_span(text: str, span_us: int) -> int:
    if span_us > LONGEST_SPAN_S * 1_000_000:
        raise _too_long(text)
    return span_us


def _too_long(value: object) -> InvalidValue:
    return InvalidValue(f"{shown(value)} is longer than a hundred years", hint=_SPAN_HINT)


def format_span(seconds: float) -> str:
    """Give a span as text that `parse_span` reads back to the same microsecond: ``5400`` is ``"1h30m"``."""
    left = round(seconds * 1_000_000)
    if left == 0:
        return "0s"
    text = ""
    # Weeks only when nothing else is needed: thirty days are "30d" to a person, not "4w2d".
    units = ("d", "h", "m", "s") if left % (7 * 86_400_000_000) else ("w",)
    for unit in units:
        count, left = divmod(left, SPAN_UNITS[unit])
        text += f"{count}{unit}" if count else ""
    if left:
        text += f"{left / 1000:g}ms" if left % 1000 == 0 else f"{left / 1000:.3f}ms"
    return text


def parse_size(value: object) -> int:
    """Read a size; gives bytes, at least 0. ``K``, ``KiB`` are 1024 bytes, ``KB`` is 1000. Raises `InvalidValue`."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidValue(f"{shown(value)} is not a size", hint=_SIZE_HINT)
    if isinstance(value, int):
        size = value
    else:
        found = _SIZE.fullmatch(value.strip())
        units = {unit.lower(): factor for unit, factor in SIZE_UNITS.items()}
        unit = (found[3] or "B").lower() if found else ""
        if found is None or unit not in units:
            raise InvalidValue(f"{shown(value)} is not a size", hint=_SIZE_HINT)
        part = found[2] or ""
        size = int(found[1] + part) * units[unit] // 10 ** len(part)
    if not 0 <= size < 2**63:
        raise InvalidValue(f"a size cannot be {shown(value)}", hint=_SIZE_HINT)
    return size


def format_size(size_bytes: int) -> str:
    """Give a size as text that `parse_size` reads back exactly: ``1048576`` is ``"1MiB"``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % SIZE_UNITS[unit] == 0:
            return f"{size_bytes // SIZE_UNITS[unit]}{unit}"
    return f"{size_bytes}B"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most ``count`` starts in ``per_s`` seconds."""

    count: int
    per_s: float

    @property
    def spacing_us(self) -> int:
        """Microseconds between two starts when they are spread evenly; at least 1."""
        return max(1, round(self.per_s * 1_000_000 / self.count))

    def __str__(self) -> str:
        span = format_span(self.per_s)
        return f"{self.count}/{span.removeprefix('1') if span in ('1s', '1m', '1h', '1d', '1w') else span}"


def parse_rate(value: object) -> Rate:
    """Read a rate, ``"10/s"`` or ``"3/10s"``. Raises `InvalidValue`."""
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise InvalidValue(f"{shown(value)} is not a rate", hint=_RATE_HINT)
    try:
        per_us = SPAN_UNITS.get(found[2]) or parse_span_us(found[2])
    except InvalidValue:
        raise InvalidValue(f"{shown(value)} is not a rate", hint=_RATE_HINT) from None
    count = int(found[1])
    if not (0 < count <= 1_000_000_000 and per_us > 0):
        raise InvalidValue(f"a rate cannot be {shown(value)}", hint=_RATE_HINT)
    return Rate(count=count, per_s=per_us / 1_000_000)
