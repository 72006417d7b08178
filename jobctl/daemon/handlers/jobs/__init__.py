"""Requests about jobs: submit, status, list, wait, result, cancel, forget, retry; a file for each kind of them."""

from __future__ import annotations

from jobctl.daemon.handlers.jobs.changing import cancel, forget, retry
from jobctl.daemon.handlers.jobs.looking import (
    LISTED_BYTES,
    describe,
    describe_attempt,
    found,
    is_paused,
    list_jobs,
    result,
    status,
)
from jobctl.daemon.handlers.jobs.rows import (
    LAST_MOMENT,
    announce,
    behind_earlier,
    new_row,
    new_task_row,
    scheduled_row,
)
from jobctl.daemon.handlers.jobs.submitting import submit, submit_one, twin_of
from jobctl.daemon.handlers.jobs.waiting import wait

__all__ = [
    "LAST_MOMENT",
    "LISTED_BYTES",
    "announce",
    "behind_earlier",
    "cancel",
    "describe",
    "describe_attempt",
    "forget",
    "found",
    "is_paused",
    "list_jobs",
    "new_row",
    "new_task_row",
    "result",
    "retry",
    "scheduled_row",
    "status",
    "submit",
    "submit_one",
    "twin_of",
    "wait",
]
