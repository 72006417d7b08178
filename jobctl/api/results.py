"""What a job came to: `AsyncResult`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar, overload

from jobctl.api.rebuilt import remote_error
from jobctl.api.session import session
from jobctl.errors import JobFailed, JobRevoked, NotFound, RemoteError, UsageError, WaitTimedOut
from jobctl.job import FINAL, State
from jobctl.protocol import requests
from jobctl.task.units import LONGEST_SPAN_S, shown

R = TypeVar("R")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


class AsyncResult(Generic[R]):
    """A job, by its id. Nothing of it is remembered: each question is put to the daemon.

    ``duplicate``: the submit that gave it made no job, because this one was there already: its ``task_id``
    was used before, or its task is unique. Of a job that was submitted with others ``workflow`` is the id of the
    whole, and ``parent`` the result of the step before it; None otherwise.

    Raises, from everything that asks the daemon:
        NotFound: there is no such job (any more); it is never reported as PENDING.
        DaemonNotRunning, Unreachable: no daemon answered within the patience (see `configure`).
    """

    __slots__ = ("duplicate", "id", "parent", "workflow")

    parent: Any
    workflow: int | None

    def __init__(self, id: int | str, *, duplicate: bool = False) -> None:
        """Take an id, or its digits as they came through a URL or a session: as they were printed."""
        # Not `int` alone, which reads "1_0", " 12" and digits of every script.
        number = int(id) if isinstance(id, str) and _ID.fullmatch(id) else id
        if type(number) is not int or not 0 < number < 2**63:
            raise UsageError(f"{shown(id)} is not the id of a job")
        self.id = number
        self.duplicate = duplicate
        self.parent = None
        self.workflow = None

    def as_list(self) -> list[Any]:
        """Its id, and those of the steps before it."""
        return [self.id, *(self.parent.as_list() if self.parent is not None else [])]

    @property
    def task_id(self) -> int:
        """The id, under the name that Celery has for it."""
        return self.id

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED; while it runs, the state that its function has
        given it (``self.update_state``), if it has."""
        answer = self._ask()
        return str(answer.get("own_state") or answer["state"])

    @property
    def status(self) -> str:
        """The same as `state`."""
        return self.state

    def ready(self) -> bool:
        """Whether it has ended, in whatever way."""
        return State(self._ask()["state"]) in FINAL

    def successful(self) -> bool:
        """Whether it ended with success."""
        return bool(self._ask()["state"] == State.SUCCESS)

    def failed(self) -> bool:
        """Whether it ended with failure. A job that was revoked has not failed."""
        return bool(self._ask()["state"] == State.FAILURE)

    @property
    def info(self) -> Any:
        """The same as `result` when it has ended; while it runs, the ``meta`` that its function has said with
        ``self.update_state``, None if it has not."""
        answer = self._ask()
        return _value(answer) if State(answer["state"]) in FINAL else answer.get("meta")

    @property
    def result(self) -> R | JobFailed | None:
        """What the function returned; the error if it failed or was revoked; None before it has ended.

        Never raises for the job's own failure, never waits.
        """
        answer = self._ask()
        if State(answer["state"]) not in FINAL:
            return None
        value: R | JobFailed = _value(answer)
        return value

    @property
    def traceback(self) -> str | None:
        """The worker's traceback of the last attempt that failed, as text; None when there is none."""
        error = self._ask()["error"]
        return (error["traceback"] or None) if error else None

    @overload
    def get(self, timeout: float | None = None, propagate: Literal[True] = True) -> R: ...
    @overload
    def get(self, timeout: float | None = None, *, propagate: Literal[False]) -> R | JobFailed: ...
    @overload
    def get(self, timeout: float | None, propagate: Literal[False]) -> R | JobFailed: ...

    def get(self, timeout: float | None = None, propagate: bool = True) -> Any:
        """Wait until the job has ended and give back what its function returned.

        Waits without asking again and again, also over a restart of the daemon. In a function that runs
        in a worker this occupies the worker: with all of them waiting for each other, nothing goes on.

        Args:
            timeout: seconds to wait at most; None for no limit.
            propagate: raise what the job failed with; otherwise it is given back.

        Raises:
            RemoteError: the job failed. Where its function raised an exception of Python's own, or one that a
                task declared in this process names (``throws``, ``autoretry_for``), it is of that type,
                too, so that ``except ValueError`` catches it. JobRevoked: it was cancelled or expired.
            WaitTimedOut: the time is over. The job goes on.
        """
        _check_timeout(timeout)
        return self._came_to(self._wait(timeout), timeout, propagate=propagate)

    wait = get
    """Celery's other name for it."""

    @overload
    async def aget(self, timeout: float | None = None, propagate: Literal[True] = True) -> R: ...
    @overload
    async def aget(
        self, timeout: float | None = None, *, propagate: Literal[False]
    ) -> R | JobFailed: ...

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> Any:
        """`get` for coroutines: other tasks of the loop go on meanwhile."""
        from jobctl.api import loops

        _check_timeout(timeout)
        end = await loops.wait(self.id, timeout)
        return self._came_to(end, timeout, propagate=propagate)

    def _wait(self, timeout: float | None) -> dict[str, Any] | None:
        return session.wait(self.id, timeout)

    def _came_to(
        self, end: dict[str, Any] | None, timeout: float | None, *, propagate: bool
    ) -> Any:
        if end is None:
            raise WaitTimedOut(
                f"job {self.id} has not ended within {timeout:g} s",
                hint="It goes on; ask again later.",
            )
        if end["state"] is None:
            raise NotFound(f"job {self.id} ended and was removed by retention")
        value = _value(end)
        if propagate and isinstance(value, JobFailed):
            raise value
        return value

    def maybe_throw(self, propagate: bool = True) -> Any:
        """The same as `result`, and raises what the job failed with, as `get` does. Never waits."""
        answer = self._ask()
        if State(answer["state"]) not in FINAL:
            return None
        return self._came_to(answer, None, propagate=propagate)

    @property
    def date_done(self) -> datetime | None:
        """When it ended, in UTC; None before that."""
        at = self._ask().get("finished_at")
        return None if at is None else _EPOCH + timedelta(microseconds=at)

    @property
    def name(self) -> str | None:
        """Its task's name; None for a command without a task."""
        name = self._ask().get("task")
        return None if name is None else str(name)

    @property
    def retries(self) -> int:
        """How many of its attempts have failed since it was submitted, or begun anew by ``jobctl retry``."""
        return int(self._ask().get("retries") or 0)

    def revoke(self, *, terminate: bool = True) -> None:
        """Cancel the job, whether it waits or runs; returns when nothing of it is left.

        A job that has ended stays as it is. Unlike Celery's this ends a running attempt too; asking for
        the other way (``terminate=False``) is refused.
        """
        if not terminate:
            raise UsageError(
                "revoke(terminate=False) cannot be kept: a revoked job is ended also when it runs",
                hint="Look at the state first, or give the job an expiry.",
            )
        self._cancel()

    def forget(self) -> None:
        """Remove what it has returned, before ``result_expires`` does: from now on its result is None.

        State and error are kept. Safe to repeat. Raises Conflict when it has not ended.
        """
        self._forget()

    def _forget(self) -> None:
        session.call(requests.Forget(job=self.id))

    def _cancel(self) -> None:
        session.cancel(self.id)

    def _ask(self) -> dict[str, Any]:
        return session.call(requests.Result(job=self.id))

    def __repr__(self) -> str:
        return f"<AsyncResult {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and not 0 <= timeout <= LONGEST_SPAN_S:
        raise UsageError(
            "timeout is a number of seconds up to a hundred years, or None for no limit"
        )


