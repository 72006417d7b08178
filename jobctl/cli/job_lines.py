"""A file of jobs for ``submit --from``: JSON Lines, one object a line, read as it comes.

A line says what the options of ``submit`` say, under the same names; arguments are values as they shall
arrive. Whatever a line means it means again when it is read a second time, for that is how a submit that
was interrupted goes on: a moment that counts from now is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from jobctl.cli import times
from jobctl.cli.submission import job_fields
from jobctl.errors import JobctlError, ProtocolError, UsageError
from jobctl.protocol.framing import MAX_FRAME_BYTES
from jobctl.protocol.requests import NewJob, check
from jobctl.task.keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader

_READ_BYTES: Final = 1 << 18
_PART_JOBS: Final = 1000
_PART_BYTES: Final = MAX_FRAME_BYTES // 4
_LONGEST_BYTES: Final = MAX_FRAME_BYTES // 2
"""A request tells more than its line: the key, and the folder and umask of a command."""
_DAY_US: Final = 86_400_000_000

_AS_THEY_ARE: Final = (
    *("task", "command", "args", "kwargs", "key", "queue", "priority", "retries", "labels"),
    *("after", "after_any", "env", "cwd", "stderr"),
)
_SPANS: Final = {
    "in": "delay_s",
    "timeout": "timeout_s",
    "soft_timeout": "soft_timeout_s",
    "deadline": "deadline_s",
}
KEYS: Final = (*_AS_THEY_ARE, *_SPANS, "at", "expires")
"""What a line may say."""


class Line(NamedTuple):
    """A line of the file: its number, from 1, and the job that it names."""

    number: int
    job: dict[str, Any]


class JobFile:
    """The jobs of ``stream``, which is called ``name`` in messages.

    Args:
        shared: fields of a job for each line that does not say otherwise.
        key: jobs without a key of their own get this one with the number of their line.
        now_us: the present moment, by which it is seen that a moment does not hang on it.
    """

    def __init__(
        self,
        stream: BufferedReader,
        name: str,
        *,
        shared: Mapping[str, Any],
        key: str,
        now_us: int,
    ) -> None:
        self._stream = stream
        self._name = name
        self._shared = shared
        self._key = key
        self._now_us = now_us
        self.read_bytes = 0
        """How much of the file has been read."""

    def parts(self) -> Iterator[list[Line]]:
        """Give the jobs that came with one reading, never none, and no more than one request may hold.

        Who writes a line into a pipe and waits finds it submitted. Blank lines count as lines and hold no
        job. Raises UsageError at the first line that is wrong, after the lines before it were given.
        """
        part: list[Line] = []
        size = 0
        for number, text in self._lines():
            if text is None:
                if part:
                    yield part
                part, size = [], 0
                continue
            if not text or text.isspace():
                continue
            try:
                job = self._job(number, text)
            except UsageError as error:
                if part:
                    yield part
                raise self.fault(number, error) from None
            if part and (len(part) == _PART_JOBS or size + len(text) > _PART_BYTES):
                yield part
                part, size = [], 0
            part.append(Line(number, job))
            size += len(text)
        if part:
            yield part

    def fault(self, number: int, error: UsageError) -> UsageError:
        """The same error with its place."""
        return UsageError(f"{self.place(number)}: {error.message}", hint=error.hint)

    def place(self, number: int) -> str:
        """A line in a message."""
        return f"{self._name}, line {number}"

    def _lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Lines by number; a None after those of each reading."""
        number = 0
        rest = b""
        while data := self._read():
            self.read_bytes += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for text in lines:
                number += 1
                yield number, text
            if len(rest) > _LONGEST_BYTES:
                yield number, None
                _refuse_length(self.place(number + 1))
            yield number, None
        # Without an end of line: an object that was cut short is none, so nothing is taken for whole
        # that is not.
        yield number + 1, rest

    def _read(self) -> bytes:
        try:
            return self._stream.read1(_READ_BYTES)
        except OSError as error:
            raise JobctlError(f"{self._name} cannot be read any more: {error.strerror}") from None

    def _job(self, number: int, text: bytes) -> dict[str, Any]:
        if len(text) > _LONGEST_BYTES:
            _refuse_length("it")
        data = _object(text)
        for name in data:
            if name not in KEYS:
                fault = unknown_key(name, KEYS)
                raise UsageError(fault.message, hint=fault.hint)
        given = {name: data[name] for name in _AS_THEY_ARE if data.get(name) is not None}
        given |= self._times(data)
        if given.get("args") or given.get("kwargs"):
            given["typed"] = True
        fields = {**self._shared, **given}
        if "command" in given:
            if "task" in given:
                raise UsageError('it names both a "task" and a "command"', hint="Keep one of them.")
            fields.pop("task", None)
            # It runs where it was submitted, unless it says otherwise.
            fields = job_fields(key="", command=given["command"]) | fields
        elif "task" not in fields:
            raise UsageError(
                'it names neither a "task" nor a "command"',
                hint='For one task: "jobctl submit TASK --from FILE".',
            )
        fields["key"] = given.get("key", f"{self._key}:{number:09}")
        try:
            check(NewJob, fields)
        except ProtocolError as error:
            raise UsageError(error.message) from None
        return fields

    def _times(self, data: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in _SPANS.items():
            if data.get(name) is not None:
                found[field] = times.parse_span(_text(data, name), option=f'"{name}"')
        for name, field in (("at", "eta"), ("expires", "expires_at")):
            if data.get(name) is not None:
                found[field] = self._moment(_text(data, name), name)
        return found

    def _moment(self, text: str, name: str) -> int:
        moments = [
            times.parse_moment_or_span(text, option=f'"{name}"', now_us=now_us)
            for now_us in (self._now_us, self._now_us + _DAY_US)
        ]
        if moments[0] != moments[1]:
            raise UsageError(
                f'"{name}": "{text}" counts from now, and would be another moment when the line is repeated',
                hint='Write a date and a time: "2026-11-21 02:30".',
            )
        return moments[0]


def _object(text: bytes) -> dict[str, Any]:
    try:
        data = json.loads(text.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise UsageError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"it is not JSON: {error.msg}, column {error.colno}",
            hint='Each line is one object: {"task": "add", "args": [2, 3]}.',
        ) from None
    except RecursionError:
        raise UsageError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise UsageError(
            "it is not an object", hint='Each line is one: {"task": "add", "args": [2, 3]}.'
        )
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise UsageError(f"{name} is no JSON value")


def _refuse_length(what: str) -> NoReturn:
    raise UsageError(f"{what} is longer than {_LONGEST_BYTES >> 20} MiB")


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise UsageError(f'"{name}" is not a text', hint='Write "10m" or "2026-11-21 02:30".')
    return value
