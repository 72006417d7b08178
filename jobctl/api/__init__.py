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

from jobctl.api.calls import Signature, send_task, submit_many
from jobctl.api.results import AsyncResult
from jobctl.api.session import configure
from jobctl.api.tasks import FunctionTask, registered_tasks, task

__all__ = [
    "AsyncResult",
    "FunctionTask",
    "Signature",
    "configure",
    "registered_tasks",
    "send_task",
    "submit_many",
    "task",
]
