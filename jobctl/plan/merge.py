"""One plan from three sources: the file, the code, the stored schedules.

There may be a hundred thousand schedules: `merging` does it a part at a time, `merge` at once.

The rules (DESIGN section 8): the file declares tasks; the code declares tasks with ``@task``; a
``[tasks.X]`` table without a body overrides the options of a task of the code, key by key; schedules
come from both and from the store. Any other meeting of names is an error that names both places. All
errors are told at once, and nothing comes of a merge that has one.

A module that does not import refuses the merge (``check``, reload), unless ``strict`` is false (start):
then its tasks are unavailable, and everything else is in force. Before any code was imported there are
no reports; a merge that is not strict then leaves open what only code can settle.
"""

from __future__ import annotations

import dataclasses
import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from jobctl.errors import PlanError, Problem
from jobctl.plan.check import (
    ArgumentJudge,
    ScheduleJudge,
    alias_faults,
    argument_faults,
    body_faults,
    command_faults,
    coroutine_faults,
    dotted,
    key_faults,
    moment_faults,
    overlap_faults,
    own_schedule,
    path_of,
    pool_faults,
    queue_faults,
    rate_faults,
    schedule_faults,
    subject,
    task_reference_faults,
    thread_faults,
    zone_faults,
)
from jobctl.plan.force import Plan
from jobctl.plan.handover import handover_faults
from jobctl.plan.routes import route_faults
from jobctl.plan.senders import (
    group_of_senders,
    is_ours,
    name_faults,
    queue_of_messages,
    task_of,
)
from jobctl.plan.tables import implicit_group, implicit_queue, read_task_table
from jobctl.steps import Steps, at_once, parts
from jobctl.task import UNKNOWN_SOURCE, Source, Task
from jobctl.task.units import Fault, InvalidValue, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobctl.arguments import Parameter
    from jobctl.clock import Moment
    from jobctl.plan.code import CodeReport, CodeTask
    from jobctl.plan.file import FilePlan
    from jobctl.plan.schedule_table import ScheduleSpec
    from jobctl.plan.tables import Override
    from jobctl.task.keys import Json

_WHEN = ("every", "cron", "at", "solar")
_TASKS_OF_CODE = 20
"""Tables that are read in one part of the work."""


