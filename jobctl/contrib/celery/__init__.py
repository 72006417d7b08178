"""Celery's names for code that was written for Celery, on one host, without a broker.

::

    from jobctl.contrib.celery import Celery, shared_task      # was: from celery import …

    app = Celery("shop")
    app.config_from_object("shop.celeryconfig")
    app.autodiscover_tasks(["shop", "shop.mail"])

The daemon finds it by ``[daemon] imports = ["shop.celery"]``. Nothing of Celery is imported. What a setting
or an option asks for is done, or refused, or said once to be unused; the manual has the list.
"""

from __future__ import annotations

from jobctl.api import (
    GroupResult,
    Signature,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    signature,
    xmap,
    xstarmap,
)
from jobctl.contrib.celery.app import (
    AsyncResult,
    Celery,
    Task,
    current_app,
    current_task,
    shared_task,
)
from jobctl.contrib.celery.exceptions import (
    MaxRetriesExceededError,
    Retry,
    SoftTimeLimitExceeded,
    TimeoutError,
)
from jobctl.contrib.celery.schedules import crontab, schedule, solar
from jobctl.contrib.celery.settings import Settings
from jobctl.errors import RemoteError

subtask = signature
"""Celery's older name for it."""

task = shared_task
"""The name that it had in Celery 3."""

__all__ = [
    "AsyncResult",
    "Celery",
    "GroupResult",
    "MaxRetriesExceededError",
    "RemoteError",
    "Retry",
    "Settings",
    "Signature",
    "SoftTimeLimitExceeded",
    "Task",
    "TimeoutError",
    "chain",
    "chord",
    "chunks",
    "crontab",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "schedule",
    "shared_task",
    "signature",
    "solar",
    "subtask",
    "task",
    "xmap",
    "xstarmap",
]
