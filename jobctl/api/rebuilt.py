"""What a job failed with, as an exception that ``except ValueError`` catches.

An error comes from a worker as text, and text must not decide which code runs here: only types that this
process knows by itself are rebuilt, those of Python and those that the tasks declared here name in
``throws``, ``autoretry_for`` and ``dont_autoretry_for``. None of their own code is called: the exception is of
a class made here, derived from `RemoteError` and from that type. Of any other type it is a `RemoteError`
alone.
"""

from __future__ import annotations

import builtins
from typing import Any, Final

from jobctl.errors import RemoteError
from jobctl.raised import MaxRetriesExceeded, Retry, SoftTimeout, name_of

_NOT_REBUILT: Final = (RemoteError, BaseExceptionGroup)
"""A group needs the exceptions that it holds."""

_known: Final[dict[str, type[Exception]]] = {
    name_of(kind): kind
    for kind in (*vars(builtins).values(), MaxRetriesExceeded, Retry, SoftTimeout)
    if isinstance(kind, type) and issubclass(kind, Exception)
}


def know(kinds: tuple[object, ...] | list[object]) -> None:
    """Rebuild exceptions of these types from now on. What is no type of an exception is passed over."""
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Exception):
            _known.setdefault(name_of(kind), kind)


def remote_error(message: str, *, type: str, **fields: Any) -> RemoteError:
    """The exception for an error of this type. Arguments as of `RemoteError`."""
    kind = _known.get(type)
    if kind is None:
        return RemoteError(message, type=type, **fields)
    made = _made.get(kind) or _made.setdefault(kind, _both(kind) or RemoteError)
    return made(message, type=type, **fields)


_made: Final[dict[type[Exception], builtins.type[RemoteError]]] = {}


def _both(kind: type[Exception]) -> type[RemoteError] | None:
    """A class derived from `RemoteError` and from this type; None when there can be none."""
    if issubclass(kind, _NOT_REBUILT):
        return None
    # The innermost class of Python's own: what other classes do with arguments is code of somebody else.
    new: Any = next(part for part in kind.__mro__ if part.__module__ == "builtins").__new__
    own = {
        "__module__": __name__,
        "__doc__": f"A job has failed with {name_of(kind)}.",
        "__new__": lambda cls, *_args, **_fields: new(cls),
        "__init__": _take,
        "__str__": lambda self: self.message,
        "__reduce__": lambda self: (_again, (self.message, self.job, self.hint, *_texts(self))),
    }
    try:
        made = builtins.type(f"Remote{kind.__name__}", (RemoteError, kind), own)
        is_sound = made("sound").message == "sound"
    except Exception:  # noqa: BLE001 -- a metaclass or a base that does not allow it
        return None
    return made if is_sound else None


def _take(self: RemoteError, message: str, **fields: Any) -> None:
    self.__dict__.update(vars(RemoteError(message, **fields)))
    self.args = (message,)


def _texts(error: RemoteError) -> tuple[str, str, str]:
    return error.type, error.text, error.traceback


def _again(message: str, job: int, hint: str, type: str, text: str, trace: str) -> RemoteError:
    """Read what was pickled; where the type is not known it is a `RemoteError` alone."""
    return remote_error(message, job=job, hint=hint, type=type, text=text, traceback=trace)
