"""What is entered before each attempt and left after it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import around_attempts
from jobctl.api import around, surrounded
from jobctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(around, "_makers", [])
    return []


def context(said: list[str], name: str) -> Any:
    @contextlib.contextmanager
    def made() -> Iterator[None]:
        said.append(f"+{name}")
        try:
            yield
        finally:
            said.append(f"-{name}")

    return made


def test_without_contexts_a_function_stays_what_it_is(said: list[str]) -> None:
    assert surrounded(len) is len


def test_contexts_are_entered_in_their_order_and_left_in_the_other(said: list[str]) -> None:
    one = context(said, "one")
    around_attempts(one)
    around_attempts(context(said, "two"))
    around_attempts(one)

    def fail(text: str) -> None:
        said.append(text)
        raise KeyError(text)

    with pytest.raises(KeyError):
        surrounded(fail)("here")
    assert said == ["+one", "+two", "here", "-two", "-one"]
    assert surrounded(len)("abc") == 3


def test_a_context_that_cannot_be_entered_is_the_failure_and_what_was_entered_is_left(
    said: list[str],
) -> None:
    class Broken(contextlib.AbstractContextManager[None]):
        def __enter__(self) -> None:
            raise ConnectionError("no database")

        def __exit__(self, *_: object) -> None:
            said.append("never")

    around_attempts(context(said, "one"))
    around_attempts(Broken)
    with pytest.raises(ConnectionError):
        surrounded(said.append)("never")
    assert said == ["+one", "-one"]


def test_steps_of_a_coroutine_are_within_the_contexts(said: list[str]) -> None:
    class Both:
        def __enter__(self) -> None:
            said.append("plain")

        def __exit__(self, *_: object) -> None:
            said.append("plain")

        async def __aenter__(self) -> None:
            said.append("+async")

        async def __aexit__(self, *_: object) -> None:
            said.append("-async")

    around_attempts(Both)
    around_attempts(context(said, "one"))

    async def wait(number: int) -> int:
        said.append("begin")
        await asyncio.sleep(0)
        said.append("end")
        return number

    wrapped = surrounded(wait)
    assert inspect.iscoroutinefunction(inspect.unwrap(wrapped))
    assert asyncio.run(wrapped(3)) == 3
    assert said == ["+async", "+one", "begin", "end", "-one", "-async"]


def test_a_plain_function_that_gives_a_coroutine_is_surrounded_twice(said: list[str]) -> None:
    around_attempts(context(said, "one"))

    async def steps() -> str:
        said.append("steps")
        return "done"

    assert asyncio.run(surrounded(lambda: steps())()) == "done"
    assert said == ["+one", "-one", "+one", "steps", "-one"]


def test_a_context_instead_of_its_maker_is_refused(said: list[str]) -> None:
    with pytest.raises(UsageError, match="around_attempts takes what makes a context, not str"):
        around_attempts("app")  # type: ignore[arg-type]
