"""What a job came to: `AsyncResult`."""

from __future__ import annotations

import re
from typing import Any, Final, Generic, Literal, TypeVar, overload

from jobctl.api.session import session
from jobctl.errors import JobFailed, JobRevoked, NotFound, RemoteError, UsageError, WaitTimedOut
from jobctl.job import FINAL, State
from jobctl.protocol import requests
from jobctl.task.units import LONGEST_SPAN_S, shown

R = TypeVar("R")

_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


class AsyncResult(Generic[R]):
    """A job, by its id. Nothing of it is remembered: each question is put to the daemon.

    ``duplicate``: the submit that gave it made no job, because this one was there already: its ``task_id``
    was used before, or its task is unique.

    Raises, from everything that asks the daemon:
        NotFound: there is no such job (any more); it is never reported as PENDING.
        DaemonNotRunning, Unreachable: no daemon answered within the patience (see `configure`).
    """

    __slots__ = ("duplicate", "id")

    def __init__(self, id: int | str, *, duplicate: bool = False) -> None:
        """Take an id, or its digits as they came through a URL or a session: as they were printed."""
        # Not `int` alone, which reads "1_0", " 12" and digits of every script.
        number = int(id) if isinstance(id, str) and _ID.fullmatch(id) else id
        if type(number) is not int or not 0 < number < 2**63:
            raise UsageError(f"{shown(id)} is not the id of a job")
        self.id = number
        self.duplicate = duplicate

    @property
    def task_id(self) -> int:
        """The id, under the name that Celery has for it."""
        return self.id

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
        return str(self._ask()["state"])

    @property
    def status(self) -> str:
        """The same as `state`."""
        return self.state

    def ready(self) -> bool:
        """Whether it has ended, in whatever way."""
        return State(self.state) in FINAL

    def successful(self) -> bool:
        """Whether it ended with success."""
        return self.state == State.SUCCESS

    def failed(self) -> bool:
        """Whether it ended with failure. A job that was revoked has not failed."""
        return self.state == State.FAILURE

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
            RemoteError: the job failed. JobRevoked: it was cancelled or expired.
            WaitTimedOut: the time is over. The job goes on.
        """
        if timeout is not None and not 0 <= timeout <= LONGEST_SPAN_S:
            raise UsageError(
                "timeout is a number of seconds up to a hundred years, or None for no limit"
            )
        end = session.wait(self.id, timeout)
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
        session.cancel(self.id)

    def _ask(self) -> dict[str, Any]:
        return session.call(requests.Result(job=self.id))

    def __repr__(self) -> str:
        return f"<AsyncResult {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def _value(answer: dict[str, Any]) -> Any:
    """The result of a job that has ended, or the error that stands for it."""
    match State(answer["state"]):
        case State.SUCCESS:
            return answer["result"]
        case State.REVOKED:
            reason = answer["reason"] or "revoked"
            return JobRevoked(f"job {answer['id']} has no result: {reason}", job=answer["id"])
        case _:
            return _failure(answer)


def _failure(answer: dict[str, Any]) -> RemoteError:
    job = answer["id"]
    error = answer["error"]
    if error:
        what = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
        return RemoteError(
            f"job {job} failed: {what}",
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
    return RemoteError(f"job {job} failed: {what}", job=job, hint=f"See jobctl status {job}.")
