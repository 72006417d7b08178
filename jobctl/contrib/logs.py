"""Log records that say which job they belong to. In ``logging.config.dictConfig``::

    "filters": {"job": {"()": "jobctl.contrib.logs.JobFilter"}},
    "formatters": {"line": {"format": "%(levelname)s job %(job_id)s %(message)s"}},
    "handlers": {"out": {"class": "jobctl.contrib.logs.JobHandler", "filters": ["job"], "formatter": "line"}},

Outside of jobs, in a web server that shares the configuration, records say ``-``.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from jobctl.api.running import running_attempt
from jobctl.current import current_job

if TYPE_CHECKING:
    from typing import TextIO

OUTSIDE: Final = "-"


class JobFilter(logging.Filter):
    """Lets every record through, and gives it ``job_id`` and ``task_name``; ``task_id`` is Celery's word for the
    first. Put it on handlers: one on a logger does not see what its children log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        job, task = _job_here()
        vars(record).update(job_id=job, task_id=job, task_name=task)
        return True


def _job_here() -> tuple[int | str, str]:
    job = current_job()
    if job is not None:
        return job[1], job[2]
    # One that is made in place is known only to those that wanted to know.
    attempt = running_attempt()
    if attempt is None or attempt.request.id is None:
        return OUTSIDE, OUTSIDE
    return attempt.request.id, attempt.request.task


class JobHandler(logging.StreamHandler["TextIO"]):
    """Writes to the standard error of the moment: in a worker, into the output of the job that logs.

    A plain StreamHandler keeps the stream that was there when it was made.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where to write now."""
        return sys.stderr
