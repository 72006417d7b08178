"""Jobs that are made in place: ``task.apply()``.

The function is called as its worker calls it, with its handlers, its request and its retries; arguments and
result are what JSON makes of them. What belongs to a daemon is not there: no waiting, no limits of time or
number, no second job that follows, and of the options those of the code only.
"""

from __future__ import annotations

import inspect
import itertools
import json
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from jobctl.api.options import make_job
from jobctl.api.results import AsyncResult
from jobctl.api.running import Attempt, ExceptionInfo, Request, Runnable
from jobctl.api.session import session
from jobctl.errors import InvalidArguments, RemoteError
from jobctl.job import Reason, State
from jobctl.raised import Ignore, Reject, Replaced, Retry, name_of
from jobctl.retry import RetryRule
from jobctl.task import Task, make_task
from jobctl.task.keys import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobctl.task import Source
    from jobctl.task.keys import Json

R = TypeVar("R")

_ids: Final = itertools.count(1 << 62)
"""Far from those of any daemon: asked for there, such a job does not exist."""


def new_id() -> int:
    """The id of one more job in place."""
    return next(_ids)


class Declared(Runnable, Protocol):
    """What is needed of a task to make its jobs in place."""

    @property
    def options(self) -> Mapping[str, Json]:
        """Keys of a ``[tasks.X]`` table."""
        ...

    @property
    def source(self) -> Source:
        """Where it is declared."""
        ...

    @property
    def place(self) -> str:
        """``"module:function"``."""
        ...

    @property
    def typing(self) -> bool:
        """Arguments are checked against the signature."""
        ...


class EagerResult(AsyncResult[R]):
    """A job that was made in place, and has ended. It answers what an `AsyncResult` does, from memory."""

    __slots__ = ("_answer", "_cause")

    def __init__(self, answer: dict[str, Any], cause: BaseException | None) -> None:
        super().__init__(answer["id"])
        self._answer = answer
        self._cause = cause

    def _ask(self) -> dict[str, Any]:
        return self._answer

    def _wait(self, timeout: float | None) -> dict[str, Any]:
        return self._answer

    def _cancel(self) -> None:
        """It has ended."""

    def _forget(self) -> None:
        self._answer["result"] = None

    def _came_to(
        self, end: dict[str, Any] | None, timeout: float | None, *, propagate: bool
    ) -> Any:
        try:
            return super()._came_to(end, timeout, propagate=propagate)
        except RemoteError as error:
            raise error from self._cause

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> Any:
        """`get`; there is nothing to wait for."""
        return self._came_to(self._answer, timeout, propagate=propagate)


def apply(
    task: Declared, args: tuple[Any, ...], kwargs: Mapping[str, Any], **options: Any
) -> EagerResult[Any]:
    """See `FunctionTask.apply`."""
    job = make_job(task.name, args, kwargs, options, now=session.clock.now())
    args, kwargs = (json.loads(json.dumps(job.get(name, empty))) for name, empty in _ARGUMENTS)
    if task.typing:
        try:
            inspect.signature(cast("Callable[..., Any]", task)).bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f'task "{task.name}": {error}') from None
    rules = _rules_of(task)
    answer: dict[str, Any] = {"id": next(_ids), "task": task.name, "reason": None}
    answer |= {"error": None, "result": None}
    facts = {"rule": vars(RetryRule.of(rules, retries=job.get("retries")))}
    for retries in itertools.count():
        request = Request(
            id=answer["id"],
            task=task.name,
            args=tuple(args),
            kwargs=kwargs,
            retries=retries,
            number=retries + 1,
            queue=job.get("queue", rules.queue),
            priority=job.get("priority", rules.priority),
            labels=job.get("labels", {}),
            headers=job.get("headers", {}),
            is_eager=True,
        )
        attempt = Attempt(task, request, facts)
        answer["retries"] = retries
        answer["finished_at"] = session.clock.now()
        try:
            value = json.loads(json.dumps(_value_of(attempt)))
            answer["result"] = None if job.get("ignore_result") else value
        except Exception as error:  # noqa: BLE001 -- whatever the function raises is its outcome
            if isinstance(error, Replaced) and error.here is not None:
                return _replaced(answer, error.here())
            if isinstance(error, Ignore):
                ended = {"state": State.REVOKED.value, "reason": Reason.IGNORED.value}
                return EagerResult({**answer, **ended}, error)
            # Nobody but this process could take what it rejects.
            if not isinstance(error, Reject) and attempt.is_retried(error):
                continue
            cause = error.__cause__ or error if isinstance(error, Retry) else error
            described = ExceptionInfo(cause).traceback
            answer["error"] = {
                "type": name_of(type(cause)),
                "message": str(cause),
                "traceback": described,
            }
            return EagerResult({**answer, "state": State.FAILURE.value}, cause)
        return EagerResult({**answer, "state": State.SUCCESS.value}, None)
    raise AssertionError("an iteration without an end has ended")


def _replaced(answer: dict[str, Any], by: Any) -> EagerResult[Any]:
    """The result of a job in whose place others were made: what they came to."""
    if isinstance(by, EagerResult):
        told = {
            name: by._answer.get(name) for name in ("state", "reason", "result", "error", "cause")
        }
        return EagerResult({**answer, **told}, by._cause)
    try:
        return EagerResult({**answer, "state": State.SUCCESS.value, "result": by.get()}, None)
    except RemoteError as error:
        told = {"type": error.type, "message": error.text, "traceback": error.traceback}
        return EagerResult({**answer, "state": State.FAILURE.value, "error": told}, error.__cause__)


_ARGUMENTS: Final[tuple[tuple[str, Any], ...]] = (("args", []), ("kwargs", {}))


def _value_of(attempt: Attempt) -> Any:
    value = attempt.run()
    if type(value) is not CoroutineType:
        return value
    import asyncio

    return asyncio.run(value)


def _rules_of(task: Declared) -> Task:
    """The task as a plan without a file would have it; of its schedule nothing."""
    known = {bound.key.name for bound in keys_of(Task).values()}
    written = {name: value for name, value in task.options.items() if name in known}
    return make_task(task.name, {**written, "function": task.place}, source=task.source)
