"""Submitting jobs of tasks, one or many, by the function or by the name."""

from __future__ import annotations

import json
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, Unpack

from jobctl.api.options import CallOptions, make_job
from jobctl.api.results import AsyncResult
from jobctl.api.session import session
from jobctl.errors import InvalidArguments
from jobctl.protocol.framing import MAX_FRAME_BYTES
from jobctl.protocol.key import make_key
from jobctl.protocol.requests import Submit
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

R = TypeVar("R")

_FRAME_JOBS: Final = 1000
_FRAME_BYTES: Final = MAX_FRAME_BYTES // 4


@dataclass(frozen=True)
class Signature(Generic[R]):
    """A call that is not made yet: a task's name with arguments and options. Made by `FunctionTask.s`."""

    task: str
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    options: CallOptions = field(default_factory=CallOptions, repr=False)

    def set(self, **options: Unpack[CallOptions]) -> Signature[R]:
        """Give the same call with these options added."""
        together = self.options.copy()
        together.update(options)
        return replace(self, options=together)

    def apply_async(self, **options: Unpack[CallOptions]) -> AsyncResult[R]:
        """Submit it; returns when the job is on stable storage. Raises as `send_task` does."""
        return submit(self.set(**options))

    def delay(self) -> AsyncResult[R]:
        """Submit it as it is."""
        return submit(self)

    async def adelay(self) -> AsyncResult[R]:
        """`delay` for coroutines."""
        return await asubmit(self)


def submit(call: Signature[R]) -> AsyncResult[R]:
    """Submit one call. Raises as `send_task` does."""
    if _instead is not None:
        return _instead(call)
    job = _job_of(call)
    try:
        (answer,) = session.call(Submit(jobs=[job]))["jobs"]
    except InvalidArguments as error:
        raise InvalidArguments(f'task "{call.task}": {error.message}', hint=error.hint) from None
    return AsyncResult(answer["id"], duplicate=answer["duplicate"])


async def asubmit(call: Signature[R]) -> AsyncResult[R]:
    """`submit` for coroutines: other tasks of the loop go on meanwhile."""
    import asyncio

    if _instead is not None:
        # A function that is run in place may run a loop of its own.
        return await asyncio.to_thread(_instead, call)
    from jobctl.api import loops

    job = _job_of(call)
    try:
        (answer,) = (await loops.call(Submit(jobs=[job])))["jobs"]
    except InvalidArguments as error:
        raise InvalidArguments(f'task "{call.task}": {error.message}', hint=error.hint) from None
    return AsyncResult(answer["id"], duplicate=answer["duplicate"])


Submitter: TypeAlias = "Callable[[Signature[Any]], AsyncResult[Any]]"
_instead: Submitter | None = None


def submit_instead(by: Submitter | None) -> Submitter | None:
    """Let this function take every call from now on, instead of a daemon; None: a daemon again.

    Gives what stood there before.
    """
    global _instead
    before, _instead = _instead, by
    return before


def submit_many(calls: Iterable[Signature[Any]]) -> list[AsyncResult[Any]]:
    """Submit many calls at once: ``submit_many(send.s(to, "hi") for to in addresses)``.

    Much faster than one by one, because a thousand share one commit. Gives back the results in the order of
    the calls; empty for none. What can be judged here is judged before the first is sent. Up to a
    thousand jobs (or 4 MiB of them) are submitted whole or not at all; when the daemon refuses a later part,
    the earlier ones stand.

    Raises:
        As `send_task` does.
    """
    if _instead is not None:
        return [_instead(call) for call in calls]
    jobs = [_job_of(call) for call in calls]
    results: list[AsyncResult[Any]] = []
    for part in _parts(jobs):
        answer = session.call(Submit(jobs=part))
        results.extend(AsyncResult(job["id"], duplicate=job["duplicate"]) for job in answer["jobs"])
    return results


def send_task(
    name: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[CallOptions],
) -> AsyncResult[Any]:
    """Submit a job of a task by its name, also of a command's; nothing of it need be imported here.

    Args:
        name: the task's name, or an alias.
        args, kwargs: its arguments, JSON values.
        options: see `FunctionTask.apply_async`.

    Raises:
        NotFound: no such task. InvalidArguments: it does not take these arguments, or they are not JSON.
        UsageError: an option that cannot be kept.
        Conflict: the ``task_id`` was used for another request.
        DaemonNotRunning, Unreachable: no daemon answered within the patience; the job may or may not be
            submitted (with a ``task_id`` the call can be repeated).
        StorageError: the daemon could not store it; nothing was submitted.
    """
    return submit(
        Signature(task=name, args=tuple(args), kwargs=dict(kwargs or {}), options=options)
    )


def _job_of(call: Signature[Any]) -> dict[str, Any]:
    job = make_job(call.task, call.args, call.kwargs, call.options, now=session.clock.now())
    # Made once for each call, and the same when the call is repeated after a broken connection.
    job.setdefault("key", make_key())
    return job


def _parts(jobs: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for job in jobs:
        length = len(json.dumps(job))
        if part and (len(part) == _FRAME_JOBS or size + length > _FRAME_BYTES):
            yield part
            part, size = [], 0
        part.append(job)
        size += length
    if part:
        yield part
