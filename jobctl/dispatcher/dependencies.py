"""Jobs that wait for others: they are let go, or revoked, when what they wait for has ended.

Only jobs that exist can be waited for, or what replaces the work of one, so there are no rings. A job that has to succeed and does not takes
with it all that wait for it, and all that wait for those: none of them could ever run.

The transaction that ends a job follows its end too, but for no more than `SLICE` of those that wait: a
hundred thousand of them would hold up everybody else for a second. The transactions of the next turns follow
it for the rest. Nothing has to be remembered for that. Who waits for whom is in the rows, and a job stands
in its line apart until the last row about it is closed: it can neither start nor be forgotten meanwhile,
and retention leaves what it waits for alone. That jobs have ended whose ends are not followed yet is a hint;
after a start or a refused transaction all that others wait for are looked at, in slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.dispatcher.handing_on import hand_on
from jobctl.store import dependencies as rows
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.clock import Moment
    from jobctl.store.database import Database
    from jobctl.store.jobs import Standing

SLICE: Final = 500
"""Those that wait, or are waited for, that are looked at in one turn."""


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
        """Follow ends for a slice, inside a transaction: the jobs that were let go, and those that ended here:
        nearly always revoked.

        Those with a time of their own that has not come stand in the line of such jobs.
        """
        let_go: list[Standing] = []
        revoked: list[int] = []
        budget = SLICE
        while budget > 0 and self.has_work:
            if not self._ended:
                self._ended = self._next()
            looked_at = self._ended[:budget]
            closed = rows.close(self._database, looked_at, limit=budget)
            if len(closed) < budget:
                del self._ended[: len(looked_at)]
            budget -= max(len(closed), len(looked_at))
            met = {job_id for job_id, _, is_met in closed if is_met}
            broken = {job_id: on_job for job_id, on_job, is_met in closed if not is_met}
            gone = self._revoke(broken, now)
            self._ended += gone
            revoked += gone
            found = job_rows.let_after(self._database, ids=met - broken.keys(), now=now)
            handed = hand_on(self._database, found, now)
            let_go += handed.standing
            self._ended += handed.ended
            revoked += handed.ended
        if (let_go or revoked) and not self.has_work:
            # Nobody waits any more: what ends from now on is not looked at.
            line = job_rows.AFTER_LINE
            self.is_used = job_rows.head(self._database, line=line) is not None
        return let_go, revoked

    def _revoke(self, broken: Mapping[int, int], now: Moment) -> list[int]:
        """End those of these jobs that wait, by for whom in vain; these."""
        gone = []
        for job_id, on_job in broken.items():
            reason = f"job {on_job} is {job_rows.state(self._database, on_job)}"
            if job_rows.revoke_waiting(self._database, id=job_id, reason=reason, now=now):
                gone.append(job_id)
        return gone

    def _next(self) -> list[int]:
        if self._cursor is None:
            return []
        found = rows.open_after(self._database, after=self._cursor, limit=SLICE)
        self._cursor = found[-1] if len(found) == SLICE else None
        return found
