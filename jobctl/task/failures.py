"""Which failures of a task are tried again: exit codes of commands, exceptions of functions.

Kinds of values for the keys ``retry_on``, ``autoretry_for`` and ``dont_autoretry_for``. What they mean for
an attempt that has ended is `jobctl.retry`'s.

Classes are named, never imported: the daemon runs no user code. A worker says which classes an exception
belongs to (`jobctl.raised.kinds_of`), and names are compared.
"""

from __future__ import annotations

import builtins
import re
from typing import Final

from jobctl.task.keys import Mark, list_of, nearest
from jobctl.task.units import InvalidValue, shown

ON_TIMEOUT: Final = "timeout"
"""In ``retry_on``: an attempt that was ended at its time limit."""
ON_SIGNAL: Final = "signal"
"""In ``retry_on``: a command that a signal ended, also when memory ran out."""

_HIGHEST_CODE: Final = 255
_RANGE: Final = re.compile(r"([0-9]{1,3})-([0-9]{1,3})")
_CLASS: Final = re.compile(r"[^\W\d]\w*(\.([^\W\d]\w*|<locals>))*")
_HINT: Final = f'Write exit codes, ranges, "{ON_SIGNAL}" and "{ON_TIMEOUT}": [75, "1-3"].'
_CLASS_HINT: Final = 'Name classes: ["ConnectionError", "shop.errors.Busy"].'

BUILTIN_EXCEPTIONS: Final = frozenset(
    name
    for name, found in vars(builtins).items()
    if isinstance(found, type) and issubclass(found, BaseException)
) | {"PythonFinalizationError"}  # Of a Python that workers may run and the daemon does not.


def _read_end(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST_CODE:
        return value
    if value in (ON_TIMEOUT, ON_SIGNAL):
        return str(value)
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidValue(f"{shown(value)} is no exit code and no range of them", hint=_HINT)
    low, high = int(found[1]), int(found[2])
    if not low <= high <= _HIGHEST_CODE:
        raise InvalidValue(
            f"{shown(value)} is not a range of exit codes",
            hint=f"The lower one stands first, and {_HIGHEST_CODE} is the highest.",
        )
    return f"{low}-{high}"


def _read_class(value: object) -> str:
    if not isinstance(value, str) or not _CLASS.fullmatch(value):
        raise InvalidValue(f"{shown(value)} is not the name of a class", hint=_CLASS_HINT)
    name = value.removeprefix("builtins.")
    if "." not in name and name not in BUILTIN_EXCEPTIONS:
        near = nearest(name, sorted(BUILTIN_EXCEPTIONS))
        meant = f'Did you mean "{near}"? ' if near else ""
        raise InvalidValue(
            f"Python has no exception {shown(name)} of its own",
            hint=f"{meant}Others are named with their module, as jobctl status shows them.",
        )
    return name


def _write(value: int | str) -> int | str:
    return value


RETRY_ON: Final = list_of(
    Mark(
        word='exit codes, ranges, `"signal"`, `"timeout"`',
        read=_read_end,
        write=_write,
        schema={"type": ["integer", "string"], "examples": [75, "1-3", ON_SIGNAL, ON_TIMEOUT]},
    ),
    at_least=1,
    distinct=True,
    hint=_HINT,
)
EXCEPTIONS: Final = list_of(
    Mark(
        word="classes of exceptions",
        read=_read_class,
        write=_write,
        schema={"type": "string", "examples": ["ConnectionError", "shop.errors.Busy"]},
    ),
    at_least=1,
    distinct=True,
    hint=_CLASS_HINT,
)


def codes_of(retry_on: tuple[int | str, ...]) -> frozenset[int]:
    """Give the exit codes that a value of ``retry_on`` holds, as numbers and in ranges."""
    codes: set[int] = set()
    for item in retry_on:
        if isinstance(item, int):
            codes.add(item)
        elif item not in (ON_TIMEOUT, ON_SIGNAL):
            low, _, high = item.partition("-")
            codes.update(range(int(low), int(high) + 1))
    return frozenset(codes)
