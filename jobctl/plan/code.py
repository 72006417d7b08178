"""What the code declares, as a template reports it: names, options and signatures, never objects.

A template imports the modules, the daemon reads its report as JSON and merges it
(`jobctl.plan.merge`). A report is data from a process that runs the user's code: everything in it is
checked when it is read or merged.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from jobctl.arguments import Parameter
from jobctl.plan.schedule_table import ScheduleSpec
from jobctl.steps import Steps, at_once, parts
from jobctl.task import UNKNOWN_SOURCE, Source
from jobctl.task.keys import FUNCTION, KWARGS, NAME, Json
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class CodeTask:
    """A function with ``@task``.

    ``options`` are keys of a ``[tasks.X]`` table as they were given to the decorator; ``parameters`` is
    None when the signature cannot be known.
    """

    name: str
    function: str
    options: Mapping[str, Json] = field(default_factory=dict, repr=False)
    parameters: tuple[Parameter, ...] | None = None
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    def to_json(self) -> dict[str, Json]:
        """Give ``name``, ``function``, ``options``, ``parameters`` (a list or null), ``source``."""
        return {
            "name": self.name,
            "function": self.function,
            "options": dict(self.options),
            "parameters": _write_parameters(self.parameters),
            "source": self.source.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CodeTask:
        """Take what `to_json` gave. Raises `InvalidValue`, ``KeyError``, ``TypeError`` or ``ValueError``."""
        return cls(
            name=NAME.read(data["name"]),
            function=FUNCTION.read(data["function"]),
            options=KWARGS.read(data["options"]),
            parameters=_read_parameters(data["parameters"]),
            source=Source.from_json(data["source"]),
        )


@dataclass(frozen=True, kw_only=True)
class ImportFailure:
    """A module that a template could not import. ``message`` is one line: the exception's type and text."""

    module: str
    message: str


@dataclass(frozen=True, kw_only=True)
class CodeReport:
    """What the template of one worker group found.

    ``functions`` are the signatures of the functions that the file names, by ``"module:function"``; None
    when a signature cannot be known. A function that does not exist stands in ``failures`` under its
    whole name. ``coroutines`` are those functions, of file and code, that are coroutine functions.
    ``bound`` are the tasks, by name, whose functions want to know of the job that they make. ``schedules`` are
    those that the code declares beside its tasks.
    """

    group: str
    tasks: tuple[CodeTask, ...] = ()
    functions: Mapping[str, tuple[Parameter, ...] | None] = field(default_factory=dict)
    coroutines: tuple[str, ...] = ()
    bound: tuple[str, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()
    failures: tuple[ImportFailure, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Give ``group``, ``tasks``, ``functions`` (by name), ``coroutines``, ``bound``,
        ``schedules`` (as of `ScheduleSpec.to_json`), ``failures`` (``module``, ``message``)."""
        return {
            "group": self.group,
            "tasks": [task.to_json() for task in self.tasks],
            "functions": {name: _write_parameters(found) for name, found in self.functions.items()},
            "coroutines": [*self.coroutines],
            "bound": [*self.bound],
            "schedules": [spec.to_json(brief=True) for spec in self.schedules],
            "failures": [
                {"module": failure.module, "message": failure.message} for failure in self.failures
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CodeReport:
        """Take what `to_json` gave. Raises `InvalidValue`, ``KeyError``, ``TypeError`` or ``ValueError``."""
        return at_once(reading_report(data))


def reading_report(data: Mapping[str, Any]) -> Steps[CodeReport]:
    """Do what `CodeReport.from_json` does, a part of it at a time."""
    tasks: list[CodeTask] = []
    for some in parts(data["tasks"]):
        tasks.extend(map(CodeTask.from_json, some))
        yield
    functions: dict[str, tuple[Parameter, ...] | None] = {}
    for signatures in parts(data["functions"].items()):
        functions.update(
            (FUNCTION.read(name), _read_parameters(found)) for name, found in signatures
        )
        yield
    return CodeReport(
        group=NAME.read(data["group"]),
        tasks=tuple(tasks),
        functions=functions,
        coroutines=tuple(FUNCTION.read(name) for name in data["coroutines"]),
        bound=tuple(NAME.read(name) for name in data["bound"]),
        schedules=tuple(ScheduleSpec.from_json(schedule) for schedule in data["schedules"]),
        failures=tuple(
            ImportFailure(module=str(failure["module"]), message=str(failure["message"]))
            for failure in data["failures"]
        ),
    )


def _write_parameters(parameters: tuple[Parameter, ...] | None) -> Json:
    return None if parameters is None else [parameter.to_json() for parameter in parameters]


def _read_parameters(data: Any) -> tuple[Parameter, ...] | None:
    return None if data is None else tuple(Parameter.from_json(parameter) for parameter in data)
