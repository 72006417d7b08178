"""Submitting jobs of tasks, one or many, by the function or by the name."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

from jobctl.api.options import CallOptions, make_job
from jobctl.api.results import AsyncResult
from jobctl.api.session import session
from jobctl.errors import InvalidArguments
from jobctl.protocol.framing import MAX_FRAME_BYTES
from jobctl.protocol.key import make_key
from jobctl.protocol.requests import Submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_FRAME_JOBS: Final = 1000
_FRAME_BYTES: Final = MAX_FRAME_BYTES // 4


class Call(Protocol[R_co]):
    """A call of a task that is not made yet: `jobctl.api.signatures.Signature`."""

    @property
    def task(self) -> str:
        """The task's name."""
        ...

    @property
    def args(self) -> tuple[Any, ...]:
        """Its arguments."""
        ...

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """Those with names."""
        ...

    @property
    def options(self) -> CallOptions:
        """Its options."""
        ...


class Plain(NamedTuple):
    """A call with nothing to it: what most of them are."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    options: CallOptions = CallOptions()


def submit(call: Call[R]) -> AsyncResult[R]:
    """Submit one call. Raises as `jobctl.api.send_task` does."""
    if _instead is not None:
        return _instead(call)
    job = _job_of(call)
    try:
        (answer,) = session.call(Submit(jobs=[job]))["jobs"]
    except InvalidArguments as error:
        raise InvalidArguments(f'task "{call.task}": {error.message}', hint=error.hint) from None
    return AsyncResult(answer["id"], duplicate=answer["duplicate"])


async def asubmit(call: Call[R]) -> AsyncResult[R]:
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


Submitter: TypeAlias = "Callable[[Call[Any]], AsyncResult[Any]]"
_instead: Submitter | None = None


def instead() -> Submitter | None:
    """What takes every call instead of a daemon, if anything does."""
    return _instead


def submit_instead(by: Submitter | None) -> Submitter | None:
    """Let this function take every call from now on, instead of a daemon; None: a daemon again.

    Gives what stood there before.
    """
    global _instead
    before, _instead = _instead, by
    return before


def submit_many(calls: Iterable[Call[Any]]) -> list[AsyncResult[Any]]:
    """Submit many calls at once: ``submit_many(send.s(to, "hi") for to in addresses)``.

    Much faster than one by one, because a thousand share one commit. Gives back the results in the order of
    the calls; empty for none. What can be judged here is judged before the first is sent. Up to a
    thousand jobs (or 4 MiB of them) are submitted whole or not at all; when the daemon refuses a later part,
    the earlier ones stand.

    Raises:
        As `jobctl.api.send_task` does.
    """
    if _instead is not None:
        return [_instead(call) for call in calls]
    jobs = [_job_of(call) for call in calls]
    results: list[AsyncResult[Any]] = []
    for part in _parts(jobs):
        answer = session.call(Submit(jobs=part))
        results.extend(AsyncResult(job["id"], duplicate=job["duplicate"]) for job in answer["jobs"])
    return results


def _job_of(call: Call[Any]) -> dict[str, Any]:
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