class PlanRefused(PlanError):
    """File, code and store do not go together. ``problems`` holds everything, at least one."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        place = f"{first.file}:{first.line}: " if first.line else f"{first.file}: "
        if not first.file:
            place = ""
        super().__init__(f"{place}{first.message}{more}", hint=first.hint)
        self.problems = problems


def merge(
    file: FilePlan,
    reports: Sequence[CodeReport] = (),
    stored: Iterable[ScheduleSpec] = (),
    *,
    host_timezone: str = "UTC",
    strict: bool = True,
) -> Plan:
    """Give the plan that is in force with these three. Raises `PlanRefused` with every fault.

    ``reports`` holds one report for each worker group that imports anything. ``host_timezone`` is used
    by every schedule when neither it nor ``[daemon]`` names one. A stored schedule that does not fit any
    more is no fault: it is in the plan, and held. Its name is its own, though: where file or code have
    taken it, that is a fault like any other, unless ``strict`` is false. Then it is left out.
    """
    return at_once(merging(file, reports, stored, host_timezone=host_timezone, strict=strict))


def merging(
    file: FilePlan,
    reports: Sequence[CodeReport] = (),
    stored: Iterable[ScheduleSpec] = (),
    *,
    host_timezone: str = "UTC",
    strict: bool = True,
) -> Steps[Plan]:
    """Do what `merge` does, a part of it at a time."""
    return _Merge(file, reports, tuple(stored), host_timezone, strict=strict).steps()


class _Merge:
    """One merge: collects faults and the places of names as it goes."""

    def __init__(
        self,
        file: FilePlan,
        reports: Sequence[CodeReport],
        stored: tuple[ScheduleSpec, ...],
        host_timezone: str,
        *,
        strict: bool,
    ) -> None:
        self.file = file
        self.reports = reports
        self.stored = stored
        self.strict = strict
        self.timezone = file.settings.timezone or host_timezone
        self.faults: list[Fault] = []
        self.tasks: dict[str, Task] = {}
        self.schedules: dict[str, ScheduleSpec] = {}
        self.parameters: dict[str, tuple[Parameter, ...] | None] = {}
        self.unavailable: dict[str, str] = {}
        self.owners: dict[str, Source] = {}
        self.groups = file.groups or (implicit_group(),)
        self.places: dict[tuple[str | int, ...], Source] = {
            ("daemon",): file.settings.source,
            **{("workers", group.name): group.source for group in file.groups},
            **{("queues", queue.name): queue.source for queue in file.queues},
            **{("notify", route.name): route.source for route in file.routes},
        }
        self.arguments = ArgumentJudge()

    @property
    def is_code_known(self) -> bool:
        """A task that is in none of the reports does not exist."""
        if self.strict or not self.file.imports:
            return True
        return bool(self.reports) and not any(report.failures for report in self.reports)

    def steps(self) -> Steps[Plan]:
        """The story of a merge, step by step."""
        yield from self.take_places()
        self.take_failures()
        yield from self.take_tasks_of_file()
        yield from self.take_tasks_of_code()
        yield from self.take_schedules()
        yield from self.mark_unavailable()
        yield from self.check()
        if self.faults:
            raise PlanRefused(tuple(self.problem(fault) for fault in self.faults))
        settings = dataclasses.replace(self.file.settings, timezone=self.timezone)
        queues = {queue.name: queue for queue in self.file.queues}
        named = [task.queue for task in self.tasks.values()]
        named += [queue for group in self.groups for queue in group.queues]
        for name in named:
            if name not in queues:
                queues[name] = implicit_queue(name)
        aliases = {alias: task.name for task in self.tasks.values() for alias in task.aliases}
        groups = {group.name: group for group in self.groups}
        routes = {route.name: route for route in self.file.routes if route.enabled}
        if routes:
            queue, group = queue_of_messages(), group_of_senders()
            queues[queue.name], groups[group.name] = queue, group
            self.tasks.update((task.name, task) for task in map(task_of, routes.values()))
        return Plan(
            files=self.file.files,
            settings=settings,
            metrics=self.file.metrics,
            groups=MappingProxyType(groups),
            queues=MappingProxyType(queues),
            tasks=MappingProxyType(self.tasks),
            aliases=MappingProxyType(aliases),
            schedules=MappingProxyType(self.schedules),
            parameters=MappingProxyType(self.parameters),
            unavailable=MappingProxyType(self.unavailable),
            bound=frozenset(name for report in self.reports for name in report.bound),
            routes=MappingProxyType(routes),
        )

    def take_places(self) -> Steps[None]:
        for specs in (*parts(self.stored), *parts(self.file.schedules)):
            self.places.update((("schedules", spec.name), spec.source) for spec in specs)
            yield

    def take_failures(self) -> None:
        if not self.strict:
            return
        for report in self.reports:
            own = ("workers", report.group)
            path = own if own in self.places else ("daemon",)
            self.faults.extend(
                Fault(
                    path=path,
                    message=f"{failure.module} cannot be imported by worker group "
                    f'"{report.group}": {failure.message}',
                    hint="Correct the module, or the python, pythonpath and cwd of the worker group.",
                )
                for failure in report.failures
            )

    def take_tasks_of_file(self) -> Steps[None]:
        for tasks in parts(self.file.tasks):
            for task in tasks:
                self.tasks[task.name] = task
                self.places["tasks", task.name] = self.owners[task.name] = task.source
            yield
        for overrides in parts(self.file.overrides):
            for override in overrides:
                self.places["tasks", override.name] = self.owners[override.name] = override.source
            yield
        for report in self.reports:
            for tasks in parts(self.file.tasks):
                for task in tasks:
                    if task.function is not None and task.function in report.functions:
                        self.parameters[task.name] = report.functions[task.function]
                yield

    def take_tasks_of_code(self) -> Steps[None]:
        overrides = {override.name: override for override in self.file.overrides}
        declared: dict[str, tuple[CodeTask, str]] = {}
        for report in self.reports:
            for tasks in parts(report.tasks):
                for task in tasks:
                    if task.name in declared and declared[task.name][0] != task:
                        self.faults.append(_told_twice(task, *declared[task.name], report.group))
                    declared.setdefault(task.name, (task, report.group))
                yield
        # A table of options for each takes a good part of a millisecond.
        for found in parts(declared.values(), _TASKS_OF_CODE):
            for task, _ in found:
                if task.name in self.tasks:
                    self.faults.append(_declared_twice(task))
                else:
                    self.take_task_of_code(task, overrides.pop(task.name, None))
            yield
        if not self.is_code_known:
            failed = {failure.module for report in self.reports for failure in report.failures}
            reason = f"its module cannot be imported ({', '.join(sorted(failed))})"
            if not failed:
                reason = "its module is not imported yet"
            self.unavailable.update(dict.fromkeys(overrides, reason))
        else:
            self.faults.extend(body_faults(overrides.values(), declared))

    def take_task_of_code(self, task: CodeTask, override: Override | None) -> None:
        written: dict[str, Json] = dict(task.options)
        source = task.source
        if override is not None:
            source = override.source
            if any(name in override.options for name in _WHEN):
                # A schedule is one thing: that of the file replaces that of the code whole.
                written = {name: value for name, value in written.items() if name not in _WHEN}
            written.update(override.options)
        self.places["tasks", task.name] = self.owners[task.name] = source
        try:
            table = read_task_table(
                task.name, {**written, "function": task.function}, source=source
            )
        except InvalidValue as invalid:
            self.faults.extend(fault.under("tasks", task.name) for fault in invalid.faults)
            return
        assert table.task is not None
        self.tasks[task.name] = table.task
        self.parameters[task.name] = task.parameters
        if table.schedule is not None:
            self.take_schedule(table.schedule)

    def take_schedules(self) -> Steps[None]:
        for specs in parts(self.file.schedules):
            for spec in specs:
                self.take_schedule(spec)
            yield
        for overrides in parts(self.file.overrides, _TASKS_OF_CODE):
            for override in overrides:
                # Those of tasks that are there came with the task; this one is kept while its task is not.
                if override.name in self.unavailable and (own := own_schedule(override)):
                    self.take_schedule(own)
            yield
        for spec in self.schedules_of_code():
            self.places.setdefault(("schedules", spec.name), spec.source)
            self.take_schedule(spec)
        yield
        for specs in parts(self.stored):
            for spec in specs:
                self.take_schedule(spec)
            yield

    def schedules_of_code(self) -> list[ScheduleSpec]:
        """What templates have found beside the tasks. The same from several of them counts once."""
        found: dict[tuple[str, str], ScheduleSpec] = {}
        for report in self.reports:
            for spec in report.schedules:
                found.setdefault((spec.name, json.dumps(spec.to_json(), sort_keys=True)), spec)
        return list(found.values())

    def take_schedule(self, spec: ScheduleSpec) -> None:
        other = self.schedules.get(spec.name)
        if other is not None:
            if spec.is_stored and not self.strict:
                return
            message = f"declared twice, here and at {other.source}"
            hint = "A schedule in a task's own table is named like the task; rename the other one."
            self.faults.append(Fault(path=("schedules", spec.name), message=message, hint=hint))
            self.places["schedules", spec.name] = spec.source
            return
        if spec.timezone is None:
            spec = dataclasses.replace(spec, timezone=self.timezone)
        self.schedules[spec.name] = spec

    def mark_unavailable(self) -> Steps[None]:
        for report in self.reports:
            reasons = {failure.module: failure.message for failure in report.failures}
            if not reasons or self.strict:
                continue
            for tasks in parts(self.tasks.values()):
                for task in tasks:
                    module = (task.function or "").partition(":")[0]
                    for missing in (task.function, module):
                        if missing in reasons:
                            self.unavailable[task.name] = (
                                f"{missing} cannot be imported: {reasons[missing]}"
                            )
                yield

    def check(self) -> Steps[None]:
        of_zone = [*zone_faults(self.timezone, ("daemon", "timezone"))]
        self.faults.extend(of_zone)
        judge = None if of_zone else ScheduleJudge(self.timezone)
        for specs in parts(self.schedules.values()):
            for spec in specs:
                self.check_schedule(spec, judge)
            yield
        yield from self.check_tasks()
        aliases = {alias: task.name for task in self.tasks.values() for alias in task.aliases}
        known = frozenset({*self.tasks, *self.owners, *aliases}) if self.is_code_known else None
        yield
        self.faults.extend(handover_faults(self.tasks, aliases, self.parameters, known=known))
        yield
        self.faults.extend(name_faults("tasks", self.tasks))
        queues = {task.queue for task in self.tasks.values()}
        queues |= {queue.name for queue in self.file.queues}
        queues |= {queue for group in self.groups for queue in group.queues}
        routes = self.file.routes
        self.faults.extend(route_faults(routes, self.tasks.values(), queues, known=known))
        yield
        if known is not None:
            for specs in parts(self.file.schedules):
                self.faults.extend(task_reference_faults(specs, known, self.owners))
                yield
            of_code = self.schedules_of_code()
            self.faults.extend(task_reference_faults(of_code, known, self.owners))

    def check_schedule(self, spec: ScheduleSpec, judge: ScheduleJudge | None) -> None:
        if spec.is_stored:
            return
        path = path_of(spec, self.owners)
        if judge is not None:
            self.faults.extend(judge.faults(spec, path))
        task = self.tasks.get(spec.task)
        if task is None:
            return
        parameters = self.parameters.get(task.name)
        self.faults.extend(self.arguments.faults(spec, task, parameters, path))
        self.faults.extend(overlap_faults(spec, task, path))

    def check_tasks(self) -> Steps[None]:
        """What concerns one task by itself goes in parts; the rest is little for each task."""
        tasks = self.tasks.values()
        self.faults.extend(alias_faults(tasks))
        yield
        self.faults.extend(rate_faults(self.file.queues))
        self.faults.extend(pool_faults(self.groups))
        yield
        for some in parts(tasks):
            self.faults.extend(thread_faults(some, self.groups))
            yield
        plain = self.plain_functions()
        for some in parts(tasks):
            self.faults.extend(coroutine_faults(some, self.groups, plain))
            yield
        self.faults.extend(queue_faults(tasks, self.file.queues, self.groups))
        yield
        for some in parts(tasks):
            for task in some:
                self.faults.extend(command_faults(task))
                self.faults.extend(key_faults(task, self.parameters.get(task.name)))
            yield

    def plain_functions(self) -> set[str]:
        """The functions that templates have found and that are no coroutine functions."""
        found: set[str] = set()
        for report in self.reports:
            found.update(report.functions)
            found.update(task.function for task in report.tasks)
            found.difference_update(report.coroutines)
        return found

    def problem(self, fault: Fault) -> Problem:
        source = self.places.get(fault.path[:2]) or self.places.get(fault.path[:1])
        source = source or UNKNOWN_SOURCE
        about = subject(fault.path)
        return Problem(
            file=source.file,
            line=source.line,
            column=source.column,
            key=dotted(fault.path),
            message=f"{about}: {fault.message}" if about else fault.message,
            hint=fault.hint,
        )


def check_schedule(plan: Plan, spec: ScheduleSpec, *, now: Moment, replaces: bool = False) -> None:
    """Judge a schedule that is to be added to a plan in force. Raises `PlanRefused` with every fault.

    Among the faults: its name is taken, unless it ``replaces`` the stored one of that name; its task is
    unknown, its arguments do not fit; what it says is all past at ``now``.
    """
    path = ("schedules", spec.name)
    other = plan.schedules.get(spec.name)
    faults: list[Fault] = []
    if other is not None and not (replaces and other.is_stored):
        message = (
            "there is one already" if other.is_stored else f"the name is taken at {other.source}"
        )
        hint = "jobctl schedule edit changes it." if other.is_stored else "Choose another name."
        faults.append(Fault(path=path, message=message, hint=hint))
    assert plan.settings.timezone is not None
    of_rule = list(schedule_faults(spec, path, plan.settings.timezone))
    if not of_rule:
        zoned = dataclasses.replace(spec, timezone=spec.timezone or plan.settings.timezone)
        of_rule.extend(moment_faults(zoned, path, now))
    faults.extend(of_rule)
    task = None if is_ours(spec.task) else plan.find(spec.task)
    if task is not None:
        faults.extend(argument_faults(spec, task, plan.parameters.get(task.name), path))
        faults.extend(overlap_faults(spec, task, path))
    elif spec.task not in plan.unavailable:
        known = [name for name in (*plan.tasks, *plan.aliases) if not is_ours(name)]
        faults.extend(task_reference_faults([spec], known, {}))
    if faults:
        raise PlanRefused(tuple(_problem_of(fault) for fault in faults))


def _problem_of(fault: Fault) -> Problem:
    """What is typed stands in no file."""
    return Problem(
        file="",
        line=0,
        column=0,
        key=dotted(fault.path),
        message=f"{subject(fault.path)}: {fault.message}",
        hint=fault.hint,
    )


def _declared_twice(task: CodeTask) -> Fault:
    return Fault(
        path=("tasks", task.name),
        message=f"declared twice, here and in the code at {task.source}",
        hint="Remove its command, shell or function here to override options only, or rename one of them.",
    )


def _told_twice(task: CodeTask, other: CodeTask, group: str, other_group: str) -> Fault:
    return Fault(
        path=("tasks", task.name),
        message=f'worker group "{other_group}" declares it at {task.source}, worker group "{group}" '
        f"otherwise at {other.source} (functions {shown(task.function)} and {shown(other.function)})",
        hint="Give one of them another name.",
    )
