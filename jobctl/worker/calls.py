"""Calls that are more than a function with its arguments: once for each member of a list, with what is known
of a failure, or without keeping what comes of it.

The payload of a job says so, by one of `FORMS`; that of most jobs has none of them.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from typing import TypeAlias

    Once: TypeAlias = "Callable[[], Any]"

FORMS: Final = frozenset({"each", "on_error", "ignore_result"})


def call_as_asked(
    function: Callable[..., Any],
    payload: Mapping[str, Any],
    run_coroutine: Callable[[Any], Any],
) -> Any:
    """What the function gives; a list of that when it is called for each. Raises what it raises."""
    values = []
    for call in _calls(function, payload):
        value = call()
        values.append(run_coroutine(value) if type(value) is CoroutineType else value)
    return _result_of(values, payload)


async def acall_as_asked(function: Callable[..., Any], payload: Mapping[str, Any]) -> Any:
    """The same for coroutine functions, one after the other."""
    values = []
    for call in _calls(function, payload):
        value = call()
        values.append(await _value_of(value) if type(value) is CoroutineType else value)
    return _result_of(values, payload)


async def _value_of(value: Awaitable[Any]) -> Any:
    return await value


def _calls(function: Callable[..., Any], payload: Mapping[str, Any]) -> Iterator[Once]:
    args, kwargs = payload.get("args", ()), payload.get("kwargs", {})
    if "each" in payload:
        is_star = payload["each"] == "star"
        for member in args[0]:
            given = member if is_star else (member,)
            yield lambda given=given: function(*given)  # type: ignore[misc]
        return
    if "on_error" in payload:
        # The application has imported it already: it made the signature.
        from jobctl.api.running import failure_of

        args = [*failure_of(*args[:3]), *args[3:]]
    yield lambda: function(*args, **kwargs)


def _result_of(values: list[Any], payload: Mapping[str, Any]) -> Any:
    if "ignore_result" in payload:
        return None
    return values if "each" in payload else values[0]
