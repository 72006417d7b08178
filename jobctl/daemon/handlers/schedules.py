"""Requests about schedules and their fires."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND
from jobctl.errors import NotFound, UsageError
from jobctl.store import fires as fire_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

MAX_FIRES: Final = 1000


def schedules(station: Station, call: Call, request: requests.Schedules) -> dict[str, Any]:
    """Every schedule of the plan."""
    entries = station.beat.entries()
    found = []
    for name, spec in sorted(station.plan.schedules.items()):
        entry = entries.get(name)
        last = fire_rows.of_schedule(station.database, name=name, before=2**62, limit=1)
        found.append(
            {
                "name": name,
                "task": spec.task,
                "kind": spec.kind,
                "expression": spec.expression,
                "normal": entry.rule.normal if entry else None,
                "timezone": spec.timezone,
                "enabled": spec.enabled,
                "next": entry.next_at if entry else None,
                "last": _describe(last[0], spec.task) if last else None,
                "source": str(spec.source),
            }
        )
    return {"schedules": found}


def next_fires(station: Station, call: Call, request: requests.Next) -> dict[str, Any]:
    """The agenda: the next instants of all schedules, or of one."""
    if not 1 <= request.limit <= MAX_FIRES:
        raise UsageError(f"limit lies between 1 and {MAX_FIRES}")
    entries = station.beat.entries()
    if request.schedule is not None:
        if request.schedule not in entries:
            raise NotFound(
                f'there is no schedule "{request.schedule}"',
                hint="jobctl schedule list shows them.",
            )
        entries = {request.schedule: entries[request.schedule]}
    until = None
    if request.within_s is not None:
        until = station.clock.now() + int(request.within_s * SECOND)
    heap = [(entry.next_at, name) for name, entry in entries.items() if entry.next_at is not None]
    heapq.heapify(heap)
    fires: list[dict[str, Any]] = []
    while heap and len(fires) < request.limit:
        at, name = heapq.heappop(heap)
        if until is not None and at > until:
            break
        entry = entries[name]
        fires.append({"schedule": name, "task": entry.spec.task, "at": at})
        following = entry.rule.next_after(at)
        if following is not None:
            heapq.heappush(heap, (following, name))
    return {"fires": fires}


def history(station: Station, call: Call, request: requests.History) -> dict[str, Any]:
    """What became of the instants of a schedule, or of all schedules of a task; newest first."""
    if not 1 <= request.limit <= MAX_FIRES:
        raise UsageError(f"limit lies between 1 and {MAX_FIRES}")
    name = request.schedule
    plan = station.plan
    names = [name] if name in plan.schedules else [s.name for s in plan.schedules_of(name)]
    if not names and plan.find(name) is None:
        raise NotFound(
            f'there is no schedule and no task "{name}"', hint="jobctl schedule list shows them."
        )
    before = request.before if request.before is not None else 2**62
    fires: list[dict[str, Any]] = []
    for schedule in names:
        rows = fire_rows.of_schedule(
            station.database, name=schedule, before=before, limit=request.limit
        )
        fires.extend(_describe(row, plan.schedules[schedule].task) for row in rows)
    fires.sort(key=lambda fire: -fire["at"])
    return {"fires": fires[: request.limit]}


def _describe(row: Mapping[str, Any], task: str) -> dict[str, Any]:
    return {
        "schedule": row["name"],
        "task": task,
        "at": row["first"],
        "last": row["last"],
        "count": row["count"],
        "fate": row["fate"],
        "job_id": row["job_id"],
        "reason": row["reason"],
    }
