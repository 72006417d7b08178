"""Removing what is old: ended jobs with their attempts, outputs and keys; old fates of schedules.

By age and by count, on by default; outputs and results also before their
jobs (`jobctl.daemon.output_retention`, `jobctl.daemon.result_retention`). It goes in small slices, one a
turn, from the oldest on, so that nobody waits for it; a walk ends where everything is younger, so that what
is kept costs nothing.

A key goes 24 hours after its job ended, or with its job if that is removed before: what is kept has to have
a bound. A job that waits or runs is never removed, and counts as none of those that are kept.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from jobctl.clock import SECOND, Clock, Moment
from jobctl.daemon.output_retention import OutputRetention
from jobctl.daemon.result_retention import ResultRetention
from jobctl.paths import output_file
from jobctl.store import attempts as attempt_rows
from jobctl.store import dependencies as dependency_rows
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import keys as key_rows
from jobctl.store import meta
from jobctl.store import rules as rule_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store import workflows as workflow_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jobctl.plan import DaemonSettings
    from jobctl.store.database import Database
    from jobctl.task import Task

BATCH: Final = 200
"""Rows that are looked at in one turn."""

PAUSE_S: Final = 600.0
"""Time between two walks."""

KEY_KEEP_S: Final = 86_400
"""How long a key outlives its job's end."""

_REMOVED: Final = "newest_removed"
_BEFORE_ALL_KEYS: Final = (-1, "")


def newest_removed(database: Database) -> int:
    """The highest id of all jobs that were removed, 0 if none was: a job above it that is not there was lost
    in another way."""
    return int(meta.get(database, _REMOVED) or 0)


class _Asked(NamedTuple):
    keep_s: float | None
    keep_jobs: int | None
    answer: Callable[[int], None]


