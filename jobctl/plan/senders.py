"""What the plan has for the routes of ``[notify.X]``: a task for each, and a queue and workers for all.

The jobs of the task ``jobctl.notify.X`` are the messages of the route X. They wait in a queue of their own and
are sent by a worker group of their own, so that a mail server that is down holds up nothing else, and they are
retried as any command is. These names are ours: no table of a user may have them.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Final

from jobctl.plan.tables import Queue, WorkerGroup
from jobctl.task import Task
from jobctl.task.keys import write_values
from jobctl.task.units import Fault
from jobctl.task.world import CREDENTIAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobctl.plan.routes import Route
    from jobctl.task.keys import Json

QUEUE: Final = "jobctl.notify"
"""The queue of all messages, and the worker group that serves it."""
_PREFIX: Final = "jobctl.notify."
_SENDERS: Final = 4
"""Messages that are sent at once."""
_GRACE_S: Final = 10.0
"""The sender keeps the limit of its route itself, and says what it was waiting for; this is the last resort."""

_FILES: Final = ("password_file", "secret_file", "url_file")

NOTICE: Final = "notice"
"""The argument of these jobs: what is to be told, as JSON."""

REFUSED: Final = os.EX_DATAERR
"""The exit code of a message that will never be taken: nothing is gained by trying again."""


def task_of(route: Route) -> Task:
    """The task whose jobs are the messages of a route.

    The settings come on standard input, and secrets are read from their files by whoever sends: neither stands
    in arguments, in the store or in a log.
    """
    settings: dict[str, Json] = {"name": route.name, **write_values(route)}
    settings |= {key: _resolved(path) for key in _FILES if (path := settings.get(key)) is not None}
    return Task(
        name=task_name(route.name),
        command=(sys.executable, "-P", "-m", "jobctl.notify.sender"),
        description=f"Messages of the route {route.name}",
        queue=QUEUE,
        stdin=json.dumps(settings),
        user=route.user,
        cwd="/",
        timeout_s=route.timeout_s + _GRACE_S,
        retries=1_000_000,
        retry_delay_s=route.retry_delay_s,
        retry_backoff_max_s=max(route.retry_delay_max_s, route.retry_delay_s),
        retry_on=("1-64", "66-255", "signal", "timeout"),
        on_lost="retry",
        max_lost=1_000_000,
        deadline_s=route.give_up_after_s,
        output_cap_bytes=16 << 10,
        source=route.source,
    )


def _resolved(path: Json) -> Json:
    """The path of a credential of the service, if that is what is named and there is one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not isinstance(path, str) or not path.startswith(CREDENTIAL) or not folder:
        return path
    return f"{folder}/{path.removeprefix(CREDENTIAL)}"


def task_name(route: str) -> str:
    """The name of the task of a route."""
    return f"{_PREFIX}{route}"


def route_of(task: str | None) -> str | None:
    """The name of the route whose messages the jobs of a task are; None for a task of a user."""
    if task is None or not task.startswith(_PREFIX):
        return None
    return task.removeprefix(_PREFIX)


def is_ours(name: str) -> bool:
    """Whether a task, queue or worker group of this name is there for routes, and not for users."""
    return name == QUEUE or name.startswith(_PREFIX)


def queue_of_messages() -> Queue:
    """The queue of all messages."""
    return Queue(name=QUEUE, description="Messages of the routes of [notify]")


def group_of_senders() -> WorkerGroup:
    """The worker group that sends them, and nothing else."""
    return WorkerGroup(name=QUEUE, queues=(QUEUE,), commands=_SENDERS, processes=1)


def name_faults(table: str, names: Iterable[str]) -> Iterator[Fault]:
    """Find tables that have a name of ours."""
    for name in names:
        if is_ours(name):
            message = "the name is taken by the messages of [notify]"
            yield Fault(path=(table, name), message=message, hint="Choose another name.")
