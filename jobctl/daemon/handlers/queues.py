"""Requests about queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.errors import NotFound
from jobctl.store import queues as queue_rows

if TYPE_CHECKING:
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def pause(station: Station, call: Call, request: requests.Pause) -> dict[str, Any]:
    """Pause or resume a queue; running jobs are not touched."""
    name = request.queue
    if name not in station.plan.queues and not station.plan.groups_serving(name):
        raise NotFound(f'there is no queue "{name}"', hint="jobctl inspect queues lists them.")
    if request.paused:
        queue_rows.pause(station.database, name=name, now=station.clock.now())
    else:
        queue_rows.resume(station.database, name=name)
    station.dispatcher.note_pause(name, is_paused=request.paused)
    return {"queue": name, "paused": request.paused}