class Retention:
    """Walks the store from its oldest job on, a slice a turn, then rests."""

    def __init__(self, *, database: Database, clock: Clock, output_dir: Path) -> None:
        self._database = database
        self._clock = clock
        self._output_dir = output_dir
        self._keep_s = 30 * 86_400.0
        self._keep_jobs = 1_000_000
        self._asked: list[_Asked] = []
        self._removed = 0
        self._removing = 0
        self._next_at = clock.monotonic() + PAUSE_S
        self._files: list[Path] = []
        self._outputs = OutputRetention(database=database, clock=clock, output_dir=output_dir)
        self._results = ResultRetention(database=database, clock=clock)
        self._begin()

    def take_settings(
        self, settings: DaemonSettings, tasks: Mapping[str, Task] = MappingProxyType({})
    ) -> None:
        """Go by these settings, and by what tasks say of their results, from now on."""
        self._keep_s = settings.keep_s
        self._keep_jobs = settings.keep_jobs
        self._outputs.take_settings(settings)
        self._results.take(settings.result_expires_s, tasks)

    def run_now(
        self, keep_s: float | None, keep_jobs: int | None, answer: Callable[[int], None]
    ) -> None:
        """Begin a walk now, a slice a turn as always; ``answer`` gets how many jobs it has removed.

        ``keep_s`` and ``keep_jobs`` bound what is kept for this once, where they are less than the settings.
        """
        self._asked.append(_Asked(keep_s, keep_jobs, answer))
        self._begin()
        self._removed = self._removing = 0
        self._next_at = self._clock.monotonic()

    @property
    def _kept_s(self) -> float:
        return min([self._keep_s, *(one.keep_s for one in self._asked if one.keep_s is not None)])

    @property
    def _kept_jobs(self) -> int:
        asked = (one.keep_jobs for one in self._asked if one.keep_jobs is not None)
        return min([self._keep_jobs, *asked])

    def _tell(self) -> None:
        """The walk is over, and every slice of it is committed."""
        asked, self._asked = self._asked, []
        for one in asked:
            one.answer(self._removed)

    def deadline(self) -> float:
        """When the next slice is due, on the monotonic clock."""
        return self._clock.monotonic() if self._files else self._next_at

    def is_due(self, monotonic: float) -> bool:
        """A slice is due."""
        return bool(self._files) or monotonic >= self._next_at

    def recover(self) -> None:
        """The transaction of the last step failed: what it removed is still there."""
        self._files = []
        self._removing = 0
        self._outputs.recover()
        self._results.recover()

    # -- the walk -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._job: int | None = 0
        self._surplus_until: int | None = None
        self._key: tuple[int, str] | None = _BEFORE_ALL_KEYS
        self._schedule: int | None = 0
        self._outputs_begun = False
        self._results_begun = False

    def step(self, now: Moment, monotonic: float) -> None:
        """Remove one slice if one is due, inside the turn's transaction.

        Files go after the commit of the step that removed their rows: a crash between the two leaves a
        file, never a row without its output.
        """
        self._drop_files()
        if monotonic < self._next_at:
            return
        self._next_at = monotonic
        self._removed, self._removing = self._removed + self._removing, 0
        if self._job is not None:
            self._job = self._prune_jobs(self._job, now)
        elif self._key is not None:
            self._key = key_rows.prune(
                self._database,
                after=self._key,
                before=now - KEY_KEEP_S * SECOND,
                limit=BATCH,
            )
        elif self._schedule is not None:
            self._schedule = self._prune_fires(self._schedule, now)
        elif self._has_results():
            self._results.step(now)
        elif self._has_outputs():
            self._files = self._outputs.step(now)
        else:
            self._begin()
            self._next_at = monotonic + PAUSE_S
            self._tell()
            self._removed = 0

    def _has_results(self) -> bool:
        if not self._results_begun:
            self._results_begun = True
            self._results.begin()
        return self._results.has_more

    def _has_outputs(self) -> bool:
        """Outputs are looked at last: those of jobs that were removed are gone by then."""
        if not self._outputs_begun:
            self._outputs_begun = True
            self._outputs.begin()
        return self._outputs.has_more

    def _prune_jobs(self, after: int, now: Moment) -> int | None:
        """Look at the next jobs; gives back where to go on, None at the end."""
        rows = job_rows.oldest(self._database, after=after, limit=BATCH)
        if not rows:
            return None
        if self._surplus_until is None:
            self._surplus_until = self._find_surplus(rows[0][0])
        before = now - int(self._kept_s * SECOND)
        removed = [
            id
            for id, _, finished_at in rows
            if finished_at is not None and (finished_at < before or id <= self._surplus_until)
        ]
        if removed:
            # What an unfinished job waits for, or has waited for, stays with it.
            wanted = dependency_rows.wanted(self._database, removed)
            removed = [id for id in removed if id not in wanted]
        self._remove(removed)
        self._removing = len(removed)
        last, submitted_at, _ = rows[-1]
        # Ids rise with time: what follows was submitted later, and ended later still.
        is_over = len(rows) < BATCH or (submitted_at >= before and last > self._surplus_until)
        return None if is_over else last

    def _find_surplus(self, lowest: int) -> int:
        """Up to which id ended jobs are more than are kept; 0 when there are not too many.

        Ids have gaps, so there may be fewer jobs than ids: never more are removed than are too many.
        """
        highest = job_rows.highest_id(self._database)
        if highest - lowest + 1 <= self._kept_jobs:
            return 0
        unfinished = sum(job_rows.count_lines(self._database).values())
        return max(highest - self._kept_jobs - unfinished, 0)

    def _remove(self, job_ids: list[int]) -> None:
        if not job_ids:
            return
        if job_ids[-1] > newest_removed(self._database):
            meta.set(self._database, _REMOVED, str(job_ids[-1]))
        highest = job_rows.highest_id(self._database)
        if job_ids[-1] == highest:
            # An id is never given twice, also when the job that had the highest one is gone.
            meta.set(self._database, "highest_id", str(highest))
        for job_id in job_ids:
            for number, has_output, has_stderr in attempt_rows.with_files(self._database, job_id):
                if has_output:
                    self._files.append(output_file(self._output_dir, job_id, number))
                if has_stderr:
                    self._files.append(output_file(self._output_dir, job_id, number, stderr=True))
        attempt_rows.prune(self._database, job_ids)
        dependency_rows.prune(self._database, job_ids)
        workflow_rows.prune(self._database, job_ids)
        job_rows.prune(self._database, job_ids)

    def _drop_files(self) -> None:
        files, self._files = self._files, []
        for path in files:
            path.unlink(missing_ok=True)
            try:
                path.parent.rmdir()
            except OSError:
                # Others are still in it.
                continue

    def _prune_fires(self, after: int, now: Moment) -> int | None:
        """Remove old fates of the next schedules; gives back where to go on, None at the end."""
        before = now - int(self._kept_s * SECOND)
        for schedule in schedule_rows.ids(self._database, after=after, limit=BATCH):
            removed = fire_rows.prune(self._database, schedule=schedule, before=before, limit=BATCH)
            if removed:
                # Who asks later what became of an instant is told that it is not known any more.
                schedule_rows.note_pruned(self._database, id=schedule, before=before)
                rule_rows.prune(self._database, schedule=schedule, before=before)
                # There may be more of this one; a slice has been done.
                return schedule - 1 if removed == BATCH else schedule
            after = schedule
        following = schedule_rows.ids(self._database, after=after, limit=1)
        return after if following else None
