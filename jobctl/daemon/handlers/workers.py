"""Requests about worker groups."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND
from jobctl.daemon.groups import sizes_of
from jobctl.engine.local.worker import Phase
from jobctl.errors import JobctlError, NotAllowed, UsageError
from jobctl.store import worker_groups as group_rows
from jobctl.task.units import InvalidValue
from jobctl.worker import processes
from jobctl.worker.instance import TICKS_PER_S, process_start

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.plan import Plan
    from jobctl.protocol import requests

_SLICE: Final = 200
"""Processes that are looked at in one slice: two files of each."""


def scale(
    station: Station, call: Call, request: requests.Scale
) -> dict[str, Any] | Callable[[], None]:
    """Set how much a worker group runs at once, or tell it. What runs goes on."""
    group = station.plan.group(request.group)
    known = group_rows.sizes(station.database)
    asked = {
        name: count
        for name, count in (("processes", request.processes), ("commands", request.commands))
        if count is not None
    }
    if not asked and not request.reset:
        return _describe_size(station.plan, group.name, known.get(group.name, {}))
    if "processes" in asked and not station.plan.modules_of(group):
        raise UsageError(
            f'worker group "{group.name}" has no functions: a number of workers changes nothing in it',
            hint=f"How many commands it runs at once: jobctl worker scale {group.name} --commands N",
        )
    size = {**({} if request.reset else known.get(group.name, {})), **asked}
    try:
        plan = station.plan.with_sizes({**known, group.name: size})
    except InvalidValue as invalid:
        raise UsageError(
            f'worker group "{group.name}": {invalid.message}', hint=invalid.hint
        ) from None
    group_rows.resize(station.database, name=group.name, size=size)
    answer = _describe_size(plan, group.name, size)

    def bring_into_force() -> None:
        # By what is in force then: another request of this turn may have changed it.
        station.plan = station.plan.with_sizes(group_rows.sizes(station.database))
        station.engine.resize(sizes_of(station.plan))
        call.answer(answer)

    return bring_into_force


def restart(station: Station, call: Call, request: requests.Restart) -> None:
    """Replace the processes of a worker group; answered when new ones are being forked."""
    if station.ask_restart is None:
        raise NotAllowed("no daemon is running; there is nothing to restart")

    def answer(end: int | JobctlError) -> None:
        if isinstance(end, JobctlError):
            call.refuse(end)
        else:
            template = station.engine.templates().get(request.group)
            call.answer({"group": request.group, "replaced": end, "template": template})

    station.ask_restart(request.group, answer)


def groups(station: Station, _limit: int) -> Generator[None, None, dict[str, Any]]:
    """Every worker group with its processes, a slice of them at a time: each is looked for in /proc."""
    workers = station.engine.workers()
    running: Counter[tuple[str, str]] = Counter()
    for worker in workers:
        running[worker["group"], worker["kind"]] += worker["running"]
    templates = station.engine.templates()
    written = group_rows.sizes(station.database)
    found: dict[str, dict[str, Any]] = {}
    for group in station.plan.groups.values():
        pid = templates.get(group.name)
        found[group.name] = {
            **_describe_size(station.plan, group.name, written.get(group.name, {})),
            "pool": group.pool,
            "concurrency": group.side_by_side or 1,
            "queues": list(group.queues),
            "functions_running": running[group.name, "function"],
            "commands_running": running[group.name, "keeper"],
            "template": None if pid is None else _describe_process(station, pid),
            "workers": [],
        }
    for number, worker in enumerate(workers, start=1):
        if worker["group"] in found:
            found[worker["group"]]["workers"].append(
                {
                    "instance": worker["instance"],
                    "kind": worker["kind"],
                    **_describe_process(station, worker["pid"]),
                    "state": _state_of(worker),
                    "made": worker["made"],
                    "attempts": worker["attempts"],
                }
            )
        if number % _SLICE == 0:
            yield
    return {"groups": list(found.values())}


def _describe_process(station: Station, pid: int | None) -> dict[str, Any]:
    if pid is None:
        return {"pid": None, "age_s": None, "memory_bytes": None}
    try:
        born_us = process_start(pid) * SECOND // TICKS_PER_S
    except OSError:
        return {"pid": pid, "age_s": None, "memory_bytes": None}
    age_s = max(station.clock.since_boot() - born_us, 0) / SECOND
    return {"pid": pid, "age_s": age_s, "memory_bytes": processes.resident_bytes(pid)}


def _state_of(worker: Mapping[str, Any]) -> str:
    match Phase(worker["phase"]):
        case Phase.STARTING:
            return "starting"
        case Phase.DYING:
            return "dying"
        case Phase.GREETING:
            return "silent"
        case Phase.SERVING:
            pass
    if worker["retiring"]:
        return "leaving"
    if worker["worn"]:
        return "being replaced"
    if worker["blocked_by"] is not None:
        return "blocked"
    if worker["paused"]:
        return "paused"
    if worker["attempts"]:
        return "busy"
    return "left-overs" if worker["leftovers"] else "idle"


def _describe_size(plan: Plan, name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    group = plan.groups[name]
    return {
        "group": name,
        "processes": group.processes,
        "commands": group.commands,
        "set": sorted(written),
    }
