"""What the functions of jobs raise to their workers, and how a worker names what they raise.

Nothing here is an error of ours (`jobctl.errors`). Imported by workers and applications: the standard
library only, and little of it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_S = 1e11
"""Some three thousand years."""
_MOST_KINDS = 50
_MOST_REJECTS = 2**31
_LONGEST_KIND = 200


class Retry(Exception):
    """Raise it in a function to have its job tried again: ``raise jobctl.Retry(countdown=60)``.

    ``countdown`` is the wait, in seconds or as a timedelta; ``eta`` a moment with a time zone. Without
    either the task's ``retry_delay`` and its growth decide. ``max_retries`` is how many retries the job gets
    at most, counted with those after failures; without it the task's ``retries``, or 3 where these are 0.
    ``autoretry_for`` and ``dont_autoretry_for`` are not asked.

    When no retry is left the job fails: with the exception from which this one was raised (``raise
    jobctl.Retry() from error``), else with this one.

    Raises ValueError for what is no wait, no moment or no count.
    """

    def __init__(
        self,
        message: str = "the function asked to be tried again",
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        max_retries: int | None = None,
    ) -> None:
        super().__init__(message)
        if countdown is not None and eta is not None:
            raise ValueError("Retry: countdown and eta are both given; keep one of them")
        delay_s = countdown.total_seconds() if isinstance(countdown, timedelta) else countdown
        if delay_s is not None and not 0 <= delay_s < _LONGEST_S:
            raise ValueError(f"Retry: {countdown!r} is not a countdown: seconds, 0 or more")
        if eta is not None and eta.tzinfo is None:
            raise ValueError("Retry: the eta has no time zone; write datetime.now(UTC) + …")
        if max_retries is not None and max_retries < 0:
            raise ValueError(f"Retry: {max_retries!r} is not a number of retries")
        self.countdown_s = delay_s
        self.eta = eta
        self.max_retries = max_retries

    def to_json(self) -> str:
        """Give ``delay_s``, ``at`` (microseconds since 1970) and ``max_retries``, each a number or null."""
        at = None if self.eta is None else (self.eta - _EPOCH) // timedelta(microseconds=1)
        asked = {"delay_s": self.countdown_s, "at": at, "max_retries": self.max_retries}
        return json.dumps(asked)


# Users know it by the name that they import it by.
Retry.__module__ = "jobctl"


class Ignore(Exception):
    """Raise it in a function that has nothing to do: its job ends as REVOKED, "ignored by its function".

    It has neither succeeded nor failed: it has no result, it is not tried again, handlers are not called, no
    task follows it, and what waits for its success is revoked.
    """

    def __init__(self, message: str = "the function asked to be ignored") -> None:
        super().__init__(message)


Ignore.__module__ = "jobctl"


class Reject(Exception):
    """Raise it in a function that will not do its job: ``raise jobctl.Reject("no such order")``.

    The job fails at once and for good, whatever retries it has; with ``requeue=True`` it is tried again at once
    instead, as often as it is rejected. Handlers are not called. ``on_failure = "task"`` of its task gives the
    rejected to another one, as a dead-letter queue does.
    """

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.requeue = requeue

    def __str__(self) -> str:
        return "rejected" if self.reason is None else str(self.reason)

    def to_json(self) -> str:
        """As `Retry.to_json`: with as many retries as it takes, or none."""
        most = _MOST_REJECTS if self.requeue else 0
        return json.dumps({"delay_s": 0, "at": None, "max_retries": most})


Reject.__module__ = "jobctl"


class Replaced(Retry):
    """Other work takes the place of the job whose function raises it (``self.replace``).

    It travels as what the function asks for, like a retry: the transaction that ends the attempt makes the
    jobs. ``work``: ``jobs``, ``steps`` and ``shape`` as of a submitted workflow; with ``gathers`` there is one
    step more, which takes the results of the others. ``here`` makes the work in place, and gives its result.
    """

    def __init__(self, work: Mapping[str, Any], *, here: Callable[[], Any] | None = None) -> None:
        super().__init__("the function asked to be replaced")
        self.work = work
        self.here = here

    def to_json(self) -> str:
        """Give ``replace``: the work."""
        return json.dumps({"replace": self.work})


Replaced.__module__ = "jobctl"


class MaxRetriesExceeded(Exception):
    """A bound task asked for a retry (``self.retry()``) that its job does not have any more.

    Its job fails with it, or with the exception that ``self.retry(exc=…)`` was given.
    """


MaxRetriesExceeded.__module__ = "jobctl"


class SoftTimeout(Exception):
    """Raised in the main thread of a function at its ``soft_timeout``: it may tidy up and return.

    What the function returns after it has caught this counts as success. A function that lets it through
    has timed out. It is raised once in an attempt; ``timeout`` still ends the attempt's worker.
    """


SoftTimeout.__module__ = "jobctl"


def name_of(kind: type) -> str:
    """Give the name of a class: ``ValueError``, ``shop.errors.Busy``."""
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def kinds_of(error: BaseException) -> list[str]:
    """Give the names of the classes that an exception belongs to, its own first; a bounded number of them."""
    found = [name_of(kind)[:_LONGEST_KIND] for kind in type(error).__mro__ if kind is not object]
    return found[:_MOST_KINDS]
