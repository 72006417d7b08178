"""Handing over: the task that gets a job when one of another task has succeeded, failed, or is tried again.

The keys ``on_success``, ``on_failure`` and ``on_retry`` name it. Its job gets what is known of the one that
ended as named arguments, `FACTS`: a function those that it has parameters for, a command all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.arguments import Given, ParameterKind, bind, build_argv, texts, with_defaults
from jobctl.errors import InvalidArguments
from jobctl.task import Kind
from jobctl.task.keys import nearest
from jobctl.task.units import Fault, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobctl.arguments import Parameter
    from jobctl.task import Task
    from jobctl.task.keys import Json

    Parameters = tuple[Parameter, ...] | None

EVENTS: Final = ("on_success", "on_failure", "on_retry")

FACTS: Final[Mapping[str, str]] = {
    "job_id": "the id of the job that ended",
    "task": "the name of its task",
    "state": "SUCCESS, FAILURE or RETRY",
    "attempt": "the number of its last attempt, from 1",
    "exit_code": "that of a command",
    "signal": "the number of the signal that ended a command",
    "error_type": "the class of a function's exception, or another word for what went wrong",
    "error_message": "its message, cut after 4096 characters",
}
"""What is told, by name. What there is none of is null for a function and empty for a command."""

_EXAMPLE: Final[Mapping[str, Json]] = {**dict.fromkeys(FACTS), "job_id": 1, "attempt": 1}
LONGEST_MESSAGE: Final = 4096


def arguments_for(task: Task, parameters: Parameters, facts: Mapping[str, Json]) -> dict[str, Json]:
    """Give those of the facts that a task takes, in the form that it takes."""
    if task.kind is Kind.COMMAND:
        # A NUL may stand in a message and cannot stand in a variable.
        return {
            name: ""
            if fact is None
            else fact.replace("\0", "\ufffd")
            if isinstance(fact, str)
            else fact
            for name, fact in facts.items()
        }
    if parameters is None or any(p.kind is ParameterKind.VAR_KEYWORD for p in parameters):
        return dict(facts)
    by_name = (ParameterKind.EITHER, ParameterKind.KEYWORD_ONLY)
    names = {parameter.name for parameter in parameters if parameter.kind in by_name}
    # Parameters that the task's own positional arguments fill are not given a second time.
    filled = {parameter.name for parameter in parameters[: len(task.args)]}
    return {name: fact for name, fact in facts.items() if name in names - filled}


def handover_faults(
    tasks: Mapping[str, Task],
    aliases: Mapping[str, str],
    parameters: Mapping[str, Parameters],
    *,
    known: frozenset[str] | None,
) -> Iterator[Fault]:
    """Find tasks that hand over to one that does not exist, cannot take it, or leads back to them.

    ``known`` are all names that there are; None: there may be more.
    """
    for task in tasks.values():
        for event in EVENTS:
            name = getattr(task, event)
            if name is None:
                continue
            path = ("tasks", task.name, event)
            target = tasks.get(aliases.get(name, name))
            if target is None:
                if known is not None and name not in known:
                    near = nearest(name, sorted(known))
                    hint = f'Did you mean "{near}"?' if near else "Declare the task."
                    yield Fault(path=path, message=f"there is no task {shown(name)}", hint=hint)
                continue
            ring = _way_back(task.name, target.name, tasks, aliases)
            if ring is not None:
                way = " -> ".join((task.name, *ring))
                message = f"its jobs would never end: {way}"
                hint = "A task must not hand over to itself, directly or through others."
                yield Fault(path=path, message=message, hint=hint)
            yield from _faults_of_facts(path, target, parameters.get(target.name))


def _way_back(
    start: str, first: str, tasks: Mapping[str, Task], aliases: Mapping[str, str]
) -> tuple[str, ...] | None:
    """The tasks from ``first`` back to ``start``, both included, or None: there is no such way."""
    ways: list[tuple[str, ...]] = [(first,)]
    seen = {first}
    for way in ways:
        if way[-1] == start:
            return way
        task = tasks.get(way[-1])
        for event in EVENTS:
            name = getattr(task, event) if task is not None else None
            following = aliases.get(name, name) if name is not None else None
            if following is not None and (following == start or following not in seen):
                seen.add(following)
                ways.append((*way, following))
    return None


def _faults_of_facts(
    path: tuple[str, ...], target: Task, parameters: Parameters
) -> Iterator[Fault]:
    given = Given.exact((), arguments_for(target, parameters, _EXAMPLE))
    given = with_defaults(given, target.args, target.kwargs)
    try:
        if target.kind is Kind.FUNCTION:
            if parameters is not None:
                bind(parameters, given)
        elif target.command is not None:
            build_argv(target.command, texts(given))
    except InvalidArguments as error:
        message = f"{shown(target.name)} cannot be given what is known of a job: {error.message}"
        hint = f"Named arguments are {', '.join(FACTS)}."
        yield Fault(path=path, message=message, hint=hint)
