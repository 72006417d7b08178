"""Rules that hold between the parts of a plan: references, names, expressions, arguments.

Each function gives `Fault` values whose path begins with the table and the name, such as
``("tasks", "backup", "queue")``; whoever knows the files turns them into places. Nothing is changed.
"""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING, Final, TypeAlias

from jobctl.arguments import (
    Given,
    Parameter,
    ParameterKind,
    bind,
    build_argv,
    takes,
    texts,
    with_defaults,
)
from jobctl.arguments import malformed_placeholders as malformed
from jobctl.errors import InvalidArguments
from jobctl.plan.gates import gate_of, unique_key_of
from jobctl.plan.handover import handover_faults
from jobctl.plan.routes import route_faults
from jobctl.plan.schedule_table import KINDS, TIMING, ScheduleSpec, build_schedule
from jobctl.plan.senders import name_faults
from jobctl.plan.tables import TABLES, TASK_KEYS, WorkerGroup
from jobctl.task import Task
from jobctl.task.contradictions import burst_faults
from jobctl.task.keys import keys_of, nearest, read_values
from jobctl.task.template import read_template
from jobctl.task.units import Fault, format_size, format_span, shown

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from jobctl.plan.file import FilePlan
    from jobctl.plan.tables import DaemonSettings, Override, Queue
    from jobctl.schedule import Schedule
    from jobctl.task import Source

Path: TypeAlias = tuple[str | int, ...]

_LEAST_MEMORY_BYTES: Final = 1 << 20

_PAST: Final = "Write a moment that is still to come."


def check_file(
    file: FilePlan, *, seen: Mapping[str, Source] | None = None, whole: bool = True
) -> tuple[Fault, ...]:
    """Judge a file by itself. What code may still add (tasks of modules it imports) is left to the merge.

    ``seen`` are the tables of tasks that are declared but could not be read. ``whole`` false means that parts
    are missing which were written: then nothing is concluded from the absence of a task or a group.
    """
    tasks = {task.name: task for task in file.tasks}
    owners: dict[str, Source] = {task.name: task.source for task in file.tasks}
    owners.update(seen or {})
    owners.update((override.name, override.source) for override in file.overrides)
    own = [spec for override in file.overrides if (spec := own_schedule(override)) is not None]
    specs = [*file.schedules, *own]
    zone = file.settings.timezone
    faults = [*zone_faults(zone, ("daemon", "timezone"))]
    fallback = zone if zone and not faults else "UTC"
    judge = ScheduleJudge(fallback)
    for spec in specs:
        faults.extend(judge.faults(spec, path_of(spec, owners)))
    faults.extend(retention_faults(file.settings, file.tasks))
    faults.extend(umask_faults(file.groups))
    faults.extend(alias_faults(file.tasks))
    faults.extend(rate_faults(file.queues))
    faults.extend(pool_faults(file.groups))
    if whole:
        faults.extend(thread_faults(file.tasks, file.groups))
        faults.extend(queue_faults(file.tasks, file.queues, file.groups))
    for task in file.tasks:
        faults.extend(command_faults(task))
    aliases = {alias: task.name for task in file.tasks for alias in task.aliases}
    names = frozenset({*tasks, *owners, *aliases}) if whole and not file.imports else None
    faults.extend(handover_faults(tasks, aliases, dict.fromkeys(tasks), known=names))
    faults.extend(name_faults("tasks", owners))
    faults.extend(name_faults("queues", (queue.name for queue in file.queues)))
    faults.extend(name_faults("workers", (group.name for group in file.groups)))
    if whole:
        queues = {queue.name for queue in file.queues} | {task.queue for task in file.tasks}
        queues |= {queue for group in file.groups for queue in group.queues}
        faults.extend(route_faults(file.routes, file.tasks, queues, known=names))
    arguments = ArgumentJudge()
    for spec in specs:
        if spec.task in tasks:
            faults.extend(arguments.faults(spec, tasks[spec.task], None, path_of(spec, owners)))
            faults.extend(overlap_faults(spec, tasks[spec.task], path_of(spec, owners)))
    if whole and not file.imports:
        faults.extend(body_faults(file.overrides, ()))
        known = {*tasks, *owners, *(alias for task in file.tasks for alias in task.aliases)}
        faults.extend(task_reference_faults(file.schedules, known, owners))
    return tuple(faults)


