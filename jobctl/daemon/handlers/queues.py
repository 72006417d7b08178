"""Requests about queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.dispatcher.purge import HIGHEST, Position, waiting_in
from jobctl.errors import NotFound, UsageError
from jobctl.store import jobs as job_rows
from jobctl.store import queues as queue_rows
from jobctl.task.contradictions import burst_faults
from jobctl.task.keys import write_values
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.plan import Plan
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


LIMITS: Final = ("concurrency", "rate_limit", "rate_burst")
"""The keys of a queue's table that a command may set."""


def limit(
    station: Station, call: Call, request: requests.Limit
) -> dict[str, Any] | Callable[[], None]:
    """Set limits of a queue, or tell them; those that wait go by them at once."""
    name = request.queue
    _refuse_unknown(station, name)
    known = queue_rows.limits(station.database)
    if request.limits is None and not request.reset:
        return _describe_limits(station.plan, name, known.get(name))
    kept = {} if request.reset else known.get(name, {})
    wanted = {**kept, **(request.limits or {})}
    if "rate_limit" in (request.limits or {}) and "rate_burst" not in (request.limits or {}):
        wanted.pop("rate_burst", None)
    plan = _with_limits(station.plan, {**known, name: wanted}, name)
    queue_rows.limit(station.database, name=name, limits=wanted or None)
    answer = _describe_limits(plan, name, wanted)

    def bring_into_force() -> None:
        # By what is in force then: another request of this turn may have changed it.
        station.plan = station.plan.with_limits(queue_rows.limits(station.database))
        station.dispatcher.go_by(station.plan)
        station.patterns.clear()
        call.answer(answer)

    return bring_into_force


def _with_limits(plan: Plan, limits: Mapping[str, Mapping[str, Any]], name: str) -> Plan:
    """The plan with these limits. Raises UsageError."""
    unknown = limits[name].keys() - set(LIMITS)
    if unknown:
        raise UsageError(f'"{min(unknown)}" is no limit of a queue', hint=", ".join(LIMITS))
    try:
        limited = plan.with_limits(limits)
    except InvalidValue as invalid:
        raise UsageError(f'queue "{name}": {invalid}', hint=invalid.hint) from None
    queue = limited.queue(name)
    for fault in burst_faults({"rate_limit": queue.rate_limit, "rate_burst": queue.rate_burst}):
        raise UsageError(f'queue "{name}": {fault.message}', hint=fault.hint)
    return limited


def _describe_limits(plan: Plan, name: str, written: Mapping[str, Any] | None) -> dict[str, Any]:
    told = write_values(plan.queue(name))
    return {
        "queue": name,
        **{key: told.get(key) for key in LIMITS},
        "set": sorted(written or ()),
    }


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
