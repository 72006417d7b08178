"""One schedule as a page of text: labelled lines, the same on a terminal and in a pipe.

The lines may hold anything that somebody named; whoever prints them escapes.
"""

from __future__ import annotations

import pwd
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jobctl.cli.page import argument_lines
from jobctl.cli.times import iso, shown
from jobctl.task.units import format_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MICRO = 1_000_000


def schedule_page(schedule: dict[str, Any], *, exact: bool) -> list[tuple[str, str]]:
    """Labels and texts of a schedule that the daemon answered to ``show_schedule``.

    A label that follows itself continues. ``exact`` gives moments of the past as ISO 8601 with offset, for
    programs; otherwise they are the host's local times. Instants to come always name their offset, in the
    schedule's own zone.
    """
    moment = iso if exact else shown
    return [
        *_rule(schedule),
        ("state", standing(schedule, exact=exact)),
        ("source", _source(schedule, moment)),
        *argument_lines(schedule),
        *_limits(schedule, moment),
        *_policies(schedule),
        ("runs", _runs(schedule)),
        *_next(schedule, schedule.get("next") or []),
        *(("last", _fire(fire, moment)) for fire in schedule.get("fires") or ()),
        *((f"lint {lint['code']}", lint["message"]) for lint in schedule.get("lints") or ()),
    ]


def changes_shown(schedule: dict[str, Any], *, exact: bool, count: int) -> list[tuple[str, str]]:
    """The lines of the page that a person wants to see after a change."""
    lines = _rule(schedule)
    if schedule.get("state") != "active":
        lines.append(("state", standing(schedule, exact=exact)))
    return lines + _next(schedule, (schedule.get("next") or [])[:count])


def standing(schedule: dict[str, Any], *, exact: bool) -> str:
    """The state in words: ``active``, ``paused until 2026-11-21 08:00:00``, ``held (no such task "x")``."""
    state = str(schedule.get("state"))
    if state == "paused" and schedule.get("paused_until") is not None:
        return f"paused until {(iso if exact else shown)(schedule['paused_until'])}"
    reason = schedule.get("reason")
    return f"{state} ({reason})" if reason else state


def instants(moments: Iterable[int], timezone: str | None) -> list[str]:
    """Moments as ISO 8601 with the offset of a zone; of the host's if it cannot be known here."""
    try:
        zone = ZoneInfo(timezone or "")
    except (ValueError, OSError, KeyError):
        return [iso(moment) for moment in moments]
    return [datetime.fromtimestamp(moment / _MICRO, zone).isoformat() for moment in moments]


def _rule(schedule: dict[str, Any]) -> list[tuple[str, str]]:
    normal, expression = schedule.get("normal"), schedule.get("expression")
    return [
        ("name", str(schedule["name"])),
        ("task", str(schedule.get("task"))),
        ("schedule", str(normal if normal is not None else expression)),
        *([("words", str(schedule["words"]))] if schedule.get("words") else []),
        ("timezone", str(schedule.get("timezone"))),
    ]


def _source(schedule: dict[str, Any], moment: Callable[[int], str]) -> str:
    if not schedule.get("stored"):
        return str(schedule.get("source"))
    told = f"set by command: {_user(schedule.get('set_by'))}"
    return f"{told}, {moment(schedule['set_at'])}" if schedule.get("set_at") else told


def _user(uid: int | None) -> str:
    if uid is None:
        return "somebody"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _limits(schedule: dict[str, Any], moment: Callable[[int], str]) -> list[tuple[str, str]]:
    lines = []
    for label, name in (("start", "start_at"), ("end", "end_at")):
        if schedule.get(name) is not None:
            lines.append((label, moment(schedule[name])))
    for label, name in (("jitter", "jitter_s"), ("expires", "expires_s")):
        if schedule.get(name):
            lines.append((label, format_span(schedule[name])))
    return lines


def _policies(schedule: dict[str, Any]) -> list[tuple[str, str]]:
    missed = str(schedule.get("on_missed"))
    if schedule.get("missed_within_s") is not None:
        missed += f", of the last {format_span(schedule['missed_within_s'])}"
    if missed.startswith("all") and schedule.get("missed_limit") is not None:
        missed += f", at most {schedule['missed_limit']}"
    return [("on_overlap", str(schedule.get("on_overlap"))), ("on_missed", missed)]


def _runs(schedule: dict[str, Any]) -> str:
    most = schedule.get("max_runs")
    return str(schedule.get("runs")) + (f" of {most}" if most is not None else "")


def _next(schedule: dict[str, Any], moments: list[int]) -> list[tuple[str, str]]:
    if not moments:
        return [("next", "none")]
    return [("next", text) for text in instants(moments, schedule.get("timezone"))]


def _fire(fire: dict[str, Any], moment: Callable[[int], str]) -> str:
    last = fire.get("last")
    parts = [moment(fire["at"])]
    if last is not None and last != fire["at"]:
        parts = [f"{moment(fire['at'])} to {moment(last)}, {fire.get('count')} instants"]
    parts.append(str(fire.get("fate")))
    if fire.get("job_id") is not None:
        parts.append(f"job {fire['job_id']}")
    if fire.get("reason"):
        parts.append(f"({fire['reason']})")
    return "  ".join(parts)
