"""A notice in words: the subject of a mail, the text of a chat message, the lines of a body."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from signal import Signals
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND
from jobctl.notify.notice import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN: Final = 12
"""Items of a digest that a subject or a chat message names."""


def about(notice: Mapping[str, Any]) -> str:
    """What the notice is about: the task, the command, or the schedule."""
    name = notice.get("task") or notice.get("command")
    if name is None and notice.get("id") is not None:
        name = f"job {notice['id']}"
    return one_line(str(name or "jobctl"), 120)


def headline(notice: Mapping[str, Any]) -> str:
    """The notice in one line."""
    match notice["event"]:
        case "digest":
            return _headline_of_digest(notice)
        case "test":
            return f"this is a test of the route {notice['route']}"
        case "missed":
            runs = "run" if notice["count"] == 1 else "runs"
            return f"{about(notice)} MISSED {notice['count']} {runs}"
        case "late":
            return f"{about(notice)} is LATE: {_standing(notice)} {span(notice['late_s'])} after it was due"
        case "start":
            return f"{about(notice)} has begun"
        case "recovery":
            failures = notice.get("failures") or 0
            times = "failure" if failures == 1 else "failures"
            return f"{about(notice)} RECOVERED after {failures} {times}"
        case "failure":
            return f"{about(notice)} FAILED{_why(notice)}{_span(notice)}"
        case "retry":
            return f"{about(notice)} failed{_why(notice)} and is tried again"
        case "cancelled":
            return f"{about(notice)} was cancelled{_span(notice)}"
        case "success":
            return f"{about(notice)} succeeded{_span(notice)}"
        case _:
            return f"output of {about(notice)}"


def _standing(notice: Mapping[str, Any]) -> str:
    """Where a late job stands, in a word."""
    words = {"STARTED": "still running", "RETRY": "still failing", "REVOKED": "given up"}
    return words.get(str(notice["state"]), "still waiting")


def _headline_of_digest(notice: Mapping[str, Any]) -> str:
    names: dict[str, None] = dict.fromkeys(about(item) for item in notice["items"])
    named = ", ".join(list(names)[:_SHOWN])
    more = ", …" if len(names) > _SHOWN else ""
    return f"{notice['count']} notifications: {named}{more}"


def why(notice: Mapping[str, Any]) -> str:
    """How the attempt ended, briefly: ``exit 12``, ``killed by SIGKILL``, ``ValueError``; may be empty."""
    if notice.get("verdict") == "timeout":
        return "timed out"
    if notice.get("verdict") == "lost":
        return "lost"
    if notice.get("signal"):
        try:
            return f"killed by {Signals(notice['signal']).name}"
        except ValueError:
            return f"killed by signal {notice['signal']}"
    if notice.get("exit_code") is not None:
        return f"exit {notice['exit_code']}"
    error = notice.get("error") or {}
    return one_line(str(error.get("type") or ""), 80)


def _why(notice: Mapping[str, Any]) -> str:
    found = why(notice)
    return f" ({found})" if found else ""


def _span(notice: Mapping[str, Any]) -> str:
    duration_s = notice.get("duration_s")
    return f" after {span(duration_s)}" if duration_s is not None else ""


def span(seconds: float) -> str:
    """A span for people, no finer than is of use: ``0.4s``, ``3m41s``, ``2h5m``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}m{rest}s" if minutes else f"{rest}s"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours}h{rest}m"


def local(moment: int) -> str:
    """A moment in the zone of this host, and in UTC."""
    there = datetime.fromtimestamp(moment // SECOND, tz=UTC)
    here = there.astimezone()
    shown = f"{here:%Y-%m-%d %H:%M:%S} {here.tzname() or ''}".strip()
    return shown if time.timezone == 0 and not time.daylight else f"{shown} ({there:%H:%M:%S} UTC)"


def facts(notice: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is known, as pairs of a word and a text, in the order in which people look for it."""
    found: list[tuple[str, Any]] = [
        ("host", notice.get("host")),
        ("task", notice.get("task")),
        ("command", notice.get("command")),
        ("job", notice.get("id")),
        ("state", notice.get("state")),
        ("reason", notice.get("reason")),
        ("ended with", why(notice)),
    ]
    if (notice.get("attempt") or 1) > 1:
        found.append(("attempt", notice["attempt"]))
    if (notice.get("failures") or 0) > 1:
        found.append(("in a row", f"{notice['failures']} failures"))
    if notice.get("untold"):
        found.append(("not told before", f"{notice['untold']} failures"))
    moments = ("due", "submitted", "started", "finished")
    found += [(name, _moment(notice.get(f"{name}_at"))) for name in moments]
    if notice.get("duration_s") is not None:
        found.append(("took", span(notice["duration_s"])))
    found += [
        ("tried again", _moment(notice.get("next_at"))),
        ("schedule", notice.get("schedule")),
        ("first", _moment(notice.get("first"))),
        ("last", _moment(notice.get("last"))),
    ]
    error = notice.get("error") or {}
    if error.get("message"):
        found.append(("error", error["message"]))
    return [(name, str(value)) for name, value in found if value not in (None, "")]


def _moment(moment: int | None) -> str | None:
    return None if moment is None else local(moment)
