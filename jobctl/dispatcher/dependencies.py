"""Jobs that wait for others: they are let go, or revoked, in the transaction that ends what they wait for.

Only jobs that exist can be waited for, so there are no rings. A job that has to succeed and does not takes
with it all that wait for it, and all that wait for those: none of them could ever run.

Who waits for whom is in the rows. That jobs have ended which nobody was told of is remembered only as a
hint; after a start or a refused transaction all that others wait for are looked at once, in slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.store import dependencies as rows
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database
    from jobctl.store.jobs import Standing

SLICE: Final = 500
"""Jobs that are looked at in one turn when none can be trusted."""


class Dependencies:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ended: list[int] = []
        self._cursor: int | None = None
        self.is_used = False
        """Some job may wait for another."""

    def note(self, ended: list[int]) -> None:
        """These jobs have ended, in this transaction or long ago."""
        if self.is_used:
            self._ended += ended

    def look_at_all(self) -> None:
        """What was remembered is not to be trusted."""
        self.is_used = True
        self._cursor = 0

    @property
    def has_work(self) -> bool:
        """There are jobs whose end has to be followed."""
        return bool(self._ended) or self._cursor is not None

    def step(self, now: Moment) -> tuple[list[Standing], list[int]]:
        """Follow ends, inside a transaction: the jobs that were let go, and those that were revoked.

        Those with a time of their own that has not come stand in the line of such jobs.
        """
        ended, self._ended = [*self._ended, *self._next()], []
        let_go: list[Standing] = []
        revoked: list[int] = []
        while ended:
            met = rows.meet(self._database, ended)
            broken = rows.break_(self._database, ended)
            ended = []
            for job_id, on_job in broken.items():
                state = job_rows.state(self._database, on_job)
                if job_rows.revoke_waiting(
                    self._database, id=job_id, reason=f"job {on_job} is {state}", now=now
                ):
                    ended.append(job_id)
            revoked += ended
            let_go += job_rows.let_after(self._database, ids=met - broken.keys(), now=now)
        if (let_go or revoked) and self._cursor is None:
            # Nobody waits any more: what ends from now on is not looked at.
            line = job_rows.AFTER_LINE
            self.is_used = job_rows.head(self._database, line=line) is not None
        return let_go, revoked

    def _next(self) -> list[int]:
        if self._cursor is None:
            return []
        found = rows.open_after(self._database, after=self._cursor, limit=SLICE)
        self._cursor = found[-1] if len(found) == SLICE else None
        return found
