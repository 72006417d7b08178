"""``celery.utils.log`` under its name."""

from __future__ import annotations

import logging


def get_task_logger(name: str) -> logging.Logger:
    """A logger of this name. What it writes to standard error is kept with the job."""
    return logging.getLogger(name)
