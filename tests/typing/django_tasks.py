"""What a type checker makes of tasks of Django. This file is only checked, never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, assert_type

from jobctl import AsyncResult, FunctionTask, around_attempts
from jobctl.contrib.django import DjangoTask, autodiscover, shared_task, task


@task
def confirm(number: int, *, loud: bool = False) -> str:
    return f"{number}{loud}"


@shared_task(queue="mail", retries=3)
def send(to: str) -> None: ...


@task(bind=True)
def bound(self: FunctionTask[..., Any], number: int) -> list[int]:
    return [number, self.request.retries]


@task
async def find(book: str) -> list[int]:
    return [len(book)]


@task(bind=True, priority=3)
async def find_again(self: DjangoTask[..., Any], book: str) -> list[int]:
    return await find(book)


assert_type(confirm(1), str)
assert_type(confirm.delay(1, loud=True), AsyncResult[str])
assert_type(confirm.delay_on_commit(1), None)
assert_type(confirm.apply_async_on_commit((1,), {"loud": True}, using="x", countdown=5), None)
assert_type(bound.delay(1).get(), list[int])
assert_type(find.delay("Emma").get(), list[int])
assert_type(find_again.delay("Emma"), AsyncResult[list[int]])
assert_type(autodiscover(), list[str])
find_again.delay_on_commit("Emma")
confirm.delay_on_commit("1")  # type: ignore[arg-type]
confirm.delay_on_commit()  # type: ignore[call-arg]
confirm.apply_async_on_commit([1], exchange="x")  # type: ignore[call-arg]
bound.delay_on_commit("1")  # type: ignore[arg-type]
send.delay_on_commit("a@b.c", "hi")  # type: ignore[call-arg]

around_attempts(3)  # type: ignore[arg-type]


async def in_a_loop() -> None:
    assert_type(await find("Emma"), list[int])
    assert_type(await (await confirm.adelay(1)).aget(), str)
