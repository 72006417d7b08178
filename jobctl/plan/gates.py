"""What a job shares with others by its arguments: its gate, and what of it is unique.

A task with a ``concurrency_key`` has a gate for each text that this key becomes with a job's arguments: the
jobs of a gate must not all run at the same time. Its name is the task's, a slash, and that text; names of
tasks hold no slash. What is unique of a job of a task with ``unique`` is a text too: while a job with that
text waits or runs, no second one is made.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobctl.arguments import ParameterKind
from jobctl.digest import blake2b
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


def unique_key_of(
    task: Task,
    args: Sequence[Json],
    kwargs: Mapping[str, Json],
    parameters: Sequence[Parameter] | None,
) -> str | None:
    """Give what is unique of a job with these arguments, None when its task says nothing of it.

    It is ``args``, ``task`` or ``key``, a slash, the task's name, and what else there is. Raises as `gate_of`
    does.
    """
    name = task.name
    match task.unique:
        case None:
            return None
        case "task":
            return f"task/{name}"
        case "args":
            return f"args/{name}/{_digest(args, kwargs, positional_names(parameters))}"
        case template:
            key = read_template(template).fill(args, kwargs, positional_names(parameters))
            return f"key/{name}/{short_key(key)}"


def _digest(args: Sequence[Json], kwargs: Mapping[str, Json], names: Sequence[str]) -> str:
    """The same for the same call of a function, whether its arguments come by position or by name."""
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    text = json.dumps([list(args[len(names) :]), named], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


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
    """Tell whether a rate or the host's load says when jobs of this queue and task start."""
    given = plan.queue(queue)
    if given.rate_limit is not None or given.has_load_limit or plan.settings.has_load_limit:
        return True
    return task is not None and (task.rate_limit is not None or task.has_load_limit)


def positional_names(parameters: Sequence[Parameter] | None) -> tuple[str, ...]:
    """Give the names of the parameters that can be given by position, in order; may be empty."""
    kinds = (ParameterKind.POSITIONAL_ONLY, ParameterKind.EITHER)
    return tuple(p.name for p in parameters or () if p.kind in kinds)
