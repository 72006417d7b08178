"""What a turn has decided about instants and not written yet.

A hundred thousand schedules may be due at one instant. Their jobs, fates and watermarks are written table by
table, one statement for many rows, which costs half of writing them schedule by schedule. All of it is
written within the transaction in which it was decided; whoever reads these rows before its end, or the job
of a schedule, calls `write` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import schedules as schedule_rows

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database
    from jobctl.store.fires import Fire
    from jobctl.store.jobs import NewJob

SLICE: Final = 500
"""Schedules that are looked at in one turn, and fates that are written in one, more or less."""


class Ledger:
    """See the module. ``len`` is the number of fates that are still to be written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: list[NewJob] = []
        self._fires: list[Fire] = []
        self._watermarks: list[tuple[Moment, int, int]] = []
        self._schedules: set[int] = set()

    def __len__(self) -> int:
        return len(self._fires)

    def add(self, fire: Fire, job: NewJob | None = None) -> None:
        """Note a fate, and the job that it is about."""
        self._fires.append(fire)
        self._schedules.add(fire.schedule)
        if job is not None:
            self._jobs.append(job)
            if job.unique_key is not None:
                # Whoever makes the next job of its task looks for it.
                self.write()

    def advance(self, schedule: int, *, watermark: Moment, runs: int) -> None:
        """Note that every instant up to the watermark has its fate."""
        self._watermarks.append((watermark, runs, schedule))

    def holds(self, schedule: int) -> bool:
        """Some fate of this schedule is still to be written."""
        return schedule in self._schedules

    def write(self) -> None:
        """Write everything, inside the turn's transaction."""
        if self._jobs:
            job_rows.submit(self._database, self._jobs)
        if self._fires:
            fire_rows.add_all(self._database, self._fires)
        if self._watermarks:
            schedule_rows.advance(self._database, self._watermarks)
        self.forget()

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._jobs = []
        self._fires = []
        self._watermarks = []
        self._schedules = set()
