"""Spans, sizes and rates as people write them: ``"1h30m"``, ``"64MiB"``, ``"10/s"``.

One reading for the file, the command line and the Python side. Everything here is pure; a value
that cannot be read raises `InvalidValue`, which says what was wrong and how it should look. Dates
and zones are no business of this file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Final

from jobctl.errors import UsageError

SPAN_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
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
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)?")
_RATE: Final = re.compile(r"([0-9]+) ?/ ?([0-9][0-9.a-z]*|[a-z]+)")


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

    Takes a number of seconds, or text made of numbers with the units ms, s, m, h, d, w, each used
    once at most (``"1h30m"``); text without a unit is seconds. Raises `InvalidValue`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidValue(f"{shown(value)} is not a span of time", hint=_SPAN_HINT)
    seconds = _span_of_text(value) if isinstance(value, str) else float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidValue(f"a span cannot be {shown(value)}", hint=_SPAN_HINT)
    if seconds > LONGEST_SPAN_S:
        raise InvalidValue(f"{shown(value)} is longer than a hundred years", hint=_SPAN_HINT)
    return seconds


def _span_of_text(text: str) -> float:
    compact = text.strip().replace(" ", "")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", compact):
        return float(compact)
    parts = _PART.findall(compact)
    units = [unit for _, unit in parts]
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise InvalidValue(f"{shown(text)} is not a span of time", hint=_SPAN_HINT)
    if len(set(units)) != len(units):
        raise InvalidValue(f"{shown(text)} names a unit twice", hint=_SPAN_HINT)
    # Microseconds are the finest that is kept; rounding also takes the dust off 0.001 * 500.
    return round(sum(float(number) * SPAN_UNITS[unit] for number, unit in parts), 6)


def format_span(seconds: float) -> str:
    """Give a span as text that `parse_span` reads back to the same microsecond: ``5400`` is ``"1h30m"``."""
    left = round(seconds * 1_000_000)
    if left == 0:
        return "0s"
    text = ""
    # Weeks only when nothing else is needed: thirty days are "30d" to a person, not "4w2d".
    units = ("d", "h", "m", "s") if left % (7 * 86_400_000_000) else ("w",)
    for unit in units:
        size = int(SPAN_UNITS[unit]) * 1_000_000
        count, left = divmod(left, size)
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
        unit = (found[2] or "B").lower() if found else ""
        if found is None or unit not in units:
            raise InvalidValue(f"{shown(value)} is not a size", hint=_SIZE_HINT)
        whole, _, part = found[1].partition(".")
        size = int(whole) * units[unit] + (
            int(part) * units[unit] // 10 ** len(part) if part else 0
        )
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
        per_s = SPAN_UNITS[found[2]] if found[2] in SPAN_UNITS else _span_of_text(found[2])
    except InvalidValue:
        raise InvalidValue(f"{shown(value)} is not a rate", hint=_RATE_HINT) from None
    count = int(found[1])
    if not (0 < count <= 1_000_000_000 and 0 < per_s <= LONGEST_SPAN_S):
        raise InvalidValue(f"a rate cannot be {shown(value)}", hint=_RATE_HINT)
    return Rate(count=count, per_s=per_s)
