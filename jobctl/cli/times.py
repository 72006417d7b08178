"""Moments and spans as people read and write them, in the host's own zone.

Inside jobctl a moment is an integer of microseconds, UTC. Here it becomes text for a screen, ISO 8601
with an offset for ``--json``, and here the text of ``--at``, ``--in`` and ``--expires`` becomes a moment
or a span. Nothing here reads a clock: "now" is handed in.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import NoReturn

_SECOND_US = 1_000_000


def iso(moment_us: int) -> str:
    """ISO 8601 with microseconds and the host's offset: ``2026-11-20T05:00:00.000000+01:00``."""
    seconds, micros = divmod(moment_us, _SECOND_US)
    parts = time.localtime(seconds)
    return f"{_date(parts)}T{_time(parts)}.{micros:06d}{_offset(parts.tm_gmtoff)}"


def iso_or_none(moment_us: int | None) -> str | None:
    """`iso`, or None for None."""
    return None if moment_us is None else iso(moment_us)


def shown(moment_us: int) -> str:
    """Local time to the second, without its zone: ``2026-11-20 05:00:00``."""
    parts = time.localtime(moment_us // _SECOND_US)
    return f"{_date(parts)} {_time(parts)}"


def zone_shown(moment_us: int) -> str:
    """The host's zone as its abbreviation and offset at a moment: ``CET (+01:00)``."""
    parts = time.localtime(moment_us // _SECOND_US)
    return f"{parts.tm_zone} ({_offset(parts.tm_gmtoff)})"


def _date(parts: time.struct_time) -> str:
    return f"{parts.tm_year:04d}-{parts.tm_mon:02d}-{parts.tm_mday:02d}"


def _time(parts: time.struct_time) -> str:
    return f"{parts.tm_hour:02d}:{parts.tm_min:02d}:{parts.tm_sec:02d}"


def _offset(seconds: int) -> str:
    sign = "-" if seconds < 0 else "+"
    minutes, rest = divmod(abs(seconds), 60)
    text = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    # Zones had seconds before 1972; ISO 8601 has no room for them, Python and others write them so.
    return f"{text}:{rest:02d}" if rest else text


def span_shown(seconds: float) -> str:
    """A span in its two largest units: ``4ms``, ``0.52s``, ``1m32s``, ``2h05m``, ``3d04h``."""
    if seconds < 0:
        return f"-{span_shown(-seconds)}"
    if seconds < 0.1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def parse_span(text: str, *, option: str) -> float:
    """Seconds of a span such as ``10m`` or ``1h30m``. Raises UsageError, which names the option."""
    from jobctl.errors import UsageError
    from jobctl.task import units

    try:
        return units.parse_span(text)
    except units.InvalidValue as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from None


def parse_moment(text: str, *, option: str, now_us: int) -> int:
    """The moment that a person named, in µs. Raises UsageError, which names the option.

    Understood are ``2026-11-21 02:30``, with ``T``, seconds and an offset if wanted, ``2026-11-21`` (its
    midnight) and ``02:30`` (the next time that a clock shows it). Without an offset it is the host's
    local time; a time that the clocks skip there, or show twice, is refused.
    """
    return _moment(text, option, now_us, is_past=False)


def _moment(text: str, option: str, now_us: int, *, is_past: bool) -> int:
    from datetime import datetime, timedelta
    from datetime import time as time_of_day

    plain = text.strip()
    try:
        clock_time = time_of_day.fromisoformat(plain) if plain[2:3] == ":" else None
        when = datetime.fromisoformat(plain) if clock_time is None else None
    except ValueError:
        _refuse(option, text, "is not a moment")
    if when is not None and plain.isdecimal():
        _refuse(option, text, "could be a date or a number")
    if when is not None:
        return _to_us(when) if when.tzinfo else _local_to_us(when, option, text)
    assert clock_time is not None
    if clock_time.tzinfo is not None:
        _refuse(option, text, "has an offset but no date")
    today = datetime.fromtimestamp(now_us // _SECOND_US).date()  # noqa: DTZ006 -- the host's day is meant
    moment = _local_to_us(datetime.combine(today, clock_time), option, text)
    if is_past is (moment <= now_us):
        return moment
    other = today - timedelta(days=1) if is_past else today + timedelta(days=1)
    return _local_to_us(datetime.combine(other, clock_time), option, text)


def parse_past(text: str, *, option: str, now_us: int) -> int:
    """A moment as in `parse_moment`, but ``02:30`` is the last time that a clock showed it; or a span
    before now such as ``2h``. In µs. Raises UsageError."""
    plain = text.strip()
    if plain[-1:].isalpha() and not plain.endswith(("Z", "z")):
        return now_us - round(parse_span(plain, option=option) * _SECOND_US)
    return _moment(text, option, now_us, is_past=True)


def parse_asked(text: str, *, option: str, now_us: int) -> tuple[int | None, str | None]:
    """A moment that is asked about: ``(µs, None)`` of one with an offset or of a span before now, else
    ``(None, text)``, a local time of which only the zone of a schedule can say what it means.

    Raises UsageError: it is neither.
    """
    from datetime import datetime

    plain = text.strip()
    if plain[-1:].isalpha() and not plain.endswith(("Z", "z")):
        return parse_past(plain, option=option, now_us=now_us), None
    if plain.isdecimal():
        _refuse(option, text, "could be a date or a number")
    if plain[2:3] == ":":
        return None, plain
    try:
        when = datetime.fromisoformat(plain)
    except ValueError:
        _refuse(option, text, "is not a moment")
    return (None, plain) if when.tzinfo is None else (_to_us(when), None)


def parse_moment_or_span(text: str, *, option: str, now_us: int) -> int:
    """A moment as in `parse_moment`, or a span from now such as ``10m``; in µs. Raises UsageError."""
    plain = text.strip()
    if plain.replace(".", "", 1).isdecimal():
        _refuse(option, text, "could be a number of seconds or a date")
    if plain[-1:].isalpha() and not plain.endswith(("Z", "z")):
        return now_us + round(parse_span(plain, option=option) * _SECOND_US)
    return parse_moment(text, option=option, now_us=now_us)


def _to_us(when: datetime) -> int:
    from datetime import UTC, datetime, timedelta

    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _local_to_us(when: datetime, option: str, text: str) -> int:
    try:
        first = when.replace(fold=0).astimezone()
        second = when.replace(fold=1).astimezone()
    except (OverflowError, ValueError, OSError):
        _refuse(option, text, "lies too far away")
    if first.replace(tzinfo=None) != when:
        # The clocks jump over it: whatever is asked for, this host never shows that time.
        _refuse(option, text, "does not exist here: the clocks are put forward over it")
    if first.utcoffset() != second.utcoffset():
        choices = " or ".join(f'"{choice.isoformat(sep=" ")}"' for choice in (first, second))
        _refuse(
            option, text, "happens twice here, because the clocks are put back", f"Write {choices}."
        )
    return _to_us(first)


def _refuse(option: str, text: str, why: str, hint: str = "") -> NoReturn:
    from jobctl.errors import UsageError
    from jobctl.task.units import shown as quoted

    raise UsageError(
        f"{option}: {quoted(text)} {why}",
        hint=hint or 'Write "2026-11-21 02:30", "02:30" or "2026-11-21T02:30:00+01:00".',
    )
