"""What a type checker makes of the Python side. This file is only checked, never run.

``assert_type`` is a check that fails; a line with ``type: ignore`` states an error that must be found,
because unused ignores are errors too.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from jobctl import AsyncResult, send_task, submit_many, task
from jobctl.api import FunctionTask, GroupResult, Signature, group
from jobctl.contrib import celery
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


@task(bind=True, throws=(KeyError,), on_success="shop.mail.sent")
def bound(self: FunctionTask[..., Any], number: int) -> str:
    self.update_state(state="PROGRESS", meta={"current": number})
    raise self.retry(countdown=5, exc=KeyError(self.request.id))


class Base(FunctionTask[..., Any]):
    retries = 3

    def after_return(
        self, status: str, retval: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        """Say nothing."""


@task(base=Base, bind=True)
def of_base(self: Base, *, name: str) -> None: ...


assert_type(bound.delay(3), AsyncResult[str])
assert_type(bound(3), str)
bound.delay("3")  # type: ignore[arg-type]
of_base.delay(name="a")
of_base.delay("a")  # type: ignore[call-arg]

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
assert_type(add.si(1), Signature[int])
assert_type(add.signature((1,), countdown=5), Signature[int])
assert_type(group(add.s(1), add.s(2)).delay(), GroupResult)
assert_type(add.chunks([(1, 2)], 10).apply_async(), GroupResult)
assert_type(add.apply_async((1,), link=add.s(2), headers={"tenant": "acme"}), AsyncResult[int])
assert_type(add.s(1).set(priority=5).delay(), AsyncResult[int])
assert_type(add.map([1, 2], priority=5), list[AsyncResult[int]])
assert_type(add.starmap([(1, 2)]), list[AsyncResult[int]])
assert_type(plain.delay(), AsyncResult[list[str]])
assert_type(send_task("backup", ["shop"]), AsyncResult[Any])
assert_type(submit_many([add.s(1), plain.s()]), list[AsyncResult[Any]])


assert_type(add.apply([1]), AsyncResult[int])


def takes_any_task(declared: FunctionTask[..., Any]) -> str:
    """Give its name."""
    return declared.name


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@task(bind=True, retries=2)
async def fetch_again(self: FunctionTask[..., Any], url: str) -> bytes:
    return await fetch(url)


assert_type(fetch.delay("u"), AsyncResult[bytes])
assert_type(fetch_again.apply_async(["u"]).get(), bytes)
fetch.delay(1)  # type: ignore[arg-type]
takes_any_task(fetch)


async def in_a_loop() -> None:
    assert_type(await fetch("u"), bytes)
    assert_type(await (await fetch_again.adelay("u")).aget(), bytes)
    assert_type(await add.adelay(1), AsyncResult[int])
    assert_type(await (await plain.aapply_async()).aget(), list[str])
    await add.adelay("1")  # type: ignore[arg-type]


takes_any_task(send)

add.delay("1")  # type: ignore[arg-type]
add.delay()  # type: ignore[call-arg]
send.delay("a@b.c", "hi")  # type: ignore[call-arg]
send.apply_async(("a@b.c",), shadow=None)  # type: ignore[call-arg]
task(bind="yes")  # type: ignore[call-overload]

# The package that the decorator shares its name with is what it was.
assert_type(Task(name="a", shell="true"), Task)
assert_type(nearest("a", ["b"]), str)


app = celery.Celery("typed")


@app.task
def of_app(x: int) -> str:
    return str(x)


@celery.shared_task(bind=True)
def shared(self: celery.Task[..., Any], x: int) -> str:
    return f"{self.request.id}{x}"


assert_type(of_app.delay(1), AsyncResult[str])
assert_type(shared.delay(1).get(), str)
of_app.delay("1")  # type: ignore[arg-type]
