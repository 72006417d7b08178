"""Requests that look into the daemon, as users of ``celery inspect`` expect them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from jobctl import __version__
from jobctl.clock import SECOND
from jobctl.daemon.handlers.jobs import LISTED_BYTES, describe
from jobctl.daemon.handlers.queues import LIMITS
from jobctl.daemon.handlers.workers import groups
from jobctl.errors import UsageError
from jobctl.plan.senders import QUEUE as MESSAGES
from jobctl.plan.senders import is_ours
from jobctl.store import jobs as job_rows
from jobctl.store import queues as queue_rows
from jobctl.store.jobs import is_ready_line, owner_of
from jobctl.task.keys import write_values

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.plan import Queue
    from jobctl.protocol import requests

MAX_ROWS: Final = 1000


def inspect(
    station: Station, call: Call, request: requests.Inspect
) -> dict[str, Any] | Generator[None, None, dict[str, Any]]:
    """Look at one side of the daemon."""
    look = _LOOKS.get(request.what)
    if look is None:
        raise UsageError(
            f'there is nothing to inspect called "{request.what}"', hint=", ".join(_LOOKS)
        )
    if not 1 <= request.limit <= MAX_ROWS:
        raise UsageError(f"limit lies between 1 and {MAX_ROWS}")
    return look(station, request.limit)


def _ping(station: Station, limit: int) -> dict[str, Any]:
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": (station.clock.now() - station.started_at) / SECOND,
        "daemon": "up" if station.ask_stop is not None else "down",
        "trouble": station.trouble(),
    }


def _active(station: Station, limit: int) -> dict[str, Any]:
    return {"jobs": _held(station, limit, is_begun=True)}


def _reserved(station: Station, limit: int) -> dict[str, Any]:
    return {"jobs": _held(station, limit, is_begun=False)}


def _held(station: Station, limit: int, *, is_begun: bool) -> list[dict[str, Any]]:
    """The jobs that workers hold: begun, or waiting in a worker's batch."""
    begun = station.engine.begun()
    found: list[dict[str, Any]] = []
    for running in job_rows.started(station.database):
        if is_ours(running.task or ""):
            continue
        if (running.token in begun) is not is_begun:
            continue
        if len(found) == limit:
            break
        row = job_rows.get(station.database, running.id, longest_bytes=LISTED_BYTES)
        assert row is not None
        described = describe(station, row)
        kept = ("id", "task", "command", "queue", "started_at", "left_out")
        found.append(
            {
                **{name: described[name] for name in kept},
                "number": running.number,
                "worker": running.worker,
            }
        )
    return found


def _scheduled(station: Station, limit: int) -> dict[str, Any]:
    rows = job_rows.scheduled(station.database, limit=limit, longest_bytes=LISTED_BYTES)
    kept = ("id", "task", "command", "state", "eta", "queue", "reason", "left_out")
    found = [describe(station, row) for row in rows if row["queue"] != MESSAGES]
    return {"jobs": [{name: described[name] for name in kept} for described in found]}


def _registered(station: Station, limit: int) -> dict[str, Any]:
    plan = station.plan
    return {
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind.value,
                "queue": task.queue,
                "source": str(task.source),
                "description": task.description,
                "unavailable": plan.unavailable.get(task.name),
            }
            for task in sorted(plan.tasks.values(), key=lambda task: task.name)
            if not is_ours(task.name)
        ]
    }


def _queues(station: Station, limit: int) -> dict[str, Any]:
    lines = job_rows.count_lines(station.database)
    names = set(station.plan.queues)
    ready: dict[str, int] = {}
    for line, count in lines.items():
        if is_ready_line(line):
            queue, _ = owner_of(line)
            ready[queue] = ready.get(queue, 0) + count
    running: dict[str, int] = {}
    for queue, _, count in job_rows.count_started(station.database):
        running[queue] = running.get(queue, 0) + count
    names |= ready.keys() | running.keys()
    limited = queue_rows.limits(station.database)
    return {
        "queues": [
            {
                "name": name,
                "paused": name in station.dispatcher.paused,
                "ready": ready.get(name, 0),
                "running": running.get(name, 0),
                **_limits_of(station.plan.queue(name)),
                "set": sorted(limited.get(name, ())),
                "workers": [group.name for group in station.plan.groups_serving(name)],
            }
            for name in sorted(names)
            if name != MESSAGES
        ],
        "waiting_for_their_time": lines.get("eta", 0),
        "waiting_for_their_key": lines.get("gate", 0),
    }


def _limits_of(queue: Queue) -> dict[str, Any]:
    told = write_values(queue)
    return {key: told.get(key) for key in LIMITS}


def _workers(station: Station, limit: int) -> dict[str, Any]:
    return {"workers": station.engine.workers()}


def _stats(station: Station, limit: int) -> dict[str, Any]:
    counters = station.counters
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": (station.clock.now() - station.started_at) / SECOND,
        "turns": counters.turns,
        "requests": counters.requests,
        "submitted": counters.submitted,
        "started": counters.started,
        "ended": counters.ended,
        "commits": counters.commits,
        "mean_commit_s": counters.commit_seconds / max(counters.commits, 1),
        "longest_commit_s": counters.longest_commit_s,
        "longest_turn_s": counters.longest_turn_s,
        "running": station.engine.busy(),
        "waiting_clients": len(station.waiters),
        **{f"line {name}": count for name, count in _lines(station).items()},
    }


def _lines(station: Station) -> dict[str, int]:
    lines = job_rows.count_lines(station.database)
    return {name: count for name, count in sorted(lines.items()) if not name.startswith("w/")}


def _conf(station: Station, limit: int) -> dict[str, Any]:
    return dict(station.plan.to_json())


_LOOKS: dict[
    str, Callable[[Station, int], dict[str, Any] | Generator[None, None, dict[str, Any]]]
] = {
    "ping": _ping,
    "active": _active,
    "reserved": _reserved,
    "scheduled": _scheduled,
    "registered": _registered,
    "queues": _queues,
    "workers": _workers,
    "groups": groups,
    "stats": _stats,
    "conf": _conf,
}
