"""What was said on the line of ``schedule add`` and ``schedule edit`` as keys of a ``[schedules.X]`` table.

Values are handed on as they were written: the daemon reads them as it reads a file's. Only what means
something else a minute later (``in 2h``, ``18:00``) becomes a moment here, so that a request may be
repeated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

WHEN: Final = ("cron", "every", "at", "solar")
"""The options that say when a schedule is due; a schedule has one of them."""

_MOMENTS: Final = ("at", "start", "end")
_CLOCK_TIME: Final = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_FROM_NOW: Final = re.compile(r"(?:in\s+|\+\s*)(.+)", re.IGNORECASE)
_SECOND_US: Final = 1_000_000
_WHEN_HINT: Final = (
    'Write --cron "30 2 * * *", --every 30s, --at "2026-12-24 18:00", --solar "sunset 52.5 13.4" '
    "or --reboot."
)


def read_when(options: Mapping[str, str | None], *, reboot: bool, needed: bool) -> dict[str, str]:
    """The one option that says when, as a key of the table; empty when there is none and none is needed.

    ``options`` are the texts behind the options of `WHEN`, by their names. Raises UsageError for several,
    and for none that is needed.
    """
    said = [name for name in WHEN if options.get(name) is not None]
    options_said = [f"--{name}" for name in said] + (["--reboot"] if reboot else [])
    if len(options_said) > 1:
        raise UsageError(
            f"{' and '.join(options_said)} exclude each other: a schedule has one rule",
            hint="Use one of them; add a second schedule for the other.",
        )
    if reboot:
        return {"cron": "@reboot"}
    if not said:
        if needed:
            raise UsageError("nothing says when it is due", hint=_WHEN_HINT)
        return {}
    (name,) = said
    return {name: options[name] or ""}


def with_moments(
    table: Mapping[str, Any], *, now_us: int, timezone: str | None, host_zone: str
) -> dict[str, Any]:
    """The table with ``at``, ``start`` and ``end`` as moments that mean the same at any time.

    ``timezone`` is what ``--timezone`` said; without it what depends on now is meant in the host's zone.
    """
    return {
        name: moment_text(value, option=f"--{name}", now_us=now_us, timezone=timezone or host_zone)
        if name in _MOMENTS
        else value
        for name, value in table.items()
    }


def moment_text(text: str, *, option: str, now_us: int, timezone: str) -> str:
    """A moment of the table: ``in 2h`` and ``18:00`` (the next time that clocks show it in ``timezone``)
    as ISO 8601 with offset; any other text as it is, for the daemon to read.

    Raises UsageError for a span that is no moment, ScheduleError for an unknown zone.
    """
    from jobctl.cli import times

    plain = text.strip()
    from_now = _FROM_NOW.fullmatch(plain)
    if from_now is not None:
        span_us = round(times.parse_span(from_now[1], option=option) * _SECOND_US)
        return _iso(_whole_second(now_us + span_us), timezone)
    if _CLOCK_TIME.fullmatch(plain):
        return _next_clock_time(plain, option=option, now_us=now_us, timezone=timezone)
    if re.fullmatch(r"([0-9.]+\s*[A-Za-z]+\s*)+", plain):
        raise UsageError(
            f'{option}: "{plain}" is a span, not a moment',
            hint=f'Write {option} "in {plain}", or --every {plain} for a repetition.',
        )
    return text


def _next_clock_time(plain: str, *, option: str, now_us: int, timezone: str) -> str:
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from jobctl.schedule.clocked import parse_clocked
    from jobctl.schedule.zone import zone_named

    zone_named(timezone)  # an unknown one is told in the words of schedules
    clock_time = plain if plain[1] != ":" else f"0{plain}"
    today = datetime.fromtimestamp(now_us // _SECOND_US, ZoneInfo(timezone)).date()
    moments = [
        parse_clocked(f"{day.isoformat()}T{clock_time}", timezone=timezone)
        for day in (today, today + timedelta(days=1))
    ]
    return next(moment.normal for moment in moments if moment.at_us > now_us)


def _whole_second(moment_us: int) -> int:
    """The second that begins at the moment or after it."""
    return -(-moment_us // _SECOND_US) * _SECOND_US


def _iso(moment_us: int, timezone: str) -> str:
    from jobctl.schedule.clocked import moment_text as iso_text
    from jobctl.schedule.zone import zone_named

    return iso_text(zone_named(timezone), moment_us)
