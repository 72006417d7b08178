"""The Python side: declare functions as tasks, submit jobs of them, look at what they came to.

::

    from jobctl import task

    @task(queue="mail", retries=3)
    def send(to, subject): ...

    send("a@b.c", "hi")                  # a plain call, here and now
    result = send.delay("a@b.c", "hi")   # a job; durable when this returns
    result.get(timeout=30)

The names are Celery's where the meaning is the same; what is not kept is refused at the declaration or
the call, never ignored (`jobctl.api.options`). Values are JSON. Everything here needs the standard
library only, because it is imported in the environment of an application. Every error is one of
`jobctl.errors`.
"""

from __future__ import annotations

from jobctl.api.around import around_attempts, surrounded
from jobctl.api.calls import submit_many
from jobctl.api.canvas import chain, chord, chunks, group, xmap, xstarmap
from jobctl.api.group_results import GroupResult
from jobctl.api.results import AsyncResult
from jobctl.api.running import Request
from jobctl.api.schedules import registered_schedules, schedule
from jobctl.api.session import configure
from jobctl.api.signatures import Signature, maybe_signature, send_task, signature
from jobctl.api.tasks import (
    FunctionTask,
    autodiscover,
    finish_with,
    register_task,
    registered_tasks,
    shared_task,
    take_last_steps,
    task,
)

__all__ = [
    "AsyncResult",
    "FunctionTask",
    "GroupResult",
    "Request",
    "Signature",
    "around_attempts",
    "autodiscover",
    "chain",
    "chord",
    "chunks",
    "configure",
    "finish_with",
    "group",
    "maybe_signature",
    "register_task",
    "registered_schedules",
    "registered_tasks",
    "schedule",
    "send_task",
    "shared_task",
    "signature",
    "submit_many",
    "surrounded",
    "take_last_steps",
    "task",
    "xmap",
    "xstarmap",
]
