"""A job as its own function sees it: `Request`, asking for another attempt, and the handlers of its task.

A task that is *bound*, has handlers or a class of its own is called by way of `Entry`; every other one is
called by its worker as it is, and none of this costs it anything. What a job's function cannot know by
itself, the daemon adds to the payload of such tasks (`jobctl.dispatcher.orders.with_request`).

Handlers run in the worker, within the limits of the attempt. They only look: what they raise is logged,
and what they return is dropped. Whether an attempt is followed by another one is the daemon's decision; the
same rule (`jobctl.retry.decide`) says here beforehand what it will be. A worker that dies calls nothing:
what must follow a job in any case is the work of another job (``on_failure = "task"`` in the file).
"""

from __future__ import annotations

import dataclasses
import os
import traceback
from contextvars import ContextVar
from dataclasses import field
from datetime import UTC, datetime, timedelta
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, Protocol

from jobctl.clock import SystemClock
from jobctl.current import current_job
from jobctl.errors import UsageError
from jobctl.job import Change
from jobctl.raised import (
    Ignore,
    MaxRetriesExceeded,
    Reject,
    Replaced,
    Retry,
    SoftTimeout,
    kinds_of,
)
from jobctl.result import Outcome, Verdict
from jobctl.retry import ASKED_RETRIES, RetryRule, decide
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RULE: Final = frozenset(field.name for field in dataclasses.fields(RetryRule))


@dataclass(frozen=True, kw_only=True)
class Request:
    """The job that a bound task makes, under the names that Celery has for its parts.

    Attributes:
        id: of the job; None when the task is called directly.
        task: its name.
        args, kwargs: what it was submitted with.
        retries: failed attempts before this one, since the submit or the last ``jobctl retry``.
        number: of this attempt, from 1, lost ones included.
        hostname: of this host.
        eta, expires: when it was to start, and at the latest; with a time zone, None for none. After a
            failed attempt ``eta`` is when this one was due.
        queue, priority, labels: of the job.
        headers: what the call gave it as ``headers``.
        timelimit: seconds of ``timeout`` and ``soft_timeout``, None for none.
        redelivered: an earlier attempt was lost.
        called_directly: nobody submitted it: there is no job.
        is_eager: it runs in place (``apply``).
    """

    id: int | None
    task: str
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    retries: int = 0
    number: int = 1
    hostname: str = field(default_factory=lambda: os.uname().nodename)
    eta: datetime | None = None
    expires: datetime | None = None
    queue: str = "default"
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timelimit: tuple[float | None, float | None] = (None, None)
    redelivered: bool = False
    called_directly: bool = False
    is_eager: bool = False

    @property
    def delivery_info(self) -> dict[str, Any]:
        """``routing_key`` (the queue), ``exchange`` (empty: there is none), ``priority``, ``redelivered``."""
        return {
            "exchange": "",
            "routing_key": self.queue,
            "priority": self.priority,
            "redelivered": self.redelivered,
        }


