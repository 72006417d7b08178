"""``celery.exceptions`` under its names: the exceptions that are raised here."""

from __future__ import annotations

from jobctl.errors import JobRevoked as TaskRevokedError
from jobctl.errors import NotFound as NotRegistered
from jobctl.errors import RemoteError as ChordError
from jobctl.errors import WaitTimedOut as TimeoutError
from jobctl.raised import Ignore, Reject, Retry
from jobctl.raised import MaxRetriesExceeded as MaxRetriesExceededError
from jobctl.raised import SoftTimeout as SoftTimeLimitExceeded

__all__ = [
    "ChordError",
    "Ignore",
    "MaxRetriesExceededError",
    "NotRegistered",
    "Reject",
    "Retry",
    "SoftTimeLimitExceeded",
    "TaskRevokedError",
    "TimeoutError",
]
