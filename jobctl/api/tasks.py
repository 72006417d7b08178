"""Declaring functions as tasks: ``@task``, and what a template reads of it.

A declaration only notes down. Nothing is connected to, and nothing is submitted, when a module with
tasks is imported; the daemon learns of them from the templates that import their modules.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from jobctl import reports
from jobctl.api import rebuilt, workflows
from jobctl.api.calls import Plain, asubmit, submit, submit_many
from jobctl.api.canvas import chunks
from jobctl.api.options import EVENTS, CallOptions, TaskOptions, read_task_options
from jobctl.api.running import Entry, ExceptionInfo, Request, attempt_of, refuse_other_call
from jobctl.api.signatures import Signature, find_tasks_by
from jobctl.errors import UsageError
from jobctl.job import State
from jobctl.raised import Replaced
from jobctl.task import Source
from jobctl.task.keys import FUNCTION, NAME
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from jobctl.api.results import AsyncResult
    from jobctl.raised import Retry
    from jobctl.task.keys import Json

P = ParamSpec("P")
R = TypeVar("R")

_tasks: dict[str, FunctionTask[..., Any]] = {}


HANDLERS: Final = ("before_start", *EVENTS, "after_return")
"""What a task calls in its worker, beside its function."""


class FunctionTask(Generic[P, R]):
    """A function that is a task. Calling it calls the function, here and now.

    A class derived from it (``@task(base=…)``) may hold what many tasks share: options as attributes under
    their names in ``@task``, handlers as methods, connections in properties. One object is made of it for
    each task, without arguments, wherever the module is imported.

    Attributes:
        name: the task's name.
        function: the function itself; the first argument of one that is bound is this object.
        options: keys of a ``[tasks.X]`` table, as the declaration gave them; the file may override them.
        throws: exceptions that are no surprise: of these no traceback is kept.
        typing: the daemon checks arguments against the signature before it takes a job.
    """

    name: str
    function: Callable[..., R]
    options: Mapping[str, Json]
    source: Source
    is_bound: bool
    throws: tuple[type[BaseException], ...] = ()
    typing: bool = True

    def set_up(
        self,
        function: Callable[..., R],
        *,
        name: str,
        options: Mapping[str, Json],
        source: Source,
        is_bound: bool,
    ) -> None:
        """Give a fresh object what it is to be. Done once, by the declaration."""
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.options = options
        self.source = source
        self.is_bound = is_bound
        if is_bound:
            signature = inspect.signature(function)
            _, *others = signature.parameters.values()
            self.__signature__ = signature.replace(parameters=others)

    @property
    def place(self) -> str:
        """``"module:function"``."""
        return _place(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; no job is made."""
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> R:
        """Call the function as its worker does."""
        return (
            self.function(self, *args, **kwargs)
            if self.is_bound
            else self.function(*args, **kwargs)
        )

    @property
    def wants_request(self) -> bool:
        """It is called by way of `jobctl.api.running.Entry`."""
        return (
            self.is_bound
            or type(self) is not FunctionTask
            or bool(self.throws)
            or any(event in vars(self) for event in HANDLERS)
        )

    def entry(self) -> Callable[..., Any]:
        """What a worker calls."""
        return Entry(self) if self.wants_request else self.function

    @classmethod
    def read_options(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The options of a task of this class, its own included, under the names that `task` knows."""
        return given

    # -- while it runs ----------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        """The job that runs here; of a task that is called directly, one without an id."""
        return attempt_of(self).request

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | timedelta | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """End this attempt and have the job tried again: ``raise self.retry(exc=error, countdown=60)``.

        Args:
            args, kwargs, options: what Celery can change of a message; a job stays as it is, so they are
                refused unless they are None.
            exc: what went wrong: the job fails with it when no retry is left.
            throw: False: the function goes on to its end, and what it returns does not count.
            eta, countdown: when; else the task's ``retry_delay`` and its growth decide.
            max_retries: how many retries the job has at most, counted with those after failures; else the
                task's ``retries``, or 3 where these are 0.

        Raises:
            Retry: unless ``throw`` is False; then it is given back.
            MaxRetriesExceeded: no retry is left; ``exc`` instead, if it is given.
            UsageError, ValueError: arguments that cannot be kept.
        """
        refuse_other_call(self.name, {"args": args, "kwargs": kwargs, **options})
        return attempt_of(self).retry(
            exc=exc, countdown=countdown, eta=eta, max_retries=max_retries, throw=throw
        )

    @property
    def max_retries(self) -> int:
        """How many retries ``self.retry()`` has when it is not told otherwise, while the job runs."""
        return attempt_of(self).max_retries

    @property
    def default_retry_delay(self) -> float:
        """The task's ``retry_delay`` in seconds, while the job runs."""
        return attempt_of(self).rule.delay_s

    def update_state(
        self,
        task_id: int | None = None,
        state: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Give the running job a state of its own: ``self.update_state(state="PROGRESS", meta={"current": 3})``.

        `AsyncResult.state` and `AsyncResult.info` tell it until the attempt ends; ``current`` and ``total`` in
        ``meta`` are shown as its progress. Called directly it does nothing.

        Raises:
            UsageError: a state that jobs have by themselves, or the id of another job.
            TypeError, ValueError: meta that is no JSON, or longer than 16 KiB.
        """
        request = self.request
        if task_id is not None and task_id != request.id:
            raise UsageError(
                f'task "{self.name}": the state of job {task_id} is its own',
                hint="Leave task_id out.",
            )
        if state in State.__members__ and state != State.STARTED:
            raise UsageError(
                f'task "{self.name}": {state} is a state that a job comes to',
                hint="Return for SUCCESS, raise for FAILURE, self.retry() for RETRY.",
            )
        if request.id is not None and not request.is_eager:
            reports.update_state(state or State.STARTED.value, meta)

    # -- handlers, to be overridden ---------------------------------------------------------------

    def before_start(self, task_id: Any, args: Any, kwargs: Any) -> None:
        """Called in the worker before the function."""

    def on_success(self, retval: Any, task_id: Any, args: Any, kwargs: Any) -> None:
        """Called in the worker when the function has returned."""

    def on_failure(
        self, exc: BaseException, task_id: Any, args: Any, kwargs: Any, einfo: ExceptionInfo
    ) -> None:
        """Called in the worker when the function has raised and is not tried again."""

    def on_retry(
        self, exc: BaseException, task_id: Any, args: Any, kwargs: Any, einfo: ExceptionInfo
    ) -> None:
        """Called in the worker when the function has raised and is tried again."""

    def after_return(
        self,
        status: str,
        retval: Any,
        task_id: Any,
        args: Any,
        kwargs: Any,
        einfo: ExceptionInfo | None,
    ) -> None:
        """Called in the worker after the others; ``status`` is SUCCESS or FAILURE. Not before a retry."""

    # -- submitting -------------------------------------------------------------------------------

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Submit a job with these arguments; returns when it is on stable storage.

        Raises as `jobctl.api.send_task` does.
        """
        return submit(Plain(self.name, args, kwargs))

    def apply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[R]:
        """Submit a job; returns when it is on stable storage.

        Args:
            args, kwargs: the function's arguments, JSON values.
            options: ``countdown`` (seconds, ``"5m"``, a timedelta) or ``eta`` (an aware datetime): not
                before; ``expires`` (the same forms): not after; ``queue``, ``priority`` (higher goes
                first), ``retries``, ``timeout`` or ``time_limit`` and ``soft_timeout`` or
                ``soft_time_limit`` of each attempt, ``deadline`` of all together (a span from now): instead of the task's own;
                ``task_id``: the job's key, the same one gives the same job again, whatever failed in
                between; ``labels``: text by name, to find the job by; ``headers``: values by name, which its
                request has; ``ignore_result``: keep nothing of what the function returns; ``link``: a signature
                or a list of them, whose jobs follow when it has succeeded and are given its result;
                ``link_error``: likewise when it has failed (`Signature.link_error`).

        Raises as `jobctl.api.send_task` does.
        """
        if options.get("link") or options.get("link_error"):
            return Signature[R](self.name, args, kwargs, options).apply_async()
        return submit(Plain(self.name, tuple(args), dict(kwargs or {}), options))

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """`delay` for coroutines: other tasks of the loop go on meanwhile."""
        return await asubmit(Plain(self.name, args, kwargs))

    async def aapply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[R]:
        """`apply_async` for coroutines."""
        if options.get("link") or options.get("link_error"):
            return await Signature[R](self.name, args, kwargs, options).adelay()
        return await asubmit(Plain(self.name, tuple(args), dict(kwargs or {}), options))

    def apply(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> AsyncResult[R]:
        """Make a job of it here and now, without a daemon, with its retries, and without waiting for them.

        Gives a result that has ended. Arguments and result go through JSON as they would. Raises
        InvalidArguments; what the function raises is the result.
        """
        from jobctl.api import inplace

        return inplace.apply(self, tuple(args), dict(kwargs or {}))

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """Give a call with these arguments that is not made yet."""
        return Signature(self.name, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """The same for a call that takes no result of the step before it."""
        return Signature(self.name, args, kwargs, immutable=True)

    def signature(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        immutable: bool = False,
        **options: Unpack[CallOptions],
    ) -> Signature[R]:
        """`s` with options."""
        return Signature(self.name, args, kwargs, options, immutable=immutable)

    subtask = signature

    def chunks(
        self, calls: Iterable[Sequence[Any]], n: int, **options: Unpack[CallOptions]
    ) -> chunks:
        """Give these calls as a group of jobs that make ``n`` of them each: ``add.chunks(pairs, 10).delay()``.

        Each call is a list of arguments; each job's result is the list of what they return.
        """
        return chunks(self.s(), calls, n, **options)

    def replace(self, sig: Signature[Any]) -> Any:
        """Let other work take the place of this job, and end this attempt: ``raise self.replace(add.s(1, 2))``.

        The job waits again: what it comes to is what ``sig`` comes to, of a group the list of its results; who
        waits for the job, or takes its result, waits for that. The transaction that ends the attempt stores
        all of it. Called directly, ``sig`` is made in place and its result given back.

        Raises:
            Replaced: always, while a job runs. UsageError, InvalidArguments: a signature that cannot be submitted.
        """
        request = self.request
        if request.called_directly:
            return workflows.apply(sig, registered_task).get()
        if request.is_eager:
            raise Replaced({}, here=lambda: workflows.apply(sig, registered_task))
        raise Replaced(workflows.work_of(sig))

    @property
    def is_made_in_place(self) -> bool:
        """Its jobs are made where they are submitted, because the application says so."""
        return False

    def map(self, values: Iterable[Any], **options: Unpack[CallOptions]) -> list[AsyncResult[R]]:
        """Submit a job for each value, which is its one argument: ``send.map(addresses, queue="bulk")``.

        They are submitted at once, as jobs that have nothing to do with each other; Celery's ``map`` is
        `jobctl.xmap`, one job that makes all calls. Many share one commit; see `jobctl.api.submit_many`, also for what is raised. Gives back the results
        in the order of the values. Options as in `apply_async`.
        """
        return self.starmap(((value,) for value in values), **options)

    def starmap(
        self, values: Iterable[Sequence[Any]], **options: Unpack[CallOptions]
    ) -> list[AsyncResult[R]]:
        """Submit a job for each list of arguments: ``add.starmap([(1, 2), (3, 4)])``. Else like `map`."""
        if "task_id" in options:
            raise UsageError(
                f'task "{self.name}": a task_id belongs to one job',
                hint="Set it with s(…).set(task_id=…), and submit with submit_many.",
            )
        return submit_many(Plain(self.name, tuple(args), {}, options) for args in values)

    def declaration(self) -> dict[str, Any]:
        """Give ``name``, ``function``, ``options``, ``source``: `jobctl.plan.CodeTask` as JSON without
        its ``parameters``."""
        return {
            "name": self.name,
            "function": self.place,
            "options": dict(self.options),
            "source": self.source.to_json(),
        }

    def __repr__(self) -> str:
        return f"<task {self.name}>"


if TYPE_CHECKING:

    class CoroutineTask(FunctionTask[P, R]):
        """What a type checker knows of a task that is a coroutine function: called it gives a coroutine, and its
        jobs give what that comes to. There is no such class: one of `FunctionTask` does both."""

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
        ) -> CoroutineTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> FunctionTask[P, R]: ...

    class _DeclaringBound(Protocol):
        """``@task(bind=True)`` before it is put on a function, which is given the task first."""

        @overload
        def __call__(
            self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
        ) -> CoroutineTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> FunctionTask[P, R]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...
@overload
def task(function: Callable[P, R], /) -> FunctionTask[P, R]: ...
@overload
def task(*, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> _Declaring: ...
@overload
def task(*, bind: Literal[True], **options: Unpack[TaskOptions]) -> _DeclaringBound: ...


def task(function: Any = None, /, **options: Any) -> Any:
    """Declare a function as a task: ``@task``, or with options ``@task(queue="mail", retries=3)``.

    Its name is ``module.function`` unless ``name`` says otherwise. Options are the keys of a
    ``[tasks.X]`` table that functions can have, spans also as timedelta, and Celery's names for them
    (`TaskOptions`); a ``[tasks."module.function"]`` table overrides them one by one.

    With ``bind=True`` the function's first argument is the task itself (`FunctionTask`): ``self.request``,
    ``self.retry()``, ``self.update_state()``. ``base`` is a class derived from `FunctionTask`. ``before_start``,
    ``on_success``, ``on_failure``, ``on_retry``, ``after_return`` are functions that its worker calls, with the
    task as their first argument; the middle three may name another task instead, of which a job follows.

    Raises:
        UsageError: an option that is unknown or not kept, a name that another function has, or
            something that is no plain function.
    """
    if function is None:
        return functools.partial(_declare, options=options)
    if isinstance(function, str):
        raise UsageError(
            "@task takes its options by name", hint=f'Write @task(name="{function}") above it.'
        )
    return _declare(function, options)


shared_task = task
"""Celery's name for a task that belongs to no application: here none of them does."""


def register_task(given: FunctionTask[..., Any] | type[FunctionTask[..., Any]]) -> Any:
    """Declare an object of a class derived from `FunctionTask` that has its function as a method ``run``.

    Gives the object, which is the task. Its name is the class's ``name``, else ``module.Class``. Raises as
    `task` does.
    """
    made: object = given() if isinstance(given, type) else given
    run = getattr(made, "run", None)
    if not isinstance(made, FunctionTask) or not inspect.ismethod(run):
        raise UsageError(
            f"{type(made).__name__} has no function to run",
            hint="Derive it from FunctionTask and give it a method run(self, …).",
        )
    name = getattr(made, "name", f"{_module(run)}.{type(made).__qualname__}")
    return _declare(run, {"name": name}, made=made)


def autodiscover(packages: Iterable[str], related_name: str = "tasks") -> list[str]:
    """Import the module ``tasks`` of each package, so that its tasks are declared; gives the names of those
    that were there.

    For a module that ``[daemon] imports`` names. A package without such a module is passed over; what a
    module raises that is there goes through. Raises ModuleNotFoundError for a package that does not exist.
    """
    found: list[str] = []
    for package in packages:
        importlib.import_module(package)
        name = f"{package}.{related_name}"
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue  # It is a module and no package: it has none below it.
        if spec is not None:
            importlib.import_module(name)
            found.append(name)
    return found


def finish_with(step: Callable[[], None], *, module: str) -> None:
    """Put off what needs all modules until a worker's template has imported them: it runs once, then.

    ``module`` is named when it fails, as one that cannot be imported.
    """
    _last_steps.append((module, step))


def take_last_steps() -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the steps that were put off, also those that one of them puts off; each once."""
    while _last_steps:
        yield _last_steps.pop(0)


_last_steps: list[tuple[str, Callable[[], None]]] = []


def registered_task(name: str) -> FunctionTask[..., Any] | None:
    """The task of this name that the modules imported so far have declared, None when there is none."""
    return _tasks.get(name)


find_tasks_by(registered_task)


def registered_tasks() -> tuple[FunctionTask[..., Any], ...]:
    """Every task that the modules imported so far have declared, in their order."""
    return tuple(_tasks.values())


def _declare(
    function: Callable[..., R],
    options: Mapping[str, Any],
    *,
    made: FunctionTask[..., R] | None = None,
) -> FunctionTask[..., R]:
    _refuse_what_cannot_run(function)
    given = dict(options)
    place = _place(function)
    name = given.pop("name", None)
    if name is None:
        name = place.replace(":", ".")
    source = _source(function)
    try:
        FUNCTION.read(place)
        NAME.read(name)
    except InvalidValue as invalid:
        raise UsageError(
            f"the function at {source} cannot be a task: {invalid.message}",
            hint=f'{invalid.hint} Give it one: @task(name="…").',
        ) from None
    about = f'task "{name}" ({source})'
    base = given.pop("base", None)
    declared = made if made is not None else _made_of(about, base)
    given = declared.read_options({**_options_of_class(type(declared)), **given})
    is_bound = given.pop("bind", False)
    if not isinstance(is_bound, bool):
        raise UsageError(f"{about}: bind is True or False", hint="bind=True gives it self.")
    if is_bound and not _takes_self(function):
        raise UsageError(
            f"{about}: it is bound and has no first argument for the task", hint="Write self first."
        )
    _take_handlers(about, declared, given)
    _take_own(about, declared, given)
    rebuilt.know(declared.throws)
    for option in ("autoretry_for", "dont_autoretry_for"):
        listed = given.get(option)
        rebuilt.know(listed if isinstance(listed, (tuple, list)) else ())
    if "description" not in given and (text := inspect.getdoc(function)):
        given["description"] = text.splitlines()[0]
    read = read_task_options(name, place, given, source)
    other = _tasks.get(name)
    if other is not None and other.place != place:
        raise UsageError(
            f'the task "{name}" is declared twice, at {other.source} and at {source}',
            hint='Give one of them another name: @task(name="…").',
        )
    # The same function again: its module was loaded anew (a notebook, a development server).
    declared.set_up(function, name=name, options=read, source=source, is_bound=is_bound)
    _tasks[name] = declared
    return declared


def _made_of(about: str, base: object) -> FunctionTask[..., Any]:
    if base is None:
        return FunctionTask()
    if not (isinstance(base, type) and issubclass(base, FunctionTask)):
        raise UsageError(
            f"{about}: base is a class derived from FunctionTask",
            hint="class Base(jobctl.FunctionTask): …",
        )
    return base()


_OF_CLASS: Final = frozenset({*TaskOptions.__annotations__, "throws", "typing"}) - {"name"}


def _options_of_class(kind: type[FunctionTask[..., Any]]) -> dict[str, Any]:
    """The options that a class and those above it give as attributes; methods are none."""
    found: dict[str, Any] = {}
    for part in reversed(kind.__mro__[: kind.__mro__.index(FunctionTask)]):
        found.update(
            {
                name: value
                for name, value in vars(part).items()
                if name in _OF_CLASS and not _is_code(value)
            }
        )
    return found


def _is_code(value: object) -> bool:
    if isinstance(value, FunctionTask):
        return False
    return callable(value) or isinstance(value, (property, staticmethod, classmethod))


def _takes_self(function: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.kind in (
        first.POSITIONAL_ONLY,
        first.POSITIONAL_OR_KEYWORD,
        first.VAR_POSITIONAL,
    )


def _take_handlers(about: str, declared: FunctionTask[..., Any], given: dict[str, Any]) -> None:
    """Functions among the options that the worker shall call. Another task is a job that follows."""
    for event in HANDLERS:
        handler = given.get(event)
        if handler is None:
            given.pop(event, None)
        elif _is_code(handler):
            setattr(declared, event, MethodType(given.pop(event), declared))
        elif event not in EVENTS:
            raise UsageError(
                f"{about}: {event} is a function",
                hint="It is called in the worker, with self first.",
            )


def _take_own(about: str, declared: FunctionTask[..., Any], given: dict[str, Any]) -> None:
    """The options that concern nobody but the worker of the function."""
    throws = given.pop("throws", None) or ()
    throws = throws if isinstance(throws, (tuple, list)) else (throws,)
    if not all(
        isinstance(kind, type) and issubclass(kind, BaseException)
        for kind in cast("Sequence[object]", throws)
    ):
        raise UsageError(f"{about}: throws is a list of exceptions", hint="throws=(KeyError,)")
    declared.throws = tuple(cast("Sequence[type[BaseException]]", throws))
    typing = given.pop("typing", None)
    declared.typing = typing is None or bool(typing)


def _refuse_what_cannot_run(function: Any) -> None:
    if isinstance(function, FunctionTask):
        raise UsageError(f'"{function.name}" is a task already', hint="Keep one @task on it.")
    if not callable(function) or not hasattr(function, "__qualname__") or inspect.isclass(function):
        raise UsageError(
            f"{type(function).__name__} cannot be a task: it is no function",
            hint="Put @task on a function of a module, above all other decorators.",
        )
    if function.__name__ == "<lambda>":
        raise UsageError("a lambda cannot be a task", hint="Define it with def.")
    inner = inspect.unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise UsageError(
            f'"{function.__qualname__}" is a generator, which has no value to keep',
            hint="Give back a list.",
        )


def _place(function: Callable[..., Any]) -> str:
    # A function inside another one cannot be imported by this place: it is for people, workers take
    # the function itself.
    inside = function.__qualname__.replace("<locals>.", "")
    return f"{_module(function)}:{inside}"


def _module(function: Callable[..., Any]) -> str:
    """The module by the name under which a worker imports it, also for a program's main module."""
    name = function.__module__
    if name != "__main__":
        return name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else name


def _source(function: Callable[..., Any]) -> Source:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return Source(file=function.__module__)
    return Source(file=code.co_filename, line=code.co_firstlineno)
