"""The arguments for a task as they are written on a line: by position, behind ``-k``, behind ``--args-json``."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from jobctl.errors import UsageError
from jobctl.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments of a job; ``typed`` and ``raw`` as in `jobctl.protocol.requests.NewJob`. They may be
    secrets: left out of ``repr``."""

    args: list[Any] = field(default_factory=list, repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, repr=False)
    typed: bool = False
    raw: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """``typed`` and ``raw`` for a request, where they say something."""
        fields: dict[str, Any] = {"typed": True} if self.typed else {}
        return fields | ({"raw": self.raw} if self.raw else {})


def read_arguments(
    args: list[str] | None, named: list[str] | None, args_json: str | None
) -> Arguments:
    """What stood behind the task, behind ``-k`` and behind ``--args-json``.

    Raises InvalidArguments or UsageError for what cannot be read or stands beside each other in vain.
    """
    from jobctl.arguments import Exact, parse_args_json, parse_named_all

    found = parse_named_all(named or [])
    kwargs = {
        name: argument.value if isinstance(argument, Exact) else argument.text
        for name, argument in found.items()
    }
    raw = [name for name, argument in found.items() if isinstance(argument, Exact)]
    if args_json is None:
        return Arguments(args=list(args or ()), kwargs=kwargs, raw=raw)
    if args:
        raise UsageError(
            "--args-json and arguments by position exclude each other",
            hint="Put all of them into the JSON list.",
        )
    if len(raw) < len(kwargs):
        # The whole request is exact then: nobody would convert "3" for a parameter that is a number.
        name = min(set(kwargs) - set(raw))
        raise UsageError(
            f'beside --args-json the argument "{name}" must be exact too',
            hint=f"Write -k {name}:=JSON.",
        )
    exact = [
        argument.value for argument in parse_args_json(args_json) if isinstance(argument, Exact)
    ]
    return Arguments(args=exact, kwargs=kwargs, typed=True)
