"""What a type checker makes of the Python side. This file is only checked, never run.

``assert_type`` is a check that fails; a line with ``type: ignore`` states an error that must be found,
because unused ignores are errors too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from jobctl import AsyncResult, send_task, submit_many, task
from jobctl.api import FunctionTask, Signature
from jobctl.errors import JobFailed
from jobctl.task import Task
from jobctl.task.keys import nearest


@task
def add(x: int, y: int = 2) -> int:
    """Give the sum."""
    return x + y


@task(queue="mail", retries=3, retry_backoff=True, timeout=timedelta(minutes=1))
def send(to: str, *, subject: str) -> None:
    """Send nothing."""


@task()
def plain() -> list[str]:
    return []


assert_type(add(1, 2), int)
assert_type(add.delay(1), AsyncResult[int])
assert_type(add.delay(1).get(), int)
assert_type(add.delay(1).get(timeout=3), int)
assert_type(add.delay(1).get(3, propagate=False), int | JobFailed)
assert_type(add.delay(1).result, int | JobFailed | None)
assert_type(add.delay(1).traceback, str | None)
assert_type(add.apply_async((1,), countdown=5), AsyncResult[int])
assert_type(add.apply_async([1], {"y": 2}, eta=datetime.now(UTC), expires="1h"), AsyncResult[int])
assert_type(add.s(1), Signature[int])
assert_type(add.s(1).set(priority=5).delay(), AsyncResult[int])
assert_type(plain.delay(), AsyncResult[list[str]])
assert_type(send_task("backup", ["shop"]), AsyncResult[Any])
assert_type(submit_many([add.s(1), plain.s()]), list[AsyncResult[Any]])


def takes_any_task(declared: FunctionTask[..., Any]) -> str:
    """Give its name."""
    return declared.name


takes_any_task(send)

add.delay("1")  # type: ignore[arg-type]
add.delay()  # type: ignore[call-arg]
send.delay("a@b.c", "hi")  # type: ignore[call-arg]
send.apply_async(("a@b.c",), link=None)  # type: ignore[call-arg]
task(bind=True)  # type: ignore[call-overload]

# The package that the decorator shares its name with is what it was.
assert_type(Task(name="a", shell="true"), Task)
assert_type(nearest("a", ["b"]), str)
