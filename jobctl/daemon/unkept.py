"""Limits of tasks that the daemon cannot keep where it runs: nobody has delegated their control groups to it.

``check`` cannot know that, since it runs elsewhere. A reload is refused for it. A daemon that starts says so
and serves everything else; the attempts of these tasks fail, with the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.errors import Problem
from jobctl.logs import fields, logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobctl.task import Task

_HINT: Final = (
    "Delegate control groups to the daemon (the how-to on limits of a command), or remove it."
)


def unkept_limits(tasks: Iterable[Task], unkept: Mapping[str, str]) -> list[Problem]:
    """One problem for each limit that a task has and the daemon cannot keep; mostly none.

    ``unkept`` tells by key why not (`jobctl.engine.local.engine.LocalEngine.unkept_limits`).
    """
    found = []
    for task in tasks:
        asked = {"memory": task.memory_bytes, "processes": task.processes}
        for key, why in unkept.items():
            if asked[key] is not None:
                source = task.source
                found.append(
                    Problem(
                        file=source.file,
                        line=source.line,
                        column=source.column,
                        key=f"tasks.{task.name}.{key}",
                        message=f'task "{task.name}": {key} cannot be kept here: {why}',
                        hint=_HINT,
                    )
                )
    return found


def tell_unkept(problems: Iterable[Problem]) -> None:
    """Say at a start which attempts will fail, and why."""
    for problem in problems:
        logger.error(
            "a limit cannot be kept: the attempts of its task fail",
            extra=fields(key=problem.key, reason=problem.message),
        )
