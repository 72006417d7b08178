"""The audit trail: which request of whom changed what. What may be secret is never part of it.

A change is noted in the transaction that makes it: neither is there without the other. What makes no
transaction of its own, or one much later (a reload, a stop), is noted when it has been asked for and was not
refused. Jobs have their submitter in their row, and are not noted.
"""

from __future__ import annotations

import json
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from jobctl.protocol import requests
from jobctl.store import changes as change_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.store.database import Database


class Noted(StrEnum):
    """When a request is noted."""

    IN_TURN = "in turn"
    """In the turn's transaction."""
    IN_STEP = "in step"
    """In the durable step that its handler makes."""
    ASKED = "asked"
    """When it was asked for."""


TRAIL: Final[Mapping[type[requests.Request], Noted]] = {
    requests.Cancel: Noted.IN_TURN,
    requests.Forget: Noted.IN_TURN,
    requests.Retry: Noted.IN_TURN,
    requests.RunSchedule: Noted.IN_TURN,
    requests.Pause: Noted.IN_TURN,
    requests.Purge: Noted.IN_TURN,
    requests.Limit: Noted.IN_TURN,
    requests.Scale: Noted.IN_TURN,
    requests.AddSchedule: Noted.IN_STEP,
    requests.EditSchedule: Noted.IN_STEP,
    requests.RemoveSchedule: Noted.IN_STEP,
    requests.DisableSchedule: Noted.IN_STEP,
    requests.EnableSchedule: Noted.IN_STEP,
    requests.PauseJob: Noted.ASKED,
    requests.TestRoute: Noted.IN_TURN,
    requests.Restart: Noted.ASKED,
    requests.Backup: Noted.ASKED,
    requests.Prune: Noted.ASKED,
    requests.Reload: Noted.ASKED,
    requests.Stop: Noted.ASKED,
}
"""Every request that changes something but submits no job."""

_SUBJECTS: Final = ("job", "queue", "group", "name", "route", "path")
_HIDDEN: Final = frozenset({"table", "typed", "raw", "key", "next"})
_MOST_CHARACTERS: Final = 1000


def note(database: Database, now: Moment, call: Call) -> None:
    """Note what a request has changed, inside a transaction; nothing, if it only looks or goes on."""
    told = told_of(call.request)
    if told is not None:
        subject, detail = told
        change_rows.add(
            database,
            at=now,
            uid=call.uid,
            request=call.request.do,
            subject=subject,
            detail=detail,
        )


def told_of(request: requests.Request) -> tuple[str, str] | None:
    """``(subject, detail)`` of a request; None when it changes nothing, or was noted with its first slice."""
    match request:
        case requests.Limit() if request.limits is None and not request.reset:
            return None
        case requests.Scale() if (
            request.processes is request.commands is None and not request.reset
        ):
            return None
        case requests.Purge() if request.until is not None:
            return None
        case _:
            pass
    said = {
        field.name: getattr(request, field.name)
        for field in fields(request)  # type: ignore[arg-type]
        if getattr(request, field.name) != field.default
    }
    subject = next((str(said.pop(name)) for name in _SUBJECTS if name in said), "")
    if "table" in said:
        # The names of its keys: the arguments of a job may hold anything.
        said["keys"] = sorted(said["table"])
    shown = {name: value for name, value in said.items() if name not in _HIDDEN}
    return subject, _text(shown)[:_MOST_CHARACTERS]


def _text(shown: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in shown.items()
    )
