"""What templates, workers and keepers say, as types; anything else is a `ProtocolError`.

A function worker runs user code in its own process, which can write whatever it likes into the channel.
It must not be able to hurt the daemon by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.errors import ProtocolError
from jobctl.result import Outcome
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTEGER_END = 1 << 63


class DoneRow(NamedTuple):
    """A function that returned, as its worker says it."""

    token: int
    job_id: int
    started_at: int
    finished_at: int
    result: str


_DONE_TYPES = [int, int, int, int, str]


def text(message: Mapping[str, Any], name: str) -> str:
    """A field that is a text. Raises ProtocolError."""
    value = message.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f'a message lacks the text "{name}"')
    return value


def number(message: Mapping[str, Any], name: str) -> int:
    """A field that is an integer of 64 bits. Raises ProtocolError."""
    value = message.get(name)
    if type(value) is not int or not -_INTEGER_END <= value < _INTEGER_END:
        raise ProtocolError(f'a message lacks the number "{name}"')
    return value


def numbers(message: Mapping[str, Any], name: str) -> list[int]:
    """A field that is a list of integers. Raises ProtocolError."""
    value = message.get(name)
    if not isinstance(value, list) or any(type(item) is not int for item in value):
        raise ProtocolError(f'a message lacks the numbers "{name}"')
    return value


def lengths(message: Mapping[str, Any]) -> dict[str, int]:
    """How long the streams of a followed command have become, by ``"stdout"`` and ``"stderr"``; the
    latter is missing where it is part of the former. Raises ProtocolError."""
    found = {"stdout": number(message, "bytes")}
    if "stderr_bytes" in message:
        found["stderr"] = number(message, "stderr_bytes")
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerHello:
    """A worker's answer to the greeting.

    Attributes:
        protocol: the number that both sides speak, or None.
        running: tokens of what it is working on; empty for function workers, which say it by marks.
        has_leftovers: processes of an earlier command are still below it.
        made: how many attempts it has made in its life; 0 for keepers, which have no limit.
    """

    protocol: int | None
    running: frozenset[int]
    has_leftovers: bool
    made: int


def worker_hello(message: Mapping[str, Any]) -> WorkerHello:
    """Read a worker's hello. Raises ProtocolError."""
    return WorkerHello(
        protocol=_protocol(message),
        running=frozenset(numbers(message, "running")),
        has_leftovers=bool(message.get("leftovers")),
        made=number(message, "made") if "made" in message else 0,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateHello:
    """A template's answer to the greeting.

    Attributes:
        spec: what it was made of, as `jobctl.engine.local.template.Recipe.to_json` gives it.
        report: what it found in the code, as JSON of `jobctl.plan.CodeReport`.
        children: pids of its living children, by instance.
        is_retiring: an earlier daemon has told it to go; it stays for children that are busy.
    """

    protocol: int | None
    kind: str
    version: str
    spec: Mapping[str, Any]
    report: dict[str, Any]
    children: Mapping[str, int]
    is_retiring: bool


def template_hello(message: Mapping[str, Any]) -> TemplateHello:
    """Read a template's hello. Raises ProtocolError."""
    spec, report, children = (message.get(name) for name in ("spec", "report", "children"))
    if not isinstance(spec, dict) or not isinstance(report, dict) or not isinstance(children, dict):
        raise ProtocolError("a template's greeting cannot be read")
    if any(type(pid) is not int for pid in children.values()):
        raise ProtocolError("a template's children cannot be read")
    return TemplateHello(
        protocol=_protocol(message),
        kind=text(message, "kind"),
        version=text(message, "version"),
        spec=spec,
        report=report,
        children=children,
        is_retiring=bool(message.get("retiring")),
    )


def _protocol(message: Mapping[str, Any]) -> int | None:
    return None if message.get("protocol") is None else number(message, "protocol")


def done_rows(message: Mapping[str, Any]) -> list[DoneRow]:
    """The functions that returned, of a message of outcomes. Raises ProtocolError.

    For every job that runs: no more is done here than makes the rows safe to store.
    """
    rows = message.get("done", ())
    try:
        for row in rows:
            if list(map(type, row)) != _DONE_TYPES or max(row[:4]) >= _INTEGER_END:
                raise ProtocolError("the end of a function cannot be read")
        return [DoneRow._make(row) for row in rows]
    except TypeError as error:
        raise ProtocolError("the ends of functions cannot be read") from error


def outcomes(message: Mapping[str, Any]) -> list[Outcome]:
    """The other outcomes of such a message. Raises ProtocolError."""
    found = message.get("outcomes", ())
    if not isinstance(found, (list, tuple)) or not all(isinstance(item, dict) for item in found):
        raise ProtocolError("outcomes cannot be read")
    return [Outcome.from_json(item) for item in found]
