"""Removing the results of functions before their jobs: ``result_expires``, of a task or of all.

In slices, as the rest of retention. Only what has ended and is old enough loses its result; its job, its
errors and its output stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Clock, Moment
from jobctl.store import attempts as attempt_rows
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.store.database import Database
    from jobctl.task import Task

BATCH: Final = 200
"""Jobs that are looked at in one slice."""

ANEW_S: Final = 86_400.0
"""Time between two walks over all jobs: an old one that was tried again has a new result."""


class ResultRetention:
    """See the module. `begin` a walk, then `step` while it `has_more`."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._default_s: float | None = None
        self._by_task: dict[str, float] = {}
        self._anew_at = clock.monotonic() + ANEW_S
        # All jobs up to this one have lost their result, or keep it as long as themselves.
        self._bare_until = 0
        self._job: int | None = None
        self._is_unbroken = True

    def take(self, default_s: float | None, tasks: Mapping[str, Task]) -> None:
        """Go by these spans from the next walk on."""
        by_task = {
            name: task.result_expires_s
            for task in tasks.values()
            if task.result_expires_s is not None
            for name in (task.name, *task.aliases)
        }
        if (default_s, by_task) != (self._default_s, self._by_task):
            self._bare_until = 0
        self._default_s, self._by_task = default_s, by_task

    def recover(self) -> None:
        """The transaction of the last step failed: what it removed is still there, for the next walk."""
        self._bare_until = 0
        self._is_unbroken = False

    def begin(self) -> None:
        """Begin a walk; where no result expires it is over at once."""
        now = self._clock.monotonic()
        if now >= self._anew_at:
            self._anew_at = now + ANEW_S
            self._bare_until = 0
        self._job = self._bare_until if self._spans() else None
        self._is_unbroken = True

    @property
    def has_more(self) -> bool:
        """The walk is not over."""
        return self._job is not None

    def _spans(self) -> list[float]:
        default = [] if self._default_s is None else [self._default_s]
        return [*self._by_task.values(), *default]

    def step(self, now: Moment) -> None:
        """One slice, inside the turn's transaction."""
        assert self._job is not None
        rows = job_rows.oldest_with_task(self._database, after=self._job, limit=BATCH)
        expired = []
        for job_id, task, _, finished_at in rows:
            span_s = self._by_task.get(task or "", self._default_s)
            if span_s is not None:
                if finished_at is not None and finished_at < now - int(span_s * SECOND):
                    expired.append(job_id)
                else:
                    self._is_unbroken = False
            if self._is_unbroken:
                self._bare_until = job_id
        if expired:
            # What an unfinished job of its workflow takes stays with it.
            wanted = dependency_rows.wanted(self._database, expired)
            expired = [job_id for job_id in expired if job_id not in wanted]
            if wanted:
                self._is_unbroken = False
                self._bare_until = min(self._bare_until, min(wanted) - 1)
        attempt_rows.drop_results(self._database, expired)
        # Ids rise with time: what follows was submitted later, and ended later still.
        youngest = now - int(min(self._spans()) * SECOND)
        is_over = len(rows) < BATCH or rows[-1][2] >= youngest
        self._job = None if is_over else rows[-1][0]