def own_schedule(override: Override) -> ScheduleSpec | None:
    """Give the schedule that the table of an override carries, if it does."""
    values = read_values(TASK_KEYS, override.options)
    fields = [TASK_KEYS[name].field for name in (*KINDS, *TIMING)]
    rest = {field: values[field] for field in fields if field in values}
    if not KINDS.keys() & rest.keys():
        return None
    return build_schedule(override.name, {**rest, "task": override.name}, source=override.source)


def path_of(spec: ScheduleSpec, owners: Mapping[str, Source]) -> Path:
    """Give the table in which a schedule stands: its task's own, or one of its own.

    ``owners`` are the places of the task tables by name: a schedule of a task's own table shares it.
    """
    own = spec.name == spec.task and owners.get(spec.name) == spec.source
    return ("tasks" if own else "schedules", spec.name)


def zone_faults(zone: str | None, path: Path) -> Iterator[Fault]:
    """Judge the name of a time zone; None is fine."""
    if zone is None:
        return
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        folded = {name.lower(): name for name in known}
        near = folded.get(nearest(zone.replace(" ", "_"), [*folded]).lower(), "")
        hint = f'Did you mean "{near}"?' if near else 'Write a zone as "Europe/Berlin" or "UTC".'
        yield Fault(path=path, message=f"unknown time zone {shown(zone)}", hint=hint)


class ScheduleJudge:
    """`schedule_faults` for many schedules: those that say the same are judged once, if nothing is wrong."""

    def __init__(self, default_zone: str) -> None:
        self._default_zone = default_zone
        self._good: set[tuple[object, ...]] = set()

    def faults(self, spec: ScheduleSpec, path: Path) -> tuple[Fault, ...]:
        """Judge one."""
        said = (
            spec.kind,
            spec.expression,
            spec.timezone,
            spec.dialect,
            spec.start,
            spec.end,
            spec.jitter_s,
            spec.expires_s,
        )
        if said in self._good:
            return ()
        found = tuple(schedule_faults(spec, path, self._default_zone))
        if not found:
            self._good.add(said)
        return found


class ArgumentJudge:
    """`argument_faults` for many schedules: those that give a task no arguments of their own are judged
    once, if nothing is wrong."""

    def __init__(self) -> None:
        self._good: set[str] = set()

    def faults(
        self, spec: ScheduleSpec, task: Task, parameters: tuple[Parameter, ...] | None, path: Path
    ) -> tuple[Fault, ...]:
        """Judge one; the parameters are always the same for a task."""
        is_plain = spec.args is None and not spec.kwargs
        if is_plain and task.name in self._good:
            return ()
        found = tuple(argument_faults(spec, task, parameters, path))
        if is_plain and not found:
            self._good.add(task.name)
        return found


def schedule_faults(spec: ScheduleSpec, path: Path, default_zone: str) -> Iterator[Fault]:
    """Judge the zone, the expression and the bounds of a schedule."""
    # Imported here because parsing needs croniter: a template in the environment of an application
    # imports jobctl.plan too, for its report, and has nothing of what jobctl depends on.
    from jobctl.schedule import ScheduleError, moment_of, parse_schedule

    of_zone = [*zone_faults(spec.timezone, (*path, "timezone"))]
    yield from of_zone
    zone = default_zone if of_zone or spec.timezone is None else spec.timezone
    rule = None
    try:
        rule = parse_schedule(spec.kind, spec.expression, timezone=zone, dialect=spec.dialect)
    except ScheduleError as error:
        yield Fault(path=(*path, spec.when_key), message=error.message, hint=error.hint)
    bounds: dict[str, int | None] = {}
    for name, text in (("start", spec.start), ("end", spec.end)):
        try:
            bounds[name] = None if text is None else moment_of(text, timezone=zone)
        except ScheduleError as error:
            yield Fault(path=(*path, name), message=error.message, hint=error.hint)
    if len(bounds) == 2:
        yield from _bound_faults(spec, path, rule, bounds["start"], bounds["end"])
    if spec.expires_s is not None and spec.jitter_s >= spec.expires_s:
        message = (
            f"its jobs could expire before they are made: jitter is {format_span(spec.jitter_s)}"
        )
        yield Fault(
            path=(*path, "expires"), message=message, hint="Make it longer than the jitter."
        )


