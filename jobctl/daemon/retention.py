"""Removing what is old: ended jobs with their attempts, outputs and keys; old fires.

By age and by count, on by default. It goes in small batches, one a turn, so that nobody waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Clock, Moment
from jobctl.store import attempts as attempt_rows
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import keys as key_rows
from jobctl.store import meta, schedules

if TYPE_CHECKING:
    from pathlib import Path

    from jobctl.plan import DaemonSettings
    from jobctl.store.database import Database

BATCH: Final = 200
"""Rows that are removed in one turn."""

PAUSE_S: Final = 600.0
"""Time between two walks."""

KEY_KEEP_S: Final = 86_400
"""How long a key outlives its job's end."""


class Retention:
    """Walks the store from its oldest job on, a batch a turn, then rests."""

    def __init__(self, *, database: Database, clock: Clock, output_dir: Path) -> None:
        self._database = database
        self._clock = clock
        self._output_dir = output_dir
        self._keep_s = 30 * 86_400.0
        self._keep_jobs = 1_000_000
        self._next_at = clock.monotonic() + PAUSE_S
        self._job_cursor = 0
        self._key_cursor: tuple[int, str] | None = (-1, "")
        self._files: list[Path] = []

    def take_settings(self, settings: DaemonSettings) -> None:
        """Go by these settings from now on."""
        self._keep_s = settings.keep_s
        self._keep_jobs = settings.keep_jobs

    def deadline(self) -> float:
        """When the next batch is due, on the monotonic clock."""
        return self._next_at

    def is_due(self, monotonic: float) -> bool:
        """A batch is due."""
        return monotonic >= self._next_at

    def step(self, now: Moment, monotonic: float) -> None:
        """Remove one batch if one is due, inside the turn's transaction."""
        self._drop_files()
        if not self.is_due(monotonic):
            return
        has_more = self._prune_jobs(now)
        has_more = self._prune_keys(now) or has_more
        if not has_more:
            self._prune_fires(now)
            self._job_cursor = 0
            self._key_cursor = (-1, "")
            self._next_at = monotonic + PAUSE_S
        else:
            self._next_at = monotonic

    def _prune_jobs(self, now: Moment) -> bool:
        highest = job_rows.highest_id(self._database)
        before = now - int(self._keep_s * SECOND)
        removed = job_rows.prune(
            self._database, after=self._job_cursor, until=highest, before=before, limit=BATCH
        )
        # By count: ids rise with time, so everything below this one is more than what is kept.
        until = highest - self._keep_jobs
        if not removed and until > 0:
            removed = job_rows.prune(
                self._database, after=0, until=until, before=now + 1, limit=BATCH
            )
        if not removed:
            return False
        if removed and max(removed) == highest:
            meta.set(self._database, "highest_id", str(highest))
        for job_id in removed:
            self._note_files(job_id)
        attempt_rows.prune(self._database, removed)
        return len(removed) == BATCH

    def _note_files(self, job_id: int) -> None:
        """Files go in the turn after the commit: a crash between leaves a file, never a gap."""
        for attempt in attempt_rows.of_job(self._database, job_id):
            if attempt["output_file"]:
                folder = self._output_dir / str(job_id // 1000)
                self._files.append(folder / f"{job_id}.{attempt['number']}")

    def _drop_files(self) -> None:
        for path in self._files:
            path.unlink(missing_ok=True)
            try:
                path.parent.rmdir()
            except OSError:
                continue
        self._files = []

    def _prune_keys(self, now: Moment) -> bool:
        if self._key_cursor is None:
            return False
        self._key_cursor = key_rows.prune(
            self._database,
            after=self._key_cursor,
            before=now - KEY_KEEP_S * SECOND,
            limit=BATCH,
        )
        return self._key_cursor is not None

    def _prune_fires(self, now: Moment) -> None:
        before = now - int(self._keep_s * SECOND)
        for row in schedules.all(self._database).values():
            fire_rows.prune(self._database, schedule=row.id, before=before, limit=BATCH)