class Runnable(Protocol):
    """What is needed of a task to make one of its jobs; handlers are looked up by their names."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def function(self) -> Callable[..., Any]:
        """The function as it was declared."""
        ...

    @property
    def throws(self) -> tuple[type[BaseException], ...]:
        """Exceptions of which no traceback is kept."""
        ...

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        ...


class ExceptionInfo:
    """What handlers are given of a failure: ``type``, ``exception``, ``traceback``, which is text as ``str()`` is."""

    def __init__(self, error: BaseException) -> None:
        self.type = type(error)
        self.exception = error
        self.traceback = "".join(traceback.format_exception(error))

    def __str__(self) -> str:
        return self.traceback


class Attempt:
    """One attempt of a task, from the begin of its function to its end."""

    def __init__(self, task: Runnable, request: Request, facts: Mapping[str, Any]) -> None:
        self.task = task
        self.request = request
        rule = {name: value for name, value in facts.get("rule", {}).items() if name in _RULE}
        self.rule = RetryRule(**rule)
        self._losses = facts.get("losses", 0)
        self._deadline_at = facts.get("deadline_at")
        self._asked: Retry | None = None
        self._refused: tuple[BaseException, int] | None = None

    @property
    def max_retries(self) -> int:
        """How many retries ``self.retry()`` has when it is not told otherwise."""
        return self.rule.retries or ASKED_RETRIES

    def retry(
        self,
        *,
        exc: BaseException | None,
        countdown: float | timedelta | None,
        eta: datetime | None,
        max_retries: int | None,
        throw: bool,
    ) -> Retry:
        """See `FunctionTask.retry`."""
        most = self.max_retries if max_retries is None else max_retries
        asked = Retry(countdown=countdown, eta=eta, max_retries=max_retries)
        asked.__cause__ = exc
        if self.request.called_directly:
            raise exc or asked
        if self.request.retries >= most:
            refused = exc or MaxRetriesExceeded(
                f'task "{self.task.name}": job {self.request.id} has used up its {most} retries'
            )
            self._refused = (refused, most)
            raise refused
        if throw:
            raise asked
        self._asked = asked
        return asked

    def begin(self) -> None:
        """Before the function is called."""
        request = self.request
        self._tell("before_start", request.id, request.args, request.kwargs)

    def succeed(self, value: Any) -> None:
        """The function has returned. Raises `Retry` if it has asked for that before."""
        if self._asked is not None:
            raise self._asked
        ids = (self.request.id, self.request.args, self.request.kwargs)
        self._tell("on_success", value, *ids)
        self._tell("after_return", "SUCCESS", value, *ids, None)

    def fail(self, error: BaseException) -> BaseException:
        """The function has raised. Gives what its worker shall take for it."""
        if isinstance(error, (Ignore, Reject, Replaced)):
            # Of one that is replaced: what takes its place will succeed or fail.
            return error
        shown = error.__cause__ or error if isinstance(error, Retry) else error
        told: BaseException = error
        if self._refused is not None and self._refused[0] is error:
            # Other failures may have retries left; this one has said that it has none.
            told = Retry(max_retries=self._refused[1])
            told.__cause__ = error
        is_retried = self.is_retried(told)
        info = ExceptionInfo(shown)
        if isinstance(shown, self.task.throws):
            shown.__traceback__ = None
            shown.__context__ = None
        ids = (self.request.id, self.request.args, self.request.kwargs)
        if is_retried:
            self._tell("on_retry", shown, *ids, info)
        else:
            self._tell("on_failure", shown, *ids, info)
            self._tell("after_return", "FAILURE", shown, *ids, info)
        return told

    def is_retried(self, error: BaseException) -> bool:
        """Whether another attempt follows this one, which ended with an exception."""
        import random

        verdict = Verdict.TIMEOUT if isinstance(error, SoftTimeout) else Verdict.FAILURE
        now = SystemClock().now()
        outcome = Outcome(
            token=0,
            job_id=0,
            verdict=verdict,
            finished_at=now,
            kinds=tuple(kinds_of(error)),
            retry=error.to_json() if isinstance(error, Retry) else None,
        )
        decision = decide(
            verdict,
            self.rule,
            failures=self.request.retries + 1,
            losses=self._losses,
            rng=random.Random(0),  # noqa: S311 -- of the waits, which do not matter here
            outcome=outcome,
            now=now,
            deadline_at=self._deadline_at,
        )
        return decision.change is Change.TRY_AGAIN

    def _tell(self, event: str, *args: Any) -> None:
        try:
            getattr(self.task, event)(*args)
        except Exception:
            import logging

            logging.getLogger("jobctl.task").exception(
                'task "%s": %s of job %s raised', self.task.name, event, self.request.id
            )

    def run(self) -> Any:
        """Make it: what the function gives, or an awaitable of that; raises what it raises."""
        mark = _attempt.set(self)
        try:
            self.begin()
            value = self.task.call(*self.request.args, **self.request.kwargs)
            if type(value) is not CoroutineType:
                self.succeed(value)
                return value
        except BaseException as error:  # noqa: BLE001 -- whatever user code raises is its outcome
            raised = self.fail(error)
        else:
            return self._await(value)
        finally:
            _attempt.reset(mark)
        raise raised

    async def _await(self, steps: Coroutine[Any, Any, Any]) -> Any:
        mark = _attempt.set(self)
        try:
            value = await steps
            self.succeed(value)
        except Exception as error:  # noqa: BLE001 -- as above
            if error.__traceback__ is not None:
                # This frame is in it again when it is raised again.
                error.__traceback__ = error.__traceback__.tb_next
            raised = self.fail(error)
        else:
            return value
        finally:
            _attempt.reset(mark)
        raise raised


_attempt: Final[ContextVar[Attempt | None]] = ContextVar("jobctl_attempt", default=None)


def running_attempt() -> Attempt | None:
    """The attempt whose function runs here, None outside of those that know."""
    return _attempt.get()


def attempt_of(task: Runnable) -> Attempt:
    """The attempt of this task that runs here, or one that stands for a direct call."""
    found = _attempt.get()
    if found is not None and found.task is task:
        return found
    return Attempt(task, Request(id=None, task=task.name, called_directly=True), {})


class Entry:
    """What a worker calls for a task that wants to know of its job."""

    def __init__(self, task: Runnable) -> None:
        self._task = task
        # Whoever looks for a coroutine function looks through.
        self.__wrapped__ = task.function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the attempt that this worker has begun."""
        return read_attempt(self._task, args, kwargs).run()


def read_attempt(task: Runnable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Attempt:
    """The attempt that this process has begun, of what its worker and the daemon know of it."""
    job = current_job()
    facts: dict[str, Any] = {} if job is None else job[5].get("request", {})
    request = Request(
        id=None if job is None else job[1],
        task=task.name,
        args=args,
        kwargs=kwargs,
        retries=facts.get("failures", 0),
        number=facts.get("number", 1),
        eta=_moment(facts.get("eta")),
        expires=_moment(facts.get("expires_at")),
        queue=facts.get("queue", "default"),
        priority=facts.get("priority", 0),
        labels=facts.get("labels", {}),
        headers={} if job is None else job[5].get("headers", {}),
        timelimit=(facts.get("timeout_s"), facts.get("soft_timeout_s")),
        redelivered=facts.get("losses", 0) > 0,
        called_directly=job is None,
    )
    return Attempt(task, request, facts)


def failure_of(
    request: Mapping[str, Any], error: Mapping[str, Any], trace: str
) -> tuple[Request, BaseException, str]:
    """What a job on an error is called with: the request of the job that failed, its exception, its traceback.

    They come as JSON; the exception is one that `jobctl.api.rebuilt` makes.
    """
    from jobctl.api.rebuilt import remote_error

    kind, text = error.get("type", ""), error.get("message", "")
    names = {field.name for field in dataclasses.fields(Request)}
    known = {name: value for name, value in request.items() if name in names}
    rebuilt = remote_error(text, job=known["id"], type=kind, text=text, traceback=trace)
    return Request(**{**known, "args": tuple(known.get("args", ()))}), rebuilt, trace


def refuse_other_call(task: str, given: Mapping[str, Any]) -> None:
    """A retry is another attempt of the same job. Raises `UsageError` for what would make it another one."""
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise UsageError(
            f'task "{task}": a retry keeps the job as it is; it cannot change {", ".join(named)}',
            hint="Submit another job with apply_async, and return.",
        )


def _moment(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)
