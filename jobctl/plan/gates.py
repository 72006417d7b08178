"""The gate of a job: what it shares with the jobs that must not run at the same time as it.

A task with a ``concurrency_key`` has a gate for each text that this key becomes with a job's arguments.
The gate's name is the task's, a slash, and that text: names of tasks hold no slash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.arguments import ParameterKind
from jobctl.task.template import read_template, short_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.arguments import Parameter
    from jobctl.plan.force import Plan
    from jobctl.task import Task
    from jobctl.task.keys import Json


def gate_of(
    task: Task,
    args: Sequence[Json],
    kwargs: Mapping[str, Json],
    parameters: Sequence[Parameter] | None,
) -> str | None:
    """Give the gate of a job with these arguments, None when its task has no key.

    ``parameters`` are those of the task's function, None for commands and when they are not known. Raises
    `InvalidArguments` when an argument is missing that the key names.
    """
    if task.concurrency_key is None:
        return None
    key = read_template(task.concurrency_key).fill(args, kwargs, positional_names(parameters))
    return f"{task.name}/{short_key(key)}"


def keyless_gate(task: Task) -> str:
    """Give the gate of jobs that were submitted before the key named an argument that they have not."""
    return f"{task.name}/"


def task_of_gate(gate: str) -> str:
    """Give the name of the task whose gate this is."""
    return gate.partition("/")[0]


def key_of_gate(gate: str) -> str:
    """Give the text that the key of the task became."""
    return gate.partition("/")[2]


def is_paced(plan: Plan, queue: str, task: Task | None) -> bool:
    """Tell whether a rate says when jobs of this queue and task start."""
    if plan.queue(queue).rate_limit is not None:
        return True
    return task is not None and task.rate_limit is not None


def positional_names(parameters: Sequence[Parameter] | None) -> tuple[str, ...]:
    """Give the names of the parameters that can be given by position, in order; may be empty."""
    kinds = (ParameterKind.POSITIONAL_ONLY, ParameterKind.EITHER)
    return tuple(p.name for p in parameters or () if p.kind in kinds)
