"""What the file declares, before anything else is merged with it.

The configuration child prints a `FilePlan` as JSON, the daemon reads it. Its parts have no references
resolved: schedules may name tasks that only the code declares, zones may be left to the daemon.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from jobctl.plan.routes import Route
from jobctl.plan.schedule_table import ScheduleSpec
from jobctl.plan.tables import DaemonSettings, MetricsSettings, Override, Queue, WorkerGroup
from jobctl.task import Source, Task
from jobctl.task.keys import NAME, Json, keys_of, read_values, write_values
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """Everything that a configuration file and its ``conf.d`` declare, each part in the order of the files.

    ``files`` are the paths that were read, the main file first.
    """

    files: tuple[str, ...] = ()
    settings: DaemonSettings = field(default_factory=DaemonSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    groups: tuple[WorkerGroup, ...] = ()
    queues: tuple[Queue, ...] = ()
    tasks: tuple[Task, ...] = ()
    overrides: tuple[Override, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def imports(self) -> tuple[str, ...]:
        """Every module whose ``@task`` functions are asked for, each once, in order; may be empty."""
        named = [
            *self.settings.imports,
            *(module for group in self.groups for module in group.imports),
        ]
        return tuple(dict.fromkeys(named))

    def to_json(self) -> dict[str, Json]:
        """Give ``files``, ``daemon`` and ``metrics`` (their keys and ``source``), and lists of named objects: ``workers``,
        ``queues``, ``notify``, ``tasks``, ``overrides``, ``schedules``. Keys that have their default are left out: this
        is read by the same version at once, not kept."""
        return {
            "files": list(self.files),
            "daemon": {
                "source": self.settings.source.to_json(),
                **write_values(self.settings, brief=True),
            },
            "metrics": {
                "source": self.metrics.source.to_json(),
                **write_values(self.metrics, brief=True),
            },
            "workers": [_named(group) for group in self.groups],
            "queues": [_named(queue) for queue in self.queues],
            "notify": [_named(route) for route in self.routes],
            **{name: [one_to_json(one) for one in getattr(self, name)] for name in MANY},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FilePlan:
        """Take what `to_json` gave. Raises `InvalidValue` or ``KeyError`` for anything else."""
        daemon, metrics = data["daemon"], data["metrics"]
        return cls(
            files=tuple(str(path) for path in data["files"]),
            settings=DaemonSettings(
                source=Source.from_json(daemon["source"]),
                **read_values(keys_of(DaemonSettings), _without(daemon, "source")),
            ),
            metrics=MetricsSettings(
                source=Source.from_json(metrics["source"]),
                **read_values(keys_of(MetricsSettings), _without(metrics, "source")),
            ),
            groups=tuple(
                WorkerGroup(**_read_named(WorkerGroup, group)) for group in data["workers"]
            ),
            queues=tuple(Queue(**_read_named(Queue, queue)) for queue in data["queues"]),
            routes=tuple(Route(**_read_named(Route, route)) for route in data["notify"]),
            tasks=tuple(Task.from_json(task) for task in data["tasks"]),
            overrides=tuple(_read_override(override) for override in data["overrides"]),
            schedules=tuple(ScheduleSpec.from_json(schedule) for schedule in data["schedules"]),
        )


def one_to_json(one: Task | Override | ScheduleSpec) -> dict[str, Json]:
    """Give one of `MANY`; keys that have their default are left out."""
    if isinstance(one, Override):
        return {"name": one.name, "source": one.source.to_json(), "options": dict(one.options)}
    return one.to_json(brief=True)


def _read_override(data: Mapping[str, Any]) -> Override:
    return Override(
        name=NAME.read(data["name"]),
        source=Source.from_json(data["source"]),
        options=dict(data["options"]),
    )


def _named(part: WorkerGroup | Queue | Route) -> dict[str, Json]:
    keys = write_values(part, brief=True)
    return {"name": part.name, "source": part.source.to_json(), **keys}


def _read_named(
    table: type[WorkerGroup | Queue | Route], data: Mapping[str, Any]
) -> dict[str, Any]:
    values = read_values(keys_of(table), _without(data, "name", "source"))
    return {"name": NAME.read(data["name"]), "source": Source.from_json(data["source"]), **values}


def _without(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


MANY: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "tasks": Task.from_json,
    "overrides": _read_override,
    "schedules": ScheduleSpec.from_json,
}
"""The parts of a `FilePlan` of which there may be a hundred thousand, and what reads one of them. Where such
a plan travels, each of these stands on a line of its own."""
