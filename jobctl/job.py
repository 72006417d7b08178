"""A job's states and the one table of allowed changes.

The ``CHECK`` constraints of the store, the ``WHERE`` of every statement that changes a state, and the
picture in the manual are compared with `CHANGES` by tests.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final

from jobctl.values import dataclass


class State(StrEnum):
    """Where a job stands. The names are those that users of Celery know."""

    PENDING = "PENDING"
    """Submitted; waits for its time, a limit, its queue or a free slot: ``reason`` says which."""
    STARTED = "STARTED"
    """An attempt is claimed for a worker."""
    RETRY = "RETRY"
    """An attempt failed or was lost; the next one waits for its ETA."""
    SUCCESS = "SUCCESS"
    """The last attempt's outcome counts as success."""
    FAILURE = "FAILURE"
    """No attempt is left."""
    REVOKED = "REVOKED"
    """Cancelled, expired, or what it waited for failed: ``reason`` says which."""


WAITING: Final = frozenset({State.PENDING, State.RETRY})
"""States from which an attempt may be claimed."""

FINAL: Final = frozenset({State.SUCCESS, State.FAILURE, State.REVOKED})
"""States in which nothing happens any more unless somebody asks for it."""

UNFINISHED: Final = frozenset(State) - FINAL
"""States that count for overlap, uniqueness and limits."""


@dataclass(frozen=True)
class _Change:
    sources: frozenset[State]
    target: State


class Change(Enum):
    """Every allowed change of a job's state, named for what happens."""

    CLAIM = _Change(WAITING, State.STARTED)
    """Taken for a slot: an attempt begins."""
    SUCCEED = _Change(frozenset({State.STARTED}), State.SUCCESS)
    """The outcome counts as success."""
    TRY_AGAIN = _Change(frozenset({State.STARTED}), State.RETRY)
    """Failed with retries left, or lost while its task says ``on_lost = "retry"``."""
    FAIL = _Change(frozenset({State.STARTED}), State.FAILURE)
    """Failed or lost for good."""
    RELEASE = _Change(frozenset({State.STARTED}), State.PENDING)
    """Given back uncounted: nothing of the attempt had begun."""
    REVOKE = _Change(UNFINISHED, State.REVOKED)
    """Cancelled or expired."""
    RENEW = _Change(FINAL, State.PENDING)
    """``jobctl retry``: a fresh round, the history is kept."""

    @property
    def sources(self) -> frozenset[State]:
        """The states from which this change is allowed."""
        return self.value.sources

    @property
    def target(self) -> State:
        """The state that follows."""
        return self.value.target


class Reason(StrEnum):
    """Why a job is where it is, beyond its state. Stored, shown, never parsed back."""

    ETA = "waits for its time"
    NO_TASK = "no such task"
    EARLIER = "waits for the end of an earlier job of its schedule"
    AFTER = "waits for other jobs"
    CANCELLED = "cancelled"
    IGNORED = "ignored by its function"
    PURGED = "purged from its queue"
    EXPIRED = "expired"
    DEADLINE = "its deadline has passed"
    BACKOFF = "waits before the next attempt"
    LOST = "lost"
    MAX_LOST = "lost too often"
    TIMEOUT = "timed out"
    FAILED = "failed"