def _bound_faults(
    spec: ScheduleSpec, path: Path, rule: Schedule | None, start: int | None, end: int | None
) -> Iterator[Fault]:
    if start is not None and end is not None and end < start:
        message = f"the end, {spec.end}, is before the start, {spec.start}"
        yield Fault(path=(*path, "end"), message=message, hint="Were they swapped?")
    elif rule is not None and end is not None and spec.kind != "interval" and not rule.is_at_boot:
        # An interval begins with its start; without one it is not known yet where it lies.
        first = rule.next_after(0 if start is None else start - 1)
        if first is None or first > end:
            message = f"no instant lies between its start and its end, {spec.end}"
            yield Fault(path=(*path, "end"), message=message, hint="jobctl explain shows them.")


def moment_faults(spec: ScheduleSpec, path: Path, now: int) -> Iterator[Fault]:
    """Judge, as seen from a moment, a schedule without other faults: whether all of it is past.

    In a file that is no fault: what has run stays written.
    """
    from jobctl.schedule import moment_of

    zone = spec.timezone or "UTC"
    if spec.end is not None and moment_of(spec.end, timezone=zone) <= now:
        yield Fault(path=(*path, "end"), message=f"the end, {spec.end}, is past", hint=_PAST)
    if spec.kind == "clocked" and moment_of(spec.expression, timezone=zone) <= now:
        yield Fault(path=(*path, spec.when_key), message=f"{spec.expression} is past", hint=_PAST)


def retention_faults(settings: DaemonSettings, tasks: Iterable[Task]) -> Iterator[Fault]:
    """Find outputs and results that would be kept longer than their jobs."""
    spans: list[tuple[Path, float | None]]
    spans = [(("daemon", "result_expires"), settings.result_expires_s)]
    spans += [(("tasks", task.name, "result_expires"), task.result_expires_s) for task in tasks]
    for path, span_s in spans:
        if span_s is not None and span_s > settings.keep_s:
            message = (
                f"a result goes with its job, which is kept for {format_span(settings.keep_s)}"
            )
            yield Fault(path=path, message=message, hint="Raise keep in [daemon], or lower it.")
    if settings.keep_output_s is not None and settings.keep_output_s > settings.keep_s:
        message = f"the output goes with its job, which is kept for {format_span(settings.keep_s)}"
        yield Fault(
            path=("daemon", "keep_output"), message=message, hint="Raise keep, or lower it."
        )


def umask_faults(groups: Iterable[WorkerGroup]) -> Iterator[Fault]:
    """Find groups whose workers could not use what they have made themselves."""
    for group in groups:
        if group.umask & 0o700:
            message = f"a worker could not read or write its own files with {group.umask:03o}"
            hint = f'Write "0{group.umask & 0o077:02o}".'
            yield Fault(path=("workers", group.name, "umask"), message=message, hint=hint)


def alias_faults(tasks: Iterable[Task]) -> Iterator[Fault]:
    """Find aliases that are another task's name or alias."""
    tasks = tuple(tasks)
    names = {task.name: task for task in tasks}
    taken: dict[str, Task] = {}
    for task in tasks:
        for position, alias in enumerate(task.aliases):
            path = ("tasks", task.name, "aliases", position)
            other = names.get(alias) or taken.get(alias)
            if other is not None:
                message = f"the alias {shown(alias)} is taken by task {shown(other.name)} at {other.source}"
                hint = "An alias is an earlier name of one task; remove it here or there."
                yield Fault(path=path, message=message, hint=hint)
            else:
                taken[alias] = task


def rate_faults(queues: Iterable[Queue]) -> Iterator[Fault]:
    """Find queues whose keys of a rate contradict each other."""
    for queue in queues:
        for fault in burst_faults({"rate_limit": queue.rate_limit, "rate_burst": queue.rate_burst}):
            yield fault.under("queues", queue.name)


