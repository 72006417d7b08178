"""Requests about queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.dispatcher.purge import HIGHEST, Position, waiting_in
from jobctl.errors import NotFound, UsageError
from jobctl.store import jobs as job_rows
from jobctl.store import queues as queue_rows

if TYPE_CHECKING:
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def pause(station: Station, call: Call, request: requests.Pause) -> dict[str, Any]:
    """Pause or resume a queue; running jobs are not touched."""
    name = request.queue
    _refuse_unknown(station, name)
    if request.paused:
        queue_rows.pause(station.database, name=name, now=station.clock.now())
    else:
        queue_rows.resume(station.database, name=name)
    station.dispatcher.note_pause(name, is_paused=request.paused)
    return {"queue": name, "paused": request.paused}


def purge(station: Station, call: Call, request: requests.Purge) -> dict[str, Any]:
    """Revoke a slice of what waits in a queue; running jobs are not touched."""
    name = request.queue
    _refuse_unknown(station, name)
    until = request.until
    if until is None:
        until = job_rows.highest_id(station.database)
    waiting, position = waiting_in(
        station.database, queue=name, until=until, position=_position(request.next)
    )
    revoked = station.dispatcher.purge(waiting, station.clock.now())
    return {
        "queue": name,
        "revoked": revoked,
        "until": until,
        "next": None if position is None else list(position),
    }


def _position(given: list[Any] | None) -> Position:
    match given:
        case None:
            return Position()
        case [str(line), int(priority), int(after)] if abs(priority) <= HIGHEST and after >= 0:
            return Position(line, priority, after)
        case _:
            raise UsageError("next is what the answer before gave")


def _refuse_unknown(station: Station, queue: str) -> None:
    plan = station.plan
    if queue not in plan.queues and not plan.groups_serving(queue):
        raise NotFound(f'there is no queue "{queue}"', hint="jobctl queue list shows them.")
