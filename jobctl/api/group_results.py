"""What a group came to: `GroupResult`, the results of its jobs in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.api.results import AsyncResult
from jobctl.api.session import session
from jobctl.errors import JobFailed, NotFound, UsageError, WaitTimedOut
from jobctl.job import FINAL
from jobctl.protocol import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class GroupResult:
    """The results of the jobs of a group, in their order; those of groups among them are `GroupResult` again.

    ``id``: of the workflow that it is a part of; 0 for a group without tasks. ``parent``: the result of what
    came before it, None for nothing.
    """

    def __init__(
        self,
        results: Sequence[AsyncResult[Any] | GroupResult],
        *,
        id: int,
        parent: AsyncResult[Any] | GroupResult | None = None,
    ) -> None:
        self.id = id
        self.results = list(results)
        self.parent = parent

    @property
    def children(self) -> list[AsyncResult[Any] | GroupResult]:
        """The same as ``results``."""
        return self.results

    @classmethod
    def restore(cls, id: int | str) -> GroupResult:
        """The result of the last group of a workflow, by the workflow's id. Raises NotFound."""
        answer = session.call(requests.Workflow(workflow=AsyncResult[Any](id).id))
        shape = _last_group(answer["shape"])
        if shape is None:
            raise NotFound(f"workflow {answer['id']} has no group")
        found: GroupResult = _of_shape(shape, answer["id"])
        return found

    def save(self) -> None:
        """Nothing is to be done: what `restore` needs was stored when it was submitted."""

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, place: int) -> AsyncResult[Any] | GroupResult:
        return self.results[place]

    def __iter__(self) -> Iterator[AsyncResult[Any] | GroupResult]:
        return iter(self.results)

    # -- how it stands ----------------------------------------------------------------------------

    def ready(self) -> bool:
        """All of them have ended."""
        return all(one.ready() for one in self.results)

    def successful(self) -> bool:
        """All of them have succeeded."""
        return all(one.successful() for one in self.results)

    def failed(self) -> bool:
        """One of them has failed."""
        return any(one.failed() for one in self.results)

    def waiting(self) -> bool:
        """One of them has not ended."""
        return not self.ready()

    def completed_count(self) -> int:
        """How many of them have succeeded."""
        return sum(one.successful() for one in self.results)

    def maybe_throw(self, propagate: bool = True) -> None:
        """Raise what the first of them failed with that has failed. Never waits."""
        for one in self.results:
            one.maybe_throw(propagate=propagate)

    # -- what it came to --------------------------------------------------------------------------

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        *,
        callback: Callable[[Any, Any], object] | None = None,
    ) -> list[Any]:
        """Wait until all of them have ended; the list of their results.

        They are waited for in their order, all together for ``timeout`` seconds. ``propagate``: raise what the
        first one failed with, in this order; without it errors stand in the list. ``callback`` is called with
        the id and the result of each, and then the list is empty, as Celery has it.

        Raises as `AsyncResult.get` does.
        """
        if timeout is not None and not timeout >= 0:
            raise UsageError("timeout is a number of seconds, or None for no limit")
        ends_at = None if timeout is None else session.clock.monotonic() + timeout
        values = []
        for one in self.results:
            left_s = None if ends_at is None else max(ends_at - session.clock.monotonic(), 0.0)
            try:
                value = _value(one, left_s, propagate)
            except WaitTimedOut:
                raise WaitTimedOut(
                    f"the group {self.id} has not ended within {timeout:g} s",
                    hint="It goes on; ask again later.",
                ) from None
            if callback is not None:
                callback(one.id, value)
            else:
                values.append(value)
        return values

    join = get
    join_native = get

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> list[Any]:
        """`get` for coroutines: other tasks of the loop go on meanwhile."""
        ends_at = None if timeout is None else session.clock.monotonic() + timeout
        values = []
        for one in self.results:
            left_s = None if ends_at is None else max(ends_at - session.clock.monotonic(), 0.0)
            values.append(await one.aget(left_s, propagate))  # type: ignore[call-overload]
        return values

    def iter_native(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """``(id, {"status", "result"})`` of each when it has ended, in their order."""
        for one in self.results:
            value = one.get(propagate=False)
            status = "SUCCESS" if one.successful() else "FAILURE"
            if isinstance(value, JobFailed) and isinstance(one, AsyncResult):
                status = one.status
            yield one.id, {"status": status, "result": value}

    def revoke(self, *, terminate: bool = True) -> None:
        """Cancel all of them; returns when nothing of them is left."""
        for one in self.results:
            one.revoke(terminate=terminate)

    def forget(self) -> None:
        """Remove what they have returned. Raises Conflict when one of them has not ended."""
        for one in self.results:
            one.forget()

    delete = forget

    def as_list(self) -> list[Any]:
        """The ids of its jobs."""
        return [one.as_list() if isinstance(one, GroupResult) else one.id for one in self.results]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupResult) and other.as_list() == self.as_list()

    def __hash__(self) -> int:
        return hash(str(self.as_list()))

    def __repr__(self) -> str:
        return f"<GroupResult {self.id}: {self.as_list()}>"


def _value(one: AsyncResult[Any] | GroupResult, left_s: float | None, propagate: bool) -> Any:
    """What one of them came to; one that has ended is asked on the connection that is kept, without a wait."""
    if isinstance(one, AsyncResult):
        answer = one._ask()
        if answer["state"] in FINAL:
            return one._came_to(answer, left_s, propagate=propagate)
    return one.get(left_s, propagate)  # type: ignore[call-overload]


def _last_group(shape: Any) -> list[Any] | None:
    """The group that ends last, of a workflow's shape."""
    if not isinstance(shape, list):
        return None
    kind, *parts = shape
    if kind == "group":
        return shape
    if kind == "link":
        parts = parts[:1]
    for part in reversed(parts):
        found = _last_group(part)
        if found is not None:
            return found
    return None


def _of_shape(shape: Any, workflow: int) -> Any:
    """The result of a part of a workflow."""
    if not isinstance(shape, list):
        result: AsyncResult[Any] = AsyncResult(shape)
        result.workflow = workflow
        return result
    kind, *parts = shape
    if kind == "group":
        return GroupResult([_of_shape(part, workflow) for part in parts], id=workflow)
    return _of_shape(parts[0] if kind == "link" else parts[-1], workflow)
