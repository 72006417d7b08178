"""How far a job has come, as it says itself while it runs.

`progress` writes it into a file of the worker's folder, one for each attempt that says anything, and
whoever asks for the job reads it there: nothing is sent, nobody is woken, and it is as true while the
daemon is away. A keeper writes the same file for its command, from lines on a descriptor. What is written
last counts; the file goes with the attempt.

Imported by workers, applications and the daemon: the standard library only, and little of it.
"""

from __future__ import annotations

import math
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Reporter = Callable[[str], None]

DESCRIPTOR = 3
"""Where a command writes its lines."""
VARIABLE = "JOBCTL_PROGRESS_FD"
"""The variable that names this descriptor for a command."""

_NOTE_CHARACTERS = 200
RECORD_BYTES = 2048
"""Shorter records are filled up to this: nearly all are as long."""
_META_BYTES = 16_384
_STATE_CHARACTERS = 50
_HIGHEST = 1e15
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
    text: str = _json().dumps(report(done, total, note))
    return text


def _json() -> Any:
    """The package, which keepers do without; functions, applications and the daemon have it."""
    import json

    return json


def report(done: object, total: object = None, note: object = None) -> dict[str, Any]:
    """The same as values: ``done``, ``total``, ``note`` and ``at``. Raises as `progress` does."""
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
    return {"done": done, "total": total, "note": said, "at": at}


def update_state(state: str, meta: Mapping[str, Any] | None = None) -> None:
    """Give this job a state of its own, and something to say about it, while it runs.

    Numbers that ``meta`` has as ``current`` (or ``done``) and ``total`` are how far it has come, too. Else like
    `progress`; in a command it does nothing.

    Raises:
        TypeError, ValueError: the state is no word, or the meta no JSON object of up to 16 KiB.
    """
    text = state_record(state, meta)
    if _reporter is not None:
        _reporter(text)


def state_record(state: object, meta: Mapping[str, Any] | None = None) -> str:
    """What is written of it: JSON text. Raises as `update_state` does."""
    if not isinstance(state, str) or not 0 < len(state) <= _STATE_CHARACTERS:
        raise ValueError(f"a state is a word of up to {_STATE_CHARACTERS} characters")
    said = dict(meta or {})
    written = _json().dumps(said, allow_nan=False)
    if len(written) > _META_BYTES:
        raise ValueError(f"meta has {len(written)} bytes as JSON, {_META_BYTES} are the most")
    amounts: dict[str, Any] = {"done": None, "total": None}
    for done, total in (
        (said.get("current", said.get("done")), said.get("total")),
        (said.get("current", said.get("done")), None),
    ):
        try:
            report(done, total)
        except (TypeError, ValueError):
            continue
        amounts = {"done": done, "total": total}
        break
    at = time.time_ns() // 1000
    text: str = _json().dumps(
        {**amounts, "note": _plain(state), "at": at, "state": state, "meta": said}
    )
    return text


def _plain(note: str) -> str:
    return " ".join(note.split())[:_NOTE_CHARACTERS]


def _write_line(done: float, total: float | None, note: str | None) -> None:
    amount = f"{done}" if total is None else f"{done}/{total}"
    try:
        os.write(int(os.environ[VARIABLE]), f"{amount} {_plain(note or '')}\n".encode())
    except (OSError, ValueError):
        return  # It is not said; the job goes on.


def path_of(directory: str, token: int) -> str:
    """The file of an attempt in its worker's folder."""
    return f"{directory}/progress-{token:016x}"


def write(path: str, text: str) -> None:
    """Write a record. Opened anew each time: user code closes descriptors that are not its own."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            # The end of the line is the end of the record: behind it that of a longer one may stand.
            os.pwrite(fd, f"{text}\n".encode().ljust(RECORD_BYTES), 0)
        finally:
            os.close(fd)
    except OSError:
        return  # A full disk, or a folder that is gone: it is not said.


def read(path: str) -> dict[str, Any] | None:
    """The newest record: ``done``, ``total`` (or None), ``note`` (or None), ``percent`` (0 to 100, or None)
    and ``at``; of `update_state` also ``state`` and ``meta``, and ``done`` may be None. None when there is none,
    or when what stands there is none: user code may write it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            data = os.read(fd, RECORD_BYTES + 2 * _META_BYTES)
        finally:
            os.close(fd)
        found = _json().loads(data.partition(b"\n")[0])
        done, total, note, at = (found[name] for name in ("done", "total", "note", "at"))
        own: dict[str, Any] = {}
        if "state" in found:
            own = {"state": found["state"], "meta": found["meta"]}
            state_record(**own)
        if done is not None or not own:
            report(done, total, note)
        if type(at) is not int or not 0 <= at < 1 << 62:
            return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    percent = None if total is None else round(min(100.0 * done / total, 100.0), 1)
    said = _plain(note) if note else None
    return {"done": done, "total": total, "note": said, "percent": percent, "at": at, **own}


def remove(path: str) -> None:
    """Remove an attempt's file, if there is one."""
    try:
        os.unlink(path)  # noqa: PTH108 -- no pathlib in workers
    except OSError:
        return
