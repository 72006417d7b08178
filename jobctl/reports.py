"""How far a job has come, as it says itself while it runs.

`progress` writes it into a file of the worker's folder, one for each attempt that says anything, and
whoever asks for the job reads it there: nothing is sent, nobody is woken, and it is as true while the
daemon is away. A keeper writes the same file for its command, from lines on a descriptor. What is written
last counts; the file goes with the attempt.

Imported by workers, applications and the daemon: the standard library only, and little of it.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Reporter = Callable[[str], None]

DESCRIPTOR = 3
"""Where a command writes its lines."""
VARIABLE = "JOBCTL_PROGRESS_FD"
"""The variable that names this descriptor for a command."""

_NOTE_CHARACTERS = 200
_RECORD_BYTES = 2048
"""All records are as long: a shorter one after a longer one would leave its end behind."""
_HIGHEST = 1e15
_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_LINE = re.compile(rf"{_NUMBER}(?:/{_NUMBER}|(%))?(?:\s+(.*))?")
_reporter: Reporter | None = None


def progress(done: float, total: float | None = None, note: str | None = None) -> None:
    """Say how far this job has come: ``done`` of ``total``, or of what nobody knows, and a word on it.

    In a function, and in a command that is a Python program and whose task says ``progress = true``.
    Anywhere else it does nothing. The last call counts; it never fails because of a disk.

    Raises:
        TypeError, ValueError: these are no numbers from 0 on, or ``total`` is 0.
    """
    text = record(done, total, note)
    if _reporter is not None:
        _reporter(text)
    elif os.environ.get(VARIABLE):
        _write_line(done, total, note)


def set_reporter(reporter: Reporter | None) -> None:
    """Let `progress` hand its records to this function from now on: a worker's, which knows the job."""
    global _reporter
    _reporter = reporter


def record(done: object, total: object = None, note: object = None) -> str:
    """What is written of a report: JSON text. Raises as `progress` does."""
    for name, value in (("done", done), ("total", total)):
        if value is None and name == "total":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} is a number, not {type(value).__name__}")
        if not math.isfinite(value) or not 0 <= value <= _HIGHEST:
            raise ValueError(f"{name} lies between 0 and {_HIGHEST:.0f}")
    if total == 0:
        raise ValueError("total is above 0; leave it out if it is not known")
    if note is not None and not isinstance(note, str):
        raise TypeError(f"note is text, not {type(note).__name__}")
    said = None if note is None else _plain(note)
    at = time.time_ns() // 1000
    return json.dumps({"done": done, "total": total, "note": said, "at": at})


def _plain(note: str) -> str:
    return " ".join(note.split())[:_NOTE_CHARACTERS]


def _write_line(done: float, total: float | None, note: str | None) -> None:
    amount = f"{done}" if total is None else f"{done}/{total}"
    try:
        os.write(int(os.environ[VARIABLE]), f"{amount} {_plain(note or '')}\n".encode())
    except (OSError, ValueError):
        return  # It is not said; the job goes on.


def read_line(line: str) -> str | None:
    """The record of a command's line: ``3/10 copying``, ``30% copying``, ``3``; None for any other line."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    done, total, is_percent, note = found.groups()
    try:
        return record(
            _number(done), 100 if is_percent else None if total is None else _number(total), note
        )
    except ValueError:
        return None


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def path_of(directory: str, token: int) -> str:
    """The file of an attempt in its worker's folder."""
    return f"{directory}/progress-{token:016x}"


def write(path: str, text: str) -> None:
    """Write a record. Opened anew each time: user code closes descriptors that are not its own."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.pwrite(fd, text.encode().ljust(_RECORD_BYTES), 0)
        finally:
            os.close(fd)
    except OSError:
        return  # A full disk, or a folder that is gone: it is not said.


def read(path: str) -> dict[str, Any] | None:
    """The newest record: ``done``, ``total`` (or None), ``note`` (or None), ``percent`` (0 to 100, or None)
    and ``at``. None when there is none, or when what stands there is none: user code may write it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            data = os.read(fd, _RECORD_BYTES)
        finally:
            os.close(fd)
        found = json.loads(data)
        done, total, note, at = (found[name] for name in ("done", "total", "note", "at"))
        record(done, total, note)
        if type(at) is not int or not 0 <= at < 1 << 62:
            return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    percent = None if total is None else round(min(100.0 * done / total, 100.0), 1)
    said = _plain(note) if note else None
    return {"done": done, "total": total, "note": said, "percent": percent, "at": at}


class Lines:
    """What a command writes to its descriptor, on its way to the attempt's file. The last line counts."""

    __slots__ = ("_path", "_rest")

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Take more of it; a line that does not end within a record's length is dropped."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_RECORD_BYTES]
        for line in reversed(lines):
            found = read_line(line.decode(errors="replace"))
            if found is not None:
                write(self._path, found)
                return

    def remove(self) -> None:
        """The attempt has ended."""
        remove(self._path)


def remove(path: str) -> None:
    """Remove an attempt's file, if there is one."""
    try:
        os.unlink(path)  # noqa: PTH108 -- no pathlib in workers
    except OSError:
        return
