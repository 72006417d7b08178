"""``submit --from``: the jobs of a file, a thousand in one request, and going on after an interruption.

What was accepted is always a beginning of the file: each part is sent when the one before it stands, and
the first line that is refused ends it. Every job has a key that follows from its line, so the same command
with the same ``--key`` submits the rest, and what it submits again is known to the daemon (P8).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.cli.bar import CountBar
from jobctl.cli.job_lines import JobFile, Line
from jobctl.cli.repeat import Repeater
from jobctl.errors import (
    Conflict,
    DaemonNotRunning,
    JobctlError,
    NotFound,
    Unreachable,
    UsageError,
)
from jobctl.protocol.requests import Submit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader

    from jobctl.cli.session import Session
    from jobctl.client import Client

_REFUSALS = (UsageError, NotFound, Conflict)
"""What the daemon says of a job that cannot be; anything else says nothing about a line."""


def submit_file(session: Session, source: str, *, shared: Mapping[str, Any], key: str) -> None:
    """Submit what ``source`` holds, a file or ``-``, and show what came of it.

    ``shared``: fields for each job that does not say otherwise. Raises what is wrong with a line, or the
    error that ended it; the message says where, the hint how to go on.
    """
    with _open(source) as stream:
        name = "standard input" if source == "-" else f'"{source}"'
        file = JobFile(stream, name, shared=shared, key=key, now_us=session.clock.now())
        bulk = _Bulk(session, file, CountBar(session, _size(stream)))
        try:
            Repeater(session.client).run(bulk.go_on)
        except KeyboardInterrupt:
            bulk.stop()
            session.screen.note(f"jobctl: {bulk.standing}; go on with --key {key}")
            raise
        except JobctlError as error:
            bulk.stop()
            raise bulk.ended_by(error, key) from error
        bulk.stop()
    bulk.show(key)


def _open(source: str) -> BufferedReader:
    try:
        return os.fdopen(0, "rb", closefd=False) if source == "-" else Path(source).open("rb")
    except OSError as error:
        raise UsageError(f'--from: "{source}" cannot be read: {error.strerror}') from None


def _size(stream: BufferedReader) -> int | None:
    """How many bytes there are in all; None where nobody knows."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class _Bulk:
    """How far it has come. It outlives connections: after a break `go_on` is called again."""

    def __init__(self, session: Session, file: JobFile, bar: CountBar) -> None:
        self._session = session
        self._file = file
        self._bar = bar
        self._parts = file.parts()
        self._pending: list[Line] = []
        self._accepted = 0
        self._duplicates = 0
        self._first: int | None = None
        self._last: int | None = None

    def go_on(self, client: Client) -> None:
        """Submit what is left, over this connection."""
        while self._pending or self._read():
            self._submit(client)

    def _read(self) -> bool:
        self._pending = next(self._parts, [])
        return bool(self._pending)

    def _submit(self, client: Client) -> None:
        """Submit what has been read, in one request or, when that is refused, in ever smaller ones: all or
        none is done of each, so the last is the line that is to blame, and all before it are accepted."""
        size = len(self._pending)
        while self._pending:
            request = Submit(jobs=[line.job for line in self._pending[:size]])
            try:
                answer = client.call(request)
            except _REFUSALS as error:
                if size == 1:
                    place = self._file.place(self._pending[0].number)
                    raise type(error)(f"{place}: {error.message}", hint=error.hint) from None
                size //= 2
                continue
            del self._pending[:size]
            self._take(answer["jobs"])
            size = min(size, len(self._pending))

    def _take(self, jobs: list[dict[str, Any]]) -> None:
        self._accepted += len(jobs)
        self._duplicates += sum(job["duplicate"] for job in jobs)
        self._first = jobs[0]["id"] if self._first is None else self._first
        self._last = jobs[-1]["id"]
        screen = self._session.screen
        if not (screen.is_terminal or self._session.as_json):
            screen.block("\n".join(str(job["id"]) for job in jobs))
            # What stands in the pipe is accepted, and what is accepted stands there.
            screen.out.flush()
        self._bar.draw(self._accepted, self._file.read_bytes)

    def stop(self) -> None:
        """Nothing more is drawn."""
        self._bar.erase()

    @property
    def standing(self) -> str:
        """How much is accepted, in words."""
        if self._accepted == 1:
            return "1 job is submitted"
        return f"{self._accepted} jobs are submitted" if self._accepted else "nothing is submitted"

    def ended_by(self, error: JobctlError, key: str) -> JobctlError:
        """The error, with how far it had come and how to go on."""
        if isinstance(error, DaemonNotRunning) and not self._accepted and not self._pending:
            return error
        unsure = isinstance(error, (Unreachable, DaemonNotRunning)) and self._pending
        if unsure:
            place = self._file.place(self._pending[0].number)
            message = f"{error.message}; {self.standing}, from {place}, on it is not known"
        else:
            message = f"{error.message} ({self.standing})"
        again = f"Repeat it with --key {key}: what was accepted is not submitted twice."
        hint = f"{error.hint} {again}" if error.hint and not unsure else again
        return type(error)(message, hint=hint)

    def show(self, key: str) -> None:
        """Tell what came of it all, to who has not read the ids one by one."""
        screen = self._session.screen
        if self._session.as_json:
            screen.json(
                {
                    "submitted": self._accepted - self._duplicates,
                    "duplicates": self._duplicates,
                    "first_id": self._first,
                    "last_id": self._last,
                    "key": key,
                }
            )
        elif screen.is_terminal:
            lines = [("submitted", str(self._accepted - self._duplicates))]
            if self._duplicates:
                lines.append(("duplicates", str(self._duplicates)))
            if self._accepted:
                lines.append(("ids", f"{self._first} to {self._last}"))
            screen.page([*lines, ("key", key)])
