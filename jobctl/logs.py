"""The daemon's log: one line a record on standard error, as text or as JSON.

Text is for people and service managers: a ``<N>`` priority prefix is added when standard error is
the journal (sd-daemon(3)). Values never hold environments, arguments or results of jobs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from jobctl.clock import Clock, iso

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("jobctl")

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


class _Format(logging.Formatter):
    def __init__(self, clock: Clock, form: str, *, is_journal: bool) -> None:
        super().__init__()
        self._clock = clock
        self._form = form
        self._is_journal = is_journal

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        fields: Mapping[str, Any] = getattr(record, "fields", None) or {}
        if self._form == "json":
            entry = {
                "time": iso(self._clock.now()),
                "level": record.levelname.lower(),
                "message": message,
                **fields,
            }
            return json.dumps(entry, default=str)
        # A line feed in a value would let a job's name forge a log line.
        shown = "".join(f" {key}={_quoted(value)}" for key, value in fields.items())
        text = f"{message}{shown}"
        if self._is_journal:
            priority = _PRIORITY.get(record.levelno, 5)
            return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
        return f"{iso(self._clock.now())[:23]}Z {record.levelname.lower():7} {text}"


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


def start_logging(clock: Clock, *, form: str = "text", level: str = "info") -> None:
    """Send every record of jobctl to standard error; ``form`` is ``"text"`` or ``"json"``."""
    stream: TextIO = sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Format(clock, form, is_journal=is_journal(stream, os.environ)))
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
