"""Requests about one schedule: show, add, edit, remove, disable, enable, run.

A schedule that a command adds is kept in the store as the table that a file would hold, and is part of the
plan from the commit on. What files and code declare is changed there and nowhere else; it can be disabled.

Each change is a durable step of its own (`Station.change`), because what it changes, the plan and the
beat's memory, is what further requests of the same turn are judged by. Everything that can be refused is
refused before that step.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from jobctl.arguments import Argument, Exact, Given, Typed, bind, with_defaults
from jobctl.beat import State
from jobctl.daemon.handlers import jobs as job_handlers
from jobctl.daemon.handlers.schedules import describe_fire
from jobctl.errors import Conflict, NotFound, PlanError, UsageError
from jobctl.plan import PlanRefused, ScheduleSpec, check_schedule, details, read_schedule
from jobctl.plan.schedule_table import KINDS, SCHEDULE_KEYS, STORED
from jobctl.protocol.compact import dumps
from jobctl.schedule import moment_of
from jobctl.schedule.explain import explain_schedule
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import schedules as schedule_rows
from jobctl.task import Kind
from jobctl.task.keys import NAME, nearest
from jobctl.task.units import InvalidValue, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jobctl.beat import Entry
    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.plan import Plan
    from jobctl.protocol import requests
    from jobctl.schedule import Schedule
    from jobctl.task.units import Fault

MOST_SHOWN: Final = 100
"""Next instants, and fires, that one answer holds at most."""

MOST_BYTES: Final = 128 * 1024
"""The table of one schedule: it is in memory all the time, and part of every answer about it."""


# -- looking --------------------------------------------------------------------------------------


def show_schedule(station: Station, call: Call, request: requests.ShowSchedule) -> dict[str, Any]:
    """Everything about one schedule."""
    if not 0 <= request.count <= MOST_SHOWN:
        raise UsageError(f"count lies between 0 and {MOST_SHOWN}")
    _found(station, request.name)
    return _describe(station, request.name, count=request.count)


def _found(station: Station, name: str) -> ScheduleSpec:
    """The schedule of this name. Raises NotFound with the nearest one."""
    spec = station.plan.schedules.get(name)
    if spec is None:
        near = nearest(name, tuple(station.plan.schedules))
        hint = f'Did you mean "{near}"?' if near else "jobctl schedule list shows them."
        raise NotFound(f"there is no schedule {shown(name)}", hint=hint)
    return spec


def _describe(station: Station, name: str, *, count: int = 5) -> dict[str, Any]:
    plan, entry = station.plan, station.beat.entries()[name]
    spec = entry.spec
    now = station.clock.now()
    explanation = explain_schedule(
        entry.rule,
        expression=spec.expression,
        from_at=now,
        count=0,
        others=_at_once(station, entry),
    )
    args, kwargs = plan.arguments_of(spec)
    table = schedule_rows.stored_of(station.database, name)
    return {
        "name": name,
        "task": spec.task,
        "kind": spec.kind,
        "expression": spec.expression,
        "normal": explanation.normal,
        "words": explanation.words,
        "timezone": spec.timezone,
        "dialect": spec.dialect,
        **_standing(entry),
        "paused_at": entry.paused_at,
        "source": str(spec.source),
        "stored": spec.is_stored,
        "set_by": table.uid if table is not None else None,
        "set_at": table.at if table is not None else None,
        "args": list(args),
        "kwargs": kwargs,
        "start_at": _moment(spec.start, spec),
        "end_at": _moment(spec.end, spec),
        "jitter_s": spec.jitter_s,
        "expires_s": _expires_s(plan, spec),
        "on_overlap": plan.on_overlap_of(spec),
        "on_missed": plan.on_missed_of(spec),
        "missed_within_s": plan.missed_within_of(spec),
        "missed_limit": plan.missed_limit_of(spec),
        "max_runs": spec.max_runs,
        "runs": entry.runs,
        "next": list(islice(_coming(entry), count)),
        "fires": [
            describe_fire(row, name, spec.task)
            for row in fire_rows.of_schedule(station.database, name=name, before=2**62, limit=count)
        ],
        "lints": [{"code": lint.code.value, "message": lint.message} for lint in explanation.lints],
    }


def _standing(entry: Entry) -> dict[str, Any]:
    """``state``, ``reason``, ``paused_until``."""
    state = entry.state
    reason = None
    if state is State.HELD:
        reason = entry.held_because
    elif state is State.DISABLED and not entry.spec.is_stored:
        reason = f"enabled = false, in {entry.spec.source}"
    return {"state": state.value, "reason": reason, "paused_until": entry.paused_until}


def _coming(entry: Entry) -> Iterator[Moment]:
    """The next instants that will make jobs, as things stand."""
    if entry.state is State.HELD:
        return
    left = None if entry.spec.max_runs is None else entry.spec.max_runs - entry.runs
    instant = entry.next_at
    while instant is not None and left != 0:
        yield instant
        left = None if left is None else left - 1
        instant = entry.rule.next_after(instant)


def _at_once(station: Station, entry: Entry) -> list[Schedule]:
    """The schedules that fire at the same instant next: a look at a number each, and no rule is asked."""
    if entry.next_at is None:
        return []
    return [
        other.rule for other in station.beat.entries().values() if other.next_at == entry.next_at
    ]


def _moment(text: str | None, spec: ScheduleSpec) -> Moment | None:
    return None if text is None else moment_of(text, timezone=spec.timezone or "UTC")


def _expires_s(plan: Plan, spec: ScheduleSpec) -> float | None:
    task = plan.find(spec.task)
    return spec.expires_s or (task.expires_s if task else None)


# -- adding, editing, removing --------------------------------------------------------------------


def add_schedule(station: Station, call: Call, request: requests.AddSchedule) -> dict[str, Any]:
    """Add a schedule to those of the file and the code. The same one again changes nothing."""
    name, plan = request.name, station.plan
    table = _with_values(plan, request.table, request.table, request)
    other = plan.schedules.get(name)
    if other is not None:
        known = schedule_rows.stored_of(station.database, name)
        if known is None or json.loads(known.table) != table:
            raise _taken(name, other)
        return {"schedule": _describe(station, name), "duplicate": True}
    _put(station, call, _judged(station, name, table), table)
    return {"schedule": _describe(station, name), "duplicate": False}


def edit_schedule(station: Station, call: Call, request: requests.EditSchedule) -> dict[str, Any]:
    """Change the keys that are named; everything else stays. What differs comes back as texts."""
    old = _found(station, request.name)
    before = _own_table(station, old, "changed")
    table = _edited(before, request.table, request.unset or ())
    table = _with_values(station.plan, table, request.table, request)
    if table == before:
        return {"schedule": _describe(station, old.name), "changes": []}
    _put(station, call, _judged(station, old.name, table, replaces=True), table)
    changes = list(details(old, station.plan.schedules[old.name]))
    return {"schedule": _describe(station, old.name), "changes": changes}


def remove_schedule(
    station: Station, call: Call, request: requests.RemoveSchedule
) -> dict[str, Any]:
    """Take a schedule out of the store and out of force; its history stays."""
    spec = _found(station, request.name)
    name, database = spec.name, station.database
    if spec.is_stored:
        _bring_into_force(
            station,
            station.plan.without_schedule(name),
            name,
            lambda _now: schedule_rows.unstore(database, name=name),
        )
    elif schedule_rows.stored_of(database, name) is not None:
        # The file has taken its name, so it is not in force: only what is kept of it goes.
        station.change(lambda: _forget(station, name))
    else:
        raise _not_ours(spec, "removed")
    return {"name": name, "task": spec.task}


def _forget(station: Station, name: str) -> list[Callable[[], None]]:
    schedule_rows.unstore(station.database, name=name)
    return []


def _put(station: Station, call: Call, spec: ScheduleSpec, table: dict[str, Any]) -> None:
    """Store a schedule and bring it into force, in place of what it was. Raises UsageError."""
    text = dumps(table)
    if len(text) > MOST_BYTES:
        raise UsageError(
            f"a schedule of {len(text)} bytes, {MOST_BYTES} are the most",
            hint="Put the data into a file and give its name.",
        )

    def store(now: Moment) -> None:
        schedule_rows.store(station.database, name=spec.name, table=text, uid=call.uid, now=now)

    _bring_into_force(station, station.plan.with_schedule(spec), spec.name, store)


def _bring_into_force(
    station: Station, plan: Plan, name: str, store: Callable[[Moment], None] | None = None
) -> None:
    """One durable step to a plan that differs from the one in force in this schedule."""

    def change() -> list[Callable[[], None]]:
        now = station.clock.now()
        bring_into_force = station.beat.change(plan, [name], now)
        if store is not None:
            store(now)

        def after() -> None:
            bring_into_force()
            station.plan = plan

        return [after]

    station.change(change)


def _own_table(station: Station, spec: ScheduleSpec, done: str) -> dict[str, Any]:
    """The table of a schedule that a command has added. Raises PlanError for any other, with its place."""
    known = schedule_rows.stored_of(station.database, spec.name) if spec.is_stored else None
    if known is None:
        raise _not_ours(spec, done)
    table: dict[str, Any] = json.loads(known.table)
    return table


def _not_ours(spec: ScheduleSpec, done: str) -> PlanError:
    return PlanError(
        f'schedule "{spec.name}" stands in {spec.source} and is {done} there, not by a command',
        hint="Edit the file, then: jobctl reload. "
        f"To stop it for a while: jobctl schedule disable {spec.name}",
    )


def _edited(
    before: Mapping[str, Any], changed: Mapping[str, Any], unset: Iterable[str]
) -> dict[str, Any]:
    """The table after an edit. Raises UsageError for a key that cannot be unset."""
    table = dict(before)
    for name in unset:
        if name not in SCHEDULE_KEYS:
            near = nearest(name, tuple(SCHEDULE_KEYS))
            hint = f'Did you mean "{near}"?' if near else f"It has: {', '.join(SCHEDULE_KEYS)}."
            raise UsageError(f"a schedule has no key {shown(name)}", hint=hint)
        if name == "task" or name in KINDS:
            hint = "A schedule has a task and one rule; give another one instead."
            raise UsageError(f'"{name}" has no default', hint=hint)
        table.pop(name, None)
    if KINDS.keys() & changed.keys():
        table = {name: value for name, value in table.items() if name not in KINDS}
    for name, value in changed.items():
        was = table.get(name)
        if name == "kwargs" and isinstance(value, dict) and isinstance(was, dict):
            table[name] = {**was, **value}
        else:
            table[name] = value
    return table


def _taken(name: str, other: ScheduleSpec) -> PlanError:
    if other.is_stored:
        return PlanError(
            f'there is a schedule "{name}" already, and it is another one',
            hint=f"Look at it: jobctl schedule show {name}; change it: jobctl schedule edit {name}; "
            "or choose another name.",
        )
    return PlanError(
        f'there is a schedule "{name}" already, in {other.source}', hint="Choose another name."
    )


# -- judging --------------------------------------------------------------------------------------


def _judged(
    station: Station, name: str, table: Mapping[str, Any], *, replaces: bool = False
) -> ScheduleSpec:
    """The schedule that a table declares, in good order.

    Raises:
        NotFound: nothing is wrong but its task, which does not exist.
        UsageError: anything else, with everything that is wrong.
    """
    try:
        NAME.read(name)
        spec = read_schedule(name, table, source=STORED)
    except InvalidValue as invalid:
        messages = [_told(fault) for fault in invalid.faults]
        raise _refusal(messages, [fault.hint for fault in invalid.faults]) from None
    try:
        check_schedule(station.plan, spec, now=station.clock.now(), replaces=replaces)
    except PlanRefused as refused:
        problems = refused.problems
        error = _refusal([p.message for p in problems], [p.hint for p in problems])
        if all(problem.key.endswith(".task") for problem in problems):
            raise NotFound(error.message, hint=error.hint) from None
        raise error from None
    return spec


def _told(fault: Fault) -> str:
    """A fault of a table with the key it is about."""
    where = ".".join(str(step) for step in fault.path)
    return f"{where}: {fault.message}" if where and not fault.on_key else fault.message


def _refusal(messages: Iterable[str], hints: Iterable[str]) -> UsageError:
    """One error for all faults."""
    hint = " ".join(dict.fromkeys(hint for hint in hints if hint))
    return UsageError("; ".join(messages), hint=hint)


def _with_values(
    plan: Plan,
    table: Mapping[str, Any],
    said: Mapping[str, Any],
    request: requests.AddSchedule | requests.EditSchedule,
) -> dict[str, Any]:
    """The table with its arguments as the values that the task wants.

    ``said`` holds the ``args`` and ``kwargs`` that were given just now; those of before are values already.
    What is wrong with the table itself is left to `_judged`. Raises InvalidArguments: the task cannot take
    them.
    """
    name = table.get("task")
    task = plan.find(name) if isinstance(name, str) else None
    args, kwargs = table.get("args", []), table.get("kwargs", {})
    if request.typed or task is None or not isinstance(args, list) or not isinstance(kwargs, dict):
        return dict(table)
    new_names = set(said.get("kwargs") or ()) - set(request.raw or ())
    given = Given(
        args=tuple(_typed(value) if "args" in said else Exact(value) for value in args),
        kwargs={
            key: _typed(value) if key in new_names else Exact(value)
            for key, value in kwargs.items()
        },
    )
    values: dict[str, Any] = {}
    if task.kind is Kind.FUNCTION:
        bound = bind(plan.parameters.get(task.name), with_defaults(given, task.args, task.kwargs))
        values["args"] = list(bound.args) if args else []
        values["kwargs"] = {key: bound.kwargs[key] for key in kwargs}
    else:
        values["args"] = [_value(argument) for argument in given.args]
        values["kwargs"] = {key: _value(argument) for key, argument in given.kwargs.items()}
    return {**table, **{key: value for key, value in values.items() if key in table}}


def _typed(value: Any) -> Typed:
    if not isinstance(value, str):
        raise UsageError("an argument that is not typed is a text")
    return Typed(value)


def _value(argument: Argument) -> Any:
    return argument.text if isinstance(argument, Typed) else argument.value


# -- disabling, enabling --------------------------------------------------------------------------


def disable_schedule(
    station: Station, call: Call, request: requests.DisableSchedule
) -> dict[str, Any]:
    """Pause a schedule, until a moment or until it is enabled."""
    spec = _found(station, request.name)
    until = request.until
    if until is not None and not station.clock.now() < until <= job_handlers.LAST_MOMENT:
        raise UsageError("the end of the pause is past", hint="Name a later moment.")
    station.change(lambda: [station.beat.pause(spec.name, until, station.clock.now())])
    return _switched(station, spec.name)


def enable_schedule(
    station: Station, call: Call, request: requests.EnableSchedule
) -> dict[str, Any]:
    """End the pause of a schedule; one that was added disabled is enabled."""
    spec = _found(station, request.name)
    if not spec.enabled:
        table = _own_table(station, spec, "enabled")
        table.pop("enabled", None)
        _put(station, call, _judged(station, spec.name, table, replaces=True), table)
    if station.beat.entries()[spec.name].paused_at is not None:
        station.change(lambda: [station.beat.resume(spec.name, station.clock.now())])
    return _switched(station, spec.name)


def _switched(station: Station, name: str) -> dict[str, Any]:
    entry = station.beat.entries()[name]
    return {
        "name": name,
        "timezone": entry.spec.timezone,
        **_standing(entry),
        "next": next(_coming(entry), None),
    }


# -- running now ----------------------------------------------------------------------------------


def run_schedule(station: Station, call: Call, request: requests.RunSchedule) -> dict[str, Any]:
    """Submit a job of a schedule now; part of the turn's durable step, like a submit.

    It is no instant of the schedule, which neither counts nor records it; but while it is unfinished it
    stands against instants as any job of the schedule does.
    """
    spec = _found(station, request.name)
    asked = {"schedule": request.name, "force": request.force}

    schedule = station.beat.entries()[spec.name].id
    now = station.clock.now()

    def make() -> job_rows.NewJob:
        return job_handlers.scheduled_row(station, spec, schedule, now, uid=call.uid)

    def place(row: job_rows.NewJob) -> job_rows.NewJob:
        waits = not request.force and _has_to_wait(station, spec, schedule, now)
        return job_handlers.behind_earlier(row, schedule) if waits else row

    return job_handlers.submit_one(station, call.uid, request.key, asked, make, place)


def _has_to_wait(station: Station, spec: ScheduleSpec, schedule: int, now: Moment) -> bool:
    """Whether an unfinished job of the schedule has to be gone first, by its ``on_overlap``.

    With ``replace`` it is cancelled. Raises Conflict where another job must not be.
    """
    overlap = station.plan.on_overlap_of(spec)
    earlier = job_rows.unfinished_of_schedule(station.database, schedule=schedule)
    if overlap == "allow" or not earlier:
        return False
    if overlap == "replace":
        is_left = False
        for job in earlier:
            if job.is_stopping or station.dispatcher.cancel(job.id, now) == "stopping":
                is_left = True
        return is_left
    waiting = [job for job in earlier if job.is_held_back]
    if overlap == "queue" and not waiting:
        return True
    job, standing = earlier[0], f"is {earlier[0].state}"
    if overlap == "queue":
        job, standing = waiting[0], "waits already"
    raise Conflict(
        f'job {job.id} of schedule "{spec.name}" {standing}, and on_overlap is "{overlap}"',
        hint=f"Wait for it: jobctl wait {job.id}; or run another one beside it: --force",
    )