def pool_faults(groups: Iterable[WorkerGroup]) -> Iterator[Fault]:
    """Find keys of worker groups that their pool cannot keep."""
    for group in groups:
        path = ("workers", group.name)
        if group.concurrency is not None and not group.side_by_side:
            message = f'concurrency means nothing for pool = "{group.pool}": one function at once runs in each process'
            hint = f'Write processes = {group.concurrency}, or another pool: "async" for coroutine functions, "threads".'
            yield Fault(path=(*path, "concurrency"), message=message, hint=hint)
        if group.max_memory_bytes is not None and group.max_memory_bytes < _LEAST_MEMORY_BYTES:
            message = f"{format_size(group.max_memory_bytes)} is less than an empty worker takes"
            hint = 'Write a size as "300MiB".'
            yield Fault(path=(*path, "max_memory_per_child"), message=message, hint=hint)


def coroutine_faults(
    tasks: Iterable[Task], groups: Iterable[WorkerGroup], plain: Container[str]
) -> Iterator[Fault]:
    """Find plain functions for workers that run coroutine functions: one would hold up all others.

    ``plain`` are the functions (``"module:function"``) of which it is known that they are no coroutine
    functions.
    """
    groups = tuple(groups)
    for task in tasks:
        if task.function is None or task.function not in plain:
            continue
        for group in _serving(task, groups):
            if group.is_async:
                message = (
                    f'{task.function} is no coroutine function, and worker group "{group.name}" with '
                    f'pool = "async" serves the queue "{task.queue}"'
                )
                hint = "Write async def, or another queue, which a prefork group serves."
                yield Fault(path=("tasks", task.name, "queue"), message=message, hint=hint)


def thread_faults(tasks: Iterable[Task], groups: Iterable[WorkerGroup]) -> Iterator[Fault]:
    """Find time limits of functions that run in threads, which nobody can stop."""
    groups = tuple(groups)
    limits = {name: bound for name, bound in keys_of(Task).items() if bound.key.not_in}
    for task in tasks:
        for group in _serving(task, groups) if task.function is not None else ():
            for name, bound in limits.items():
                is_set = getattr(task, bound.field) is not None
                if is_set and group.pool in bound.key.not_in:
                    message = (
                        f'worker group "{group.name}" with pool = "threads" serves the queue '
                        f'"{task.queue}", and nobody can stop a thread'
                    )
                    hint = "Give the function limits of its own, or another queue, which a prefork group serves."
                    yield Fault(path=("tasks", task.name, name), message=message, hint=hint)


def _serving(task: Task, groups: Sequence[WorkerGroup]) -> list[WorkerGroup]:
    """The groups that take jobs of a task's queue, as `jobctl.plan.Plan.groups_serving` gives them."""
    named = [group for group in groups if task.queue in group.queues]
    return named or [group for group in groups if not group.queues]


def queue_faults(
    tasks: Iterable[Task], queues: Iterable[Queue], groups: Iterable[WorkerGroup]
) -> Iterator[Fault]:
    """Find queues that no worker group serves: their jobs would wait for ever."""
    groups = tuple(groups)
    if not groups or any(not group.queues for group in groups):
        return
    served = {queue for group in groups for queue in group.queues}
    wanted: list[tuple[Path, str]]
    wanted = [(("tasks", task.name, "queue"), task.queue) for task in tasks]
    wanted += [(("queues", queue.name), queue.name) for queue in queues]
    for path, queue in wanted:
        if queue not in served:
            near = nearest(queue, sorted(served))
            meant = f'Did you mean "{near}"? ' if near else ""
            hint = f"{meant}Add it to the queues of a [workers.X] table."
            yield Fault(
                path=path, message=f"no worker group serves the queue {shown(queue)}", hint=hint
            )


def command_faults(task: Task) -> Iterator[Fault]:
    """Find words of a command that were meant as placeholders and are none."""
    for position in malformed(task.command or ()):
        hint = "Positional arguments count from {1}."
        message = f"there is no argument {(task.command or ())[position]}"
        yield Fault(path=("tasks", task.name, "command", position), message=message, hint=hint)


def overlap_faults(spec: ScheduleSpec, task: Task, path: Path) -> Iterator[Fault]:
    """Find a schedule that wants a second job beside one that is unique: all its jobs are alike."""
    overlap = spec.on_overlap or task.on_overlap
    if task.unique is None or overlap not in ("queue", "replace"):
        return
    where = (*path, "on_overlap") if spec.on_overlap is not None else path
    message = (
        f'on_overlap = "{overlap}" makes a second job, and unique = "{task.unique}" allows none'
    )
    hint = 'Write on_overlap = "skip", or remove unique.'
    yield Fault(path=where, message=message, hint=hint)


