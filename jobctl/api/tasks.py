"""Declaring functions as tasks: ``@task``, and what a template reads of it.

A declaration only notes down. Nothing is connected to, and nothing is submitted, when a module with
tasks is imported; the daemon learns of them from the templates that import their modules.
"""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, overload

from jobctl.api.calls import Signature, submit
from jobctl.api.options import CallOptions, TaskOptions, read_task_options
from jobctl.errors import UsageError
from jobctl.task import Source
from jobctl.task.keys import FUNCTION, NAME
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobctl.api.results import AsyncResult
    from jobctl.task.keys import Json

P = ParamSpec("P")
R = TypeVar("R")

_tasks: dict[str, FunctionTask[..., Any]] = {}


class FunctionTask(Generic[P, R]):
    """A function that is a task. Calling it calls the function, here and now.

    Attributes:
        name: the task's name.
        function: the function itself.
        options: keys of a ``[tasks.X]`` table, as the declaration gave them; the file may override them.
    """

    def __init__(
        self, function: Callable[P, R], *, name: str, options: Mapping[str, Json], source: Source
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.options = options
        self.source = source

    @property
    def place(self) -> str:
        """``"module:function"``."""
        return _place(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; no job is made."""
        return self.function(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Submit a job with these arguments; returns when it is on stable storage.

        Raises as `jobctl.api.send_task` does.
        """
        return submit(Signature(task=self.name, args=args, kwargs=kwargs))

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
                first), ``retries``, ``timeout`` or ``time_limit``: instead of the task's own;
                ``task_id``: the job's key, the same one gives the same job again, whatever failed in
                between; ``labels``: text by name, to find the job by.

        Raises as `jobctl.api.send_task` does.
        """
        call: Signature[R] = Signature(
            task=self.name, args=tuple(args), kwargs=dict(kwargs or {}), options=options
        )
        return submit(call)

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """Give a call with these arguments that is not made yet."""
        return Signature(task=self.name, args=args, kwargs=kwargs)

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


@overload
def task(function: Callable[P, R], /) -> FunctionTask[P, R]: ...
@overload
def task(
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, R]], FunctionTask[P, R]]: ...


def task(function: Any = None, /, **options: Any) -> Any:
    """Declare a function as a task: ``@task``, or with options ``@task(queue="mail", retries=3)``.

    Its name is ``module.function`` unless ``name`` says otherwise. Options are the keys of a
    ``[tasks.X]`` table that functions can have, spans also as timedelta, and Celery's names for them
    (`TaskOptions`); a ``[tasks."module.function"]`` table overrides them one by one.

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


def registered_tasks() -> tuple[FunctionTask[..., Any], ...]:
    """Every task that the modules imported so far have declared, in their order."""
    return tuple(_tasks.values())


def _declare(function: Callable[P, R], options: Mapping[str, Any]) -> FunctionTask[P, R]:
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
    declared = FunctionTask(function, name=name, options=read, source=source)
    _tasks[name] = declared
    return declared


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
