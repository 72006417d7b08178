"""The plan in force: immutable, with every reference resolved.

Made by `jobctl.plan.merge.merge`, and from a plan by adding or removing one schedule. Dispatcher, beat and handlers read it; a reload replaces it
whole.
"""

from __future__ import annotations

import dataclasses
from dataclasses import field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jobctl.errors import NotFound
from jobctl.plan.routes import hidden
from jobctl.plan.senders import is_ours
from jobctl.plan.tables import MetricsSettings, Queue, WorkerGroup, implicit_queue
from jobctl.task import DEFAULT_MISSED_LIMIT
from jobctl.task.keys import Json, keys_of, nearest, read_values, write_values
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.arguments import Parameter
    from jobctl.plan.routes import Route
    from jobctl.plan.schedule_table import ScheduleSpec
    from jobctl.plan.tables import DaemonSettings
    from jobctl.task import Task

_SECRET = ("env", "args", "kwargs")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is in force.

    Attributes:
        files: what was read, the main file first.
        settings: ``timezone`` is always set.
        metrics: where metrics go besides the socket.
        groups: worker groups by name, at least one.
        queues: every queue that something names, by name.
        tasks: by name; those of the code included.
        aliases: name of a task by each of its aliases.
        schedules: by name; ``timezone`` is always set.
        parameters: signatures of functions by the name of their task; None where it is not known.
        bound: the tasks whose functions want to know of the job that they make.
        routes: those of ``[notify.X]`` that are not switched off, by name; for each of them there is a task of ours
            (`jobctl.plan.senders`).
        declared_queues: ``queues`` as they are without the limits that commands have set; empty when none has.
        declared_groups: likewise ``groups`` without the sizes that commands have set.
        unavailable: why a task cannot run now, by its name; a task that only an import would declare
            stands here and not in ``tasks``.
    """

    files: tuple[str, ...]
    settings: DaemonSettings
    groups: Mapping[str, WorkerGroup]
    queues: Mapping[str, Queue]
    tasks: Mapping[str, Task]
    aliases: Mapping[str, str]
    schedules: Mapping[str, ScheduleSpec]
    parameters: Mapping[str, tuple[Parameter, ...] | None] = field(repr=False)
    unavailable: Mapping[str, str]
    bound: frozenset[str] = frozenset()
    routes: Mapping[str, Route] = field(default_factory=dict)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    declared_queues: Mapping[str, Queue] = field(default_factory=dict)
    declared_groups: Mapping[str, WorkerGroup] = field(default_factory=dict)

    def find(self, name: str) -> Task | None:
        """Give the task of this name or alias, None when there is none."""
        return self.tasks.get(name) or self.tasks.get(self.aliases.get(name, ""))

    def task(self, name: str) -> Task:
        """Give the task of this name or alias. Raises `NotFound` with the nearest name as a hint."""
        task = self.find(name)
        if task is None:
            near = nearest(name, tuple(self.tasks))
            hint = (
                f'Did you mean "{near}"?' if near else "jobctl inspect registered lists the tasks."
            )
            if name in self.unavailable:
                raise NotFound(f'task "{name}" is unavailable: {self.unavailable[name]}')
            raise NotFound(f'there is no task "{name}"', hint=hint)
        return task

    def group(self, name: str) -> WorkerGroup:
        """Give the worker group of this name. Raises `NotFound` with the nearest name as a hint."""
        group = self.groups.get(name)
        if group is None:
            near = nearest(name, tuple(self.groups))
            hint = f'Did you mean "{near}"?' if near else "jobctl worker list shows them."
            raise NotFound(f'there is no worker group "{name}"', hint=hint)
        return group

    def queue(self, name: str) -> Queue:
        """Give the queue of this name; one that nothing names has no limits."""
        return self.queues.get(name) or implicit_queue(name)

    def groups_serving(self, queue: str) -> tuple[WorkerGroup, ...]:
        """Give the worker groups that take jobs of a queue, in the order of the file; may be empty.

        A group that names no queues serves every queue that no other group names.
        """
        return self._named_groups.get(queue) or self._other_groups

    def modules_of(self, group: WorkerGroup) -> tuple[str, ...]:
        """Give the modules that the template of a group imports, in order, each once; may be empty.

        Those of ``[daemon] imports``, the group's own, and those of the functions that the file names
        for queues of the group.
        """
        modules = [*self.settings.imports, *group.imports]
        modules += [
            task.function.partition(":")[0]
            for task in self.tasks.values()
            if task.function is not None and group in self.groups_serving(task.queue)
        ]
        return tuple(dict.fromkeys(modules))

    def schedules_of(self, task: str) -> tuple[ScheduleSpec, ...]:
        """Give the schedules of a task, by its name; may be empty."""
        return tuple(
            spec
            for spec in self.schedules.values()
            if task in (spec.task, self.aliases.get(spec.task))
        )

    def arguments_of(self, spec: ScheduleSpec) -> tuple[tuple[Json, ...], dict[str, Json]]:
        """Give the arguments of the jobs of a schedule: its own, completed by its task's."""
        task = self.find(spec.task)
        args = spec.args or (task.args if task else ())
        return args, {**(task.kwargs if task else {}), **(spec.kwargs or {})}

    def on_overlap_of(self, spec: ScheduleSpec) -> str:
        """Give ``skip``, ``queue``, ``replace`` or ``allow``: the schedule's word, else its task's."""
        task = self.find(spec.task)
        return spec.on_overlap or (task.on_overlap if task else "skip")

    def on_missed_of(self, spec: ScheduleSpec) -> str:
        """Give ``skip``, ``once`` or ``all``: the schedule's word, else its task's."""
        task = self.find(spec.task)
        return spec.on_missed or (task.on_missed if task else "skip")

    def missed_within_of(self, spec: ScheduleSpec) -> float | None:
        """Give how old an instant may be to be made up for, in seconds; None: no limit."""
        task = self.find(spec.task)
        return spec.missed_within_s or (task.missed_within_s if task else None)

    def missed_limit_of(self, spec: ScheduleSpec) -> int:
        """Give how many jobs ``on_missed = "all"`` makes at once."""
        task = self.find(spec.task)
        return spec.missed_limit or (task.missed_limit if task else DEFAULT_MISSED_LIMIT)

    def with_schedule(self, spec: ScheduleSpec) -> Plan:
        """Give the plan with this schedule, in place of one of its name. `jobctl.plan.check_schedule` has
        judged it. Costs a copy of the table of schedules, and nothing for each of them."""
        spec = dataclasses.replace(spec, timezone=spec.timezone or self.settings.timezone)
        schedules = self._copied_schedules()
        schedules[spec.name] = spec
        return self._with(schedules)

    def without_schedule(self, name: str) -> Plan:
        """Give the plan without the schedule of this name, which it has."""
        schedules = self._copied_schedules()
        del schedules[name]
        return self._with(schedules)

    def _copied_schedules(self) -> dict[str, ScheduleSpec]:
        # A view is copied as the mapping that it shows only if it is asked to: ten times as fast.
        view = self.schedules
        return view.copy() if isinstance(view, MappingProxyType) else dict(view)

    def with_limits(self, limits: Mapping[str, Mapping[str, Json]]) -> Plan:
        """Give the plan in which queues have other limits: keys of their tables by the name of the queue,
        null for no limit. Raises `InvalidValue` for keys or values that no such table takes."""
        declared = self.declared_queues or self.queues
        queues = dict(declared)
        for name, written in limits.items():
            values: dict[str, Any] = dict.fromkeys(written)
            values |= read_values(keys_of(Queue), written)
            if "rate_limit" in written:
                # A burst belongs to its rate.
                values.setdefault("rate_burst", None)
            queue = declared.get(name) or implicit_queue(name)
            queues[name] = dataclasses.replace(queue, **values)
        return dataclasses.replace(self, queues=MappingProxyType(queues), declared_queues=declared)

    def with_sizes(self, sizes: Mapping[str, Mapping[str, Json]]) -> Plan:
        """Give the plan in which worker groups have other sizes: keys of their tables by the name of the
        group. Groups that the plan does not have are passed over. Raises `InvalidValue` for keys or values
        that no such table takes."""
        declared = self.declared_groups or self.groups
        groups = dict(declared)
        for name, written in sizes.items():
            if name in declared:
                values = read_values(keys_of(WorkerGroup), written)
                groups[name] = dataclasses.replace(declared[name], **values)
        return dataclasses.replace(self, groups=MappingProxyType(groups), declared_groups=declared)

    def _with(self, schedules: dict[str, ScheduleSpec]) -> Plan:
        return dataclasses.replace(self, schedules=MappingProxyType(schedules))

    def to_json(self) -> dict[str, Json]:
        """Give the plan for people (``inspect conf``): ``files``, ``daemon``, ``metrics``, and by name ``workers``,
        ``queues``, ``tasks``, ``schedules``, ``notify``; ``unavailable``. What is there for routes is left out.

        Values of arguments and of environments may be secrets and are hidden; their names are shown.
        """
        return {
            "files": list(self.files),
            "daemon": write_values(self.settings),
            "metrics": write_values(self.metrics),
            "workers": {
                name: _hidden(write_values(part))
                for name, part in self.groups.items()
                if not is_ours(name)
            },
            "queues": {
                name: write_values(part) for name, part in self.queues.items() if not is_ours(name)
            },
            "tasks": {
                name: _hidden(part.to_json())
                for name, part in self.tasks.items()
                if not is_ours(name)
            },
            "schedules": {name: _hidden(part.to_json()) for name, part in self.schedules.items()},
            "notify": {name: hidden(write_values(part)) for name, part in self.routes.items()},
            "unavailable": dict(self.unavailable),
        }

    @cached_property
    def _named_groups(self) -> dict[str, tuple[WorkerGroup, ...]]:
        served: dict[str, tuple[WorkerGroup, ...]] = {}
        for group in self.groups.values():
            for queue in group.queues:
                served[queue] = (*served.get(queue, ()), group)
        return served

    @cached_property
    def _other_groups(self) -> tuple[WorkerGroup, ...]:
        return tuple(group for group in self.groups.values() if not group.queues)


def _hidden(keys: dict[str, Json]) -> dict[str, Json]:
    for name in _SECRET:
        value = keys.get(name)
        if isinstance(value, dict):
            keys[name] = dict.fromkeys(value, "…")
        elif isinstance(value, list):
            keys[name] = ["…"] * len(value)
    return keys
