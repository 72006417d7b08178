"""From the text of a schedule to its value: the one place that knows all kinds."""

from __future__ import annotations

import re
from typing import TypeVar

from jobctl.schedule.base import Kind, Schedule, ScheduleError
from jobctl.schedule.clocked import parse_clocked
from jobctl.schedule.crontab import parse_crontab
from jobctl.schedule.fields import Dialect
from jobctl.schedule.interval import parse_interval
from jobctl.schedule.solar import SolarEvent, parse_solar
from jobctl.schedule.zone import zone_named
from jobctl.task.keys import nearest

_Closed = TypeVar("_Closed", Kind, Dialect)

_LONGEST = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def parse_schedule(
    kind: str,
    expression: str,
    *,
    timezone: str = "UTC",
    anchor_at: int | None = None,
    dialect: str = "cronie",
    host_seed: str = "",
) -> Schedule:
    """The schedule that the expression means. Raises ScheduleError with what was probably meant.

    ``kind`` and the expression: ``interval``, a span (``30s``, ``1h30m``, seconds alone);
    ``crontab``, five fields, with seconds six, or a nickname; ``clocked``, a moment in ISO 8601;
    ``solar``, ``sunset 52.52 13.40`` or a JSON object with event, latitude and longitude.

    ``timezone`` is an IANA name. ``anchor_at`` (microseconds since the epoch) is for intervals:
    without it they are aligned. ``dialect`` is for crontabs: ``cronie`` or ``celery``.
    ``host_seed`` decides what ``H`` and ``~`` draw: the same text always draws the same.

    A crontab without any instant is refused; a clocked moment is not judged, since nothing here
    knows the time. Reads zone data at the first use of a zone, and nothing else from the outside.
    """
    text = checked_text(expression)
    match _one_of(Kind, kind, "kind of schedule"):
        case Kind.INTERVAL:
            return parse_interval(text, timezone=zone_named(timezone).name, anchor_at=anchor_at)
        case Kind.CRONTAB:
            return parse_crontab(
                text,
                timezone=timezone,
                dialect=_one_of(Dialect, dialect, "dialect"),
                seed=host_seed,
            )
        case Kind.CLOCKED:
            return parse_clocked(text, timezone=timezone)
        case Kind.SOLAR:
            return parse_solar(text, timezone=timezone)


def kind_of(expression: str) -> Kind:
    """The kind that an expression given without one is of. Judges by its shape alone.

    Anything that looks like none of the others is taken for a crontab, whose messages know most.
    """
    text = expression.strip()
    if text.startswith("{") or re.split(r"[\s@]", text, maxsplit=1)[0] in list(SolarEvent):
        return Kind.SOLAR
    if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?!-)", text):
        return Kind.CLOCKED
    if re.fullmatch(r"[0-9.]+|([0-9.]+\s*[A-Za-z]+\s*,?\s*(and\s+)?)+", text):
        return Kind.INTERVAL
    return Kind.CRONTAB


def checked_text(expression: str) -> str:
    """The expression without blanks around it. Raises ScheduleError for what no schedule can be:

    empty, too long, or with characters that must not get into messages.
    """
    if len(expression) > _LONGEST:
        raise ScheduleError(
            f"a schedule of {len(expression)} characters", f"{_LONGEST} are the most."
        )
    text = expression.strip()
    if not text:
        raise ScheduleError("an empty schedule", 'Write "30s", "0 2 * * *" or a moment.')
    if _CONTROL.search(text) or not text.isascii():
        raise ScheduleError(
            f"{text!a} holds characters that no schedule has",
            "Was it copied from a web page? Type it again.",
        )
    return text


def _one_of(closed: type[_Closed], name: str, what: str) -> _Closed:
    try:
        return closed(name)
    except ValueError:
        near = nearest(name, list(closed))
        hint = f'Did you mean "{near}"?' if near else "One of: " + ", ".join(closed) + "."
        raise ScheduleError(f'unknown {what} "{name}"', hint) from None
