"""The daemon's log: one record a line, as text or as JSON, or an entry of the journal.

Text and JSON go to standard error. Where that is the journal, text goes there by the journal's own protocol, so
that the fields of a record can be searched for; what it does not take goes to standard error, with a ``<N>``
priority (sd-daemon(3)). In a container the log goes to standard output, and without moments: what runs containers
keeps one for each line. Values never hold environments, arguments or results of jobs.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, TextIO

from jobctl.clock import Clock, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger("jobctl")

JOURNAL = "/run/systemd/journal/socket"

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


_JOURNAL_S = 0.1
"""How long a journal that takes nothing may hold the daemon."""

_FIELDS = {"job": "JOB_ID"}
"""Fields of records whose name in the journal is another: as in the lines of jobs there."""


class _Format(logging.Formatter):
    def __init__(
        self, clock: Clock, form: str, *, is_journal: bool = False, has_moments: bool = True
    ) -> None:
        super().__init__()
        self._clock = clock
        self._form = form
        self._is_journal = is_journal
        self._has_moments = has_moments

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        if self._form == "json":
            entry = {"level": level, "message": self._message(record), **_fields(record)}
            if self._has_moments:
                entry = {"time": iso(self._clock.now()), **entry}
            return json.dumps(entry, default=str)
        text = self.text(record)
        if self._is_journal:
            return prioritized(text, record.levelno)
        return (
            f"{iso(self._clock.now())[:23]}Z {level:7} {text}"
            if self._has_moments
            else f"{level:7} {text}"
        )

    def text(self, record: logging.LogRecord) -> str:
        """Message and fields, as they are read by people."""
        # A line feed in a value would let a job's name forge a log line.
        shown = "".join(f" {key}={_quoted(value)}" for key, value in _fields(record).items())
        return f"{self._message(record)}{shown}"

    def _message(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        return f"{message}\n{self.formatException(record.exc_info)}" if record.exc_info else message


class _Journal(logging.Handler):
    """Records as entries of the journal (systemd.io/JOURNAL_NATIVE_PROTOCOL); what it refuses goes elsewhere."""

    def __init__(self, form: _Format, path: str, otherwise: logging.Handler) -> None:
        super().__init__()
        self._form = form
        self._path = path
        self._otherwise = otherwise

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry."""
        told = {
            "MESSAGE": self._form.text(record),
            "PRIORITY": _PRIORITY.get(record.levelno, 5),
            "SYSLOG_IDENTIFIER": "jobctl",
        }
        told |= {
            f"JOBCTL_{_FIELDS.get(name, name.upper())}": value
            for name, value in _fields(record).items()
        }
        try:
            # Each time anew: a connection would end with the journal that it led to.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_JOURNAL_S)
                sender.sendto(b"".join(_entry_of(told.items())), self._path)
        except OSError:
            self._otherwise.handle(record)


def _entry_of(told: Iterable[tuple[str, object]]) -> Iterable[bytes]:
    for name, value in told:
        data = str(value).encode(errors="replace")
        # With its length before it, a value may hold anything and forges nothing.
        yield name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    return getattr(record, "fields", None) or {}


def prioritized(text: str, level: int) -> str:
    """Lines as standard error carries them to the journal with their priority."""
    priority = _PRIORITY.get(level, 5)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


def start_logging(
    clock: Clock,
    *,
    form: str = "text",
    level: str = "info",
    in_container: bool = False,
    journal: str = JOURNAL,
) -> None:
    """Send every record of jobctl where the module says; ``form`` is ``"text"`` or ``"json"``."""
    stream: TextIO = sys.stdout if in_container else sys.stderr
    goes_to_journal = not in_container and is_journal(stream, os.environ)
    lines = logging.StreamHandler(stream)
    formatter = _Format(clock, form, is_journal=goes_to_journal, has_moments=not in_container)
    lines.setFormatter(formatter)
    handler: logging.Handler = lines
    if goes_to_journal and form == "text":
        handler = _Journal(formatter, journal, lines)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """What is written to ``stream`` goes to the journal (systemd.exec(5), ``JOURNAL_STREAM``).

    The variable alone proves nothing: it is inherited by what a service starts with an output of its
    own, such as a program of supervisord.
    """
    named = environ.get("JOURNAL_STREAM", "")
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def fields(**values: object) -> dict[str, object]:
    """Named values for a record: ``logger.info("started", extra=fields(pid=1))``."""
    return {"fields": values}