def _value(answer: dict[str, Any]) -> Any:
    """The result of a job that has ended, or the error that stands for it."""
    match State(answer["state"]):
        case State.SUCCESS:
            return answer["result"]
        case State.REVOKED:
            if answer.get("cause"):
                return _failure(answer["cause"], instead_of=answer["id"])
            reason = answer["reason"] or "revoked"
            return JobRevoked(f"job {answer['id']} has no result: {reason}", job=answer["id"])
        case _:
            return _failure(answer)


def _failure(answer: dict[str, Any], *, instead_of: int | None = None) -> RemoteError:
    """What a job failed with; for another one that was never made because of that."""
    job = answer["id"]
    begin = "" if instead_of is None else f"job {instead_of} was not made: "
    error = answer["error"]
    if error:
        what = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
        return remote_error(
            f"{begin}job {job} failed: {what}",
            job=job,
            type=error["type"],
            text=error["message"],
            traceback=error["traceback"],
        )
    what = answer["reason"] or "failed"
    # Only the answer to a wait tells how a command ended.
    if answer.get("exit_code") is not None:
        what = f"exit code {answer['exit_code']}"
    elif answer.get("signal") is not None:
        what = f"signal {answer['signal']}"
    return RemoteError(
        f"{begin}job {job} failed: {what}", job=job, hint=f"See jobctl status {job}."
    )
