"""What the file declares, before anything else is merged with it.

The configuration child prints a `FilePlan` as JSON, the daemon reads it. Its parts have no references
resolved: schedules may name tasks that only the code declares, zones may be left to the daemon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobctl.plan.tables import DaemonSettings, Override, Queue, ScheduleSpec, WorkerGroup
from jobctl.task import Source, Task
from jobctl.task.keys import NAME, Json, keys_of, read_values, write_values

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """Everything that a configuration file and its ``conf.d`` declare, each part in the order of the files.

    ``files`` are the paths that were read, the main file first.
    """

    files: tuple[str, ...] = ()
    settings: DaemonSettings = field(default_factory=DaemonSettings)
    groups: tuple[WorkerGroup, ...] = ()
    queues: tuple[Queue, ...] = ()
    tasks: tuple[Task, ...] = ()
    overrides: tuple[Override, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()

    @property
    def imports(self) -> tuple[str, ...]:
        """Every module whose ``@task`` functions are asked for, each once, in order; may be empty."""
        named = [
            *self.settings.imports,
            *(module for group in self.groups for module in group.imports),
        ]
        return tuple(dict.fromkeys(named))

    def to_json(self) -> dict[str, Json]:
        """Give ``files``, ``daemon`` (its keys and ``source``), and lists of named objects: ``workers``,
        ``queues``, ``tasks``, ``overrides``, ``schedules``. Keys that have their default are left out: this
        is read by the same version at once, not kept."""
        return {
            "files": list(self.files),
            "daemon": {
                "source": self.settings.source.to_json(),
                **write_values(self.settings, brief=True),
            },
            "workers": [_named(group) for group in self.groups],
            "queues": [_named(queue) for queue in self.queues],
            "tasks": [task.to_json(brief=True) for task in self.tasks],
            "overrides": [
                {
                    "name": override.name,
                    "source": override.source.to_json(),
                    "options": dict(override.options),
                }
                for override in self.overrides
            ],
            "schedules": [schedule.to_json(brief=True) for schedule in self.schedules],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FilePlan:
        """Take what `to_json` gave. Raises `InvalidValue` or ``KeyError`` for anything else."""
        daemon = data["daemon"]
        return cls(
            files=tuple(str(path) for path in data["files"]),
            settings=DaemonSettings(
                source=Source.from_json(daemon["source"]),
                **read_values(keys_of(DaemonSettings), _without(daemon, "source")),
            ),
            groups=tuple(
                WorkerGroup(**_read_named(WorkerGroup, group)) for group in data["workers"]
            ),
            queues=tuple(Queue(**_read_named(Queue, queue)) for queue in data["queues"]),
            tasks=tuple(Task.from_json(task) for task in data["tasks"]),
            overrides=tuple(
                Override(
                    name=NAME.read(override["name"]),
                    source=Source.from_json(override["source"]),
                    options=dict(override["options"]),
                )
                for override in data["overrides"]
            ),
            schedules=tuple(ScheduleSpec.from_json(schedule) for schedule in data["schedules"]),
        )


def _named(part: WorkerGroup | Queue) -> dict[str, Json]:
    keys = write_values(part, brief=True)
    return {"name": part.name, "source": part.source.to_json(), **keys}


def _read_named(table: type[WorkerGroup | Queue], data: Mapping[str, Any]) -> dict[str, Any]:
    values = read_values(keys_of(table), _without(data, "name", "source"))
    return {"name": NAME.read(data["name"]), "source": Source.from_json(data["source"]), **values}


def _without(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}
