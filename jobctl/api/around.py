"""What is opened before each attempt and closed after it: database connections, an application's context.

Declared by a module that a worker's template imports, and in force for every function of its group, also for
those that only the file knows. Where nothing is declared, no function is wrapped and nothing is paid.
"""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack, ExitStack
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_makers: Final[list[Callable[[], Any]]] = []


def around_attempts(make_context: Callable[[], Any]) -> None:
    """Make each attempt within such a context: ``around_attempts(app.app_context)``.

    The context is made for each attempt, in the thread that makes it, entered before the handlers of the task
    and left after them. One that has ``__aenter__`` is entered that way around coroutines. What it raises is
    the attempt's failure. The first one declared is the outermost; the same one again changes nothing. Jobs
    that are made in place (``apply``) belong to their caller, and are not surrounded.

    Raises:
        UsageError: for what cannot be called.
    """
    if not callable(make_context):
        raise UsageError(
            f"around_attempts takes what makes a context, not {type(make_context).__name__}",
            hint="around_attempts(app.app_context), without brackets behind it.",
        )
    if make_context not in _makers:
        _makers.append(make_context)


def surrounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function within the contexts that are declared by now; itself when there are none."""
    return _Surrounded(function, tuple(_makers)) if _makers else function


class _Surrounded:
    """What a worker calls in place of the function."""

    def __init__(self, function: Callable[..., Any], makers: tuple[Callable[[], Any], ...]) -> None:
        # Whoever looks for a coroutine function looks through.
        self.__wrapped__ = function
        self._makers = makers
        inner = inspect.unwrap(function)
        self._is_coroutine_function = inspect.iscoroutinefunction(inner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_coroutine_function:
            return self._await(args, kwargs)
        with ExitStack() as contexts:
            for make in self._makers:
                contexts.enter_context(make())
            value = self.__wrapped__(*args, **kwargs)
            if type(value) is not CoroutineType:
                return value
        # A plain function that gives back a coroutine: its steps come after the contexts were left.
        return self._steps_of(value)

    async def _await(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async with AsyncExitStack() as contexts:
            await self._enter(contexts)
            return await self.__wrapped__(*args, **kwargs)

    async def _steps_of(self, steps: Coroutine[Any, Any, Any]) -> Any:
        try:
            async with AsyncExitStack() as contexts:
                await self._enter(contexts)
                return await steps
        finally:
            steps.close()

    async def _enter(self, contexts: AsyncExitStack) -> None:
        for make in self._makers:
            context = make()
            if hasattr(context, "__aenter__"):
                await contexts.enter_async_context(context)
            else:
                contexts.enter_context(context)
