"""Tasks whose jobs are submitted when the transaction around the call is committed.

A job that is submitted inside a transaction may begin before its rows are there, and runs for nothing when
the transaction is rolled back. Submitted by Django's ``transaction.on_commit`` it does neither. Between the
commit and the submit the process may still die: then the rows are there and the job is not.
"""

from __future__ import annotations

import functools
import importlib
import json
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    overload,
)

from jobctl.api import FunctionTask
from jobctl.api import task as _task
from jobctl.api.options import CallOptions, TaskOptions, make_job
from jobctl.api.session import session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

P = ParamSpec("P")
R = TypeVar("R")

_OF_WORKFLOWS: Final = ("link", "link_error")
"""Options that make more than one job of a call; they are judged when it is submitted."""


class DjangoTask(FunctionTask[P, R]):
    """A task that can wait for the commit of a transaction, under the names that Celery has for it."""

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """`delay` when the transaction of the default database is committed; at once outside of one.

        Nothing is given back, since there is no job yet. Arguments are those of this moment, and are judged at
        once; what the daemon refuses, or that there is none, is raised to whoever commits.
        """
        self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        using: str | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        """`apply_async` when the transaction is committed. A countdown begins then.

        Args:
            args, kwargs, options: see `FunctionTask.apply_async`.
            using: the database, by its name in ``DATABASES``; None: the default one.

        Raises:
            InvalidArguments, UsageError: what `apply_async` would refuse without asking the daemon.
        """
        plain = {name: value for name, value in options.items() if name not in _OF_WORKFLOWS}
        make_job(self.name, tuple(args), dict(kwargs or {}), plain, now=session.clock.now())
        # The caller may change a list before the commit.
        kept_args, kept_kwargs = json.loads(json.dumps([list(args), dict(kwargs or {})]))
        submit = functools.partial(self.apply_async, kept_args, kept_kwargs, **options)
        # Named here, so that this module can be imported without Django.
        importlib.import_module("django.db.transaction").on_commit(submit, using=using)


if TYPE_CHECKING:

    class CoroutineDjangoTask(DjangoTask[P, R]):
        """What a type checker knows of one that is a coroutine function; see `jobctl.api.tasks`."""

        def __call__(  # type: ignore[override]
            self, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[Any, Any, R]:
            """Call the function; no job is made."""
            ...

    class _Declaring(Protocol):
        """``@task(…)`` before it is put on a function."""

        @overload
        def __call__(
            self, function: Callable[P, Coroutine[Any, Any, R]], /
        ) -> CoroutineDjangoTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> DjangoTask[P, R]: ...

    class _DeclaringBound(Protocol):
        """``@task(bind=True)`` before it is put on a function."""

        @overload
        def __call__(
            self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
        ) -> CoroutineDjangoTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> DjangoTask[P, R]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineDjangoTask[P, R]: ...
@overload
def task(function: Callable[P, R], /) -> DjangoTask[P, R]: ...
@overload
def task(*, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> _Declaring: ...
@overload
def task(*, bind: Literal[True], **options: Unpack[TaskOptions]) -> _DeclaringBound: ...


def task(function: Any = None, /, **options: Any) -> Any:
    """Declare a function as a task that has `DjangoTask.delay_on_commit`. Else like `jobctl.task`.

    ``base`` is a class derived from `DjangoTask`.
    """
    decorate: Any = _task
    given = {"base": DjangoTask, **options}
    if function is None or isinstance(function, str):
        return decorate(function, **given) if function else decorate(**given)
    return decorate(**given)(function)


shared_task = task
"""Celery's name for a task that belongs to no application: here none of them does."""