def key_faults(task: Task, parameters: tuple[Parameter, ...] | None) -> Iterator[Fault]:
    """Find places of a task's keys for which its function has no parameter."""
    if parameters is None:
        return
    kinds = {parameter.kind for parameter in parameters}
    names = [p.name for p in parameters if p.kind is not ParameterKind.VAR_POSITIONAL]
    positions = sum(
        p.kind in (ParameterKind.POSITIONAL_ONLY, ParameterKind.EITHER) for p in parameters
    )
    for key, text in (("concurrency_key", task.concurrency_key), ("unique", task.unique)):
        for place in read_template(text).places if text is not None else ():
            if place.isdecimal():
                is_there = int(place) <= positions or ParameterKind.VAR_POSITIONAL in kinds
                hint = f"It takes {positions} positional arguments."
            else:
                is_there = place in names or ParameterKind.VAR_KEYWORD in kinds
                near = nearest(place, names)
                hint = f'Did you mean "{{{near}}}"?' if near else f"It has {', '.join(names)}."
            if not is_there:
                message = f"the function has no argument {{{place}}}"
                yield Fault(path=("tasks", task.name, key), message=message, hint=hint)


def argument_faults(
    spec: ScheduleSpec, task: Task, parameters: tuple[Parameter, ...] | None, path: Path
) -> Iterator[Fault]:
    """Find out whether the jobs of a schedule could begin with the arguments they would get."""
    is_keyed = task.concurrency_key is not None or task.unique is not None
    is_simple = task.function is not None and not (spec.kwargs or task.kwargs or is_keyed)
    if is_simple and takes(parameters, spec.args or task.args):
        return
    own = Given.exact(() if spec.args is None else spec.args, spec.kwargs or {})
    given = with_defaults(own, task.args, task.kwargs)
    try:
        if task.function is None:
            found = texts(given)
            if task.command is not None:
                build_argv(task.command, found)
            gate_of(task, found.args, found.kwargs, None)
            unique_key_of(task, found.args, found.kwargs, None)
        elif parameters is not None:
            call = bind(parameters, given)
            gate_of(task, call.args, call.kwargs, parameters)
            unique_key_of(task, call.args, call.kwargs, parameters)
    except InvalidArguments as error:
        where = "args" if spec.args is not None else "kwargs" if spec.kwargs else None
        inside = (*path, where) if where else path
        yield Fault(
            path=inside, message=f"its jobs could not run: {error.message}", hint=error.hint
        )


def body_faults(overrides: Iterable[Override], known: Iterable[str]) -> Iterator[Fault]:
    """Find tables that override options of a task that nothing declares."""
    known = tuple(known)
    for override in overrides:
        near = nearest(override.name, known)
        hint = (
            f'Did you mean "{near}"?'
            if near
            else 'Write command = ["program", "argument"], shell = "line" or function = "module:function".'
        )
        message = "nothing to run: no command, shell or function, and no @task of this name"
        yield Fault(path=("tasks", override.name), message=message, hint=hint)


def task_reference_faults(
    specs: Iterable[ScheduleSpec], known: Iterable[str], owners: Mapping[str, Source]
) -> Iterator[Fault]:
    """Find schedules of tasks that do not exist."""
    known = frozenset(known)
    for spec in specs:
        if spec.task not in known:
            near = nearest(spec.task, sorted(known))
            hint = (
                f'Did you mean "{near}"?' if near else "Declare the task, or remove the schedule."
            )
            path = (*path_of(spec, owners), "task")
            yield Fault(path=path, message=f"there is no task {shown(spec.task)}", hint=hint)


def subject(path: Path) -> str:
    """Give what a path is about, for the beginning of a message: ``task "backup"``."""
    table = TABLES.get(str(path[0])) if path else None
    if table is None:
        return ""
    return f'{table.noun} "{path[1]}"' if table.named and len(path) > 1 else f"[{table.name}]"


def dotted(path: Path) -> str:
    """Give a path as the file would write it: ``tasks."shop.send".args[2]``; empty for the whole file."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        bare = step.replace("-", "").replace("_", "")
        quoted = step if bare.isascii() and bare.isalnum() else '"' + step.replace('"', '\\"') + '"'
        text += f".{quoted}" if text else quoted
    return text
