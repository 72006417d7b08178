"""Every call is made in place while tests say so (`jobctl.api.inplace`)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from jobctl.api.calls import submit_instead
from jobctl.api.inplace import apply
from jobctl.api.tasks import registered_task
from jobctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.api.calls import Call, Submitter
    from jobctl.api.results import AsyncResult


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Make each job in place while this lasts, also those that jobs submit. For tests: it concerns all threads."""
    before = submit_instead(in_place())
    try:
        yield
    finally:
        submit_instead(before)


def in_place(*, propagates: bool = False) -> Submitter:
    """What makes each job in place, for `submit_instead`. ``propagates``: what it failed with is raised at once."""

    def run(call: Call[Any]) -> AsyncResult[Any]:
        task = registered_task(call.task)
        if task is None:
            raise NotFound(
                f'there is no function task "{call.task}" to run in place',
                hint="Import the module that declares it; commands run with a daemon only.",
            )
        result = apply(task, call.args, call.kwargs, **call.options)
        if propagates:
            result.get()
        return result

    return run
