"""Removing outputs before their jobs: by age, and when their files take too much of the disk.

What an attempt wrote goes, how much it was stays in its row. In slices, as the rest of retention, which
walks this part last. Never that of an attempt which runs: only one that has ended has a row.

Files are counted where they lie and as the file system does it, holes left out. Output that is short
enough to live in rows counts for nothing there; it goes by age, and with its job.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Clock, Moment
from jobctl.paths import output_file
from jobctl.store import attempts as attempt_rows
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.plan import DaemonSettings
    from jobctl.store.database import Database

BATCH: Final = 200
"""Rows or files that are looked at in one slice."""

COUNT_PAUSE_S: Final = 3600.0
"""Time between two counts of all files."""

ANEW_S: Final = 86_400.0
"""Time between two walks over all jobs: an old one that was tried again has a new output."""

_BLOCK_BYTES: Final = 512


class OutputRetention:
    """See the module. `begin` a walk, then `step` while it `has_more`."""

    def __init__(self, *, database: Database, clock: Clock, output_dir: Path) -> None:
        self._database = database
        self._clock = clock
        self._output_dir = output_dir
        self._keep_s: float | None = None
        self._most_bytes: int | None = None
        self._count_at = clock.monotonic()
        self._anew_at = clock.monotonic() + ANEW_S
        # All ended jobs up to this one have lost their output by age.
        self._bare_until = 0
        self._job: int | None = None
        self._is_unbroken = True
        self._folders: list[int] = []
        self._counting: list[int] = []
        self._entries: Iterator[os.DirEntry[str]] | None = None
        self._total = 0
        self._excess = 0
        self._candidates: list[tuple[int, int, int]] = []

    def take_settings(self, settings: DaemonSettings) -> None:
        """Go by these settings from the next walk on."""
        if settings.keep_output_s != self._keep_s:
            self._bare_until = 0
        self._keep_s = settings.keep_output_s
        self._most_bytes = settings.keep_output_bytes
        self._count_at = self._clock.monotonic()

    def recover(self) -> None:
        """The transaction of the last step failed: what it removed is still there, for the next walk."""
        self._bare_until = 0
        self._is_unbroken = False
        self._count_at = self._clock.monotonic()

    def begin(self) -> None:
        """Begin a walk; what is not due is passed over."""
        now = self._clock.monotonic()
        if now >= self._anew_at:
            self._anew_at = now + ANEW_S
            self._bare_until = 0
        self._job = None if self._keep_s is None else self._bare_until
        self._is_unbroken = True
        self._counting, self._folders = [], []
        self._entries = None
        self._total = self._excess = 0
        self._candidates = []
        if self._most_bytes is not None and now >= self._count_at:
            self._count_at = now + COUNT_PAUSE_S
            self._folders = self._list_folders()
            self._counting = list(self._folders)

    @property
    def has_more(self) -> bool:
        """The walk is not over."""
        return bool(
            self._job is not None or self._counting or self._entries is not None or self._excess > 0
        )

    def step(self, now: Moment) -> list[Path]:
        """One slice, inside the turn's transaction; the files to remove after its commit."""
        if self._job is not None:
            return self._prune_by_age(self._job, now)
        if self._counting or self._entries is not None:
            self._count()
            return []
        return self._prune_by_size()

    # -- by age -----------------------------------------------------------------------------------

    def _prune_by_age(self, after: int, now: Moment) -> list[Path]:
        assert self._keep_s is not None
        before = now - int(self._keep_s * SECOND)
        rows = job_rows.oldest(self._database, after=after, limit=BATCH)
        files: list[Path] = []
        for job_id, _, finished_at in rows:
            if finished_at is not None and finished_at < before:
                for number, output, stderr in attempt_rows.with_files(self._database, job_id):
                    files.extend(self._paths(job_id, number, output=output, stderr=stderr))
                attempt_rows.drop_output(self._database, job_id=job_id)
            else:
                self._is_unbroken = False
            if self._is_unbroken:
                self._bare_until = job_id
        # Ids rise with time: what follows was submitted later, and ended later still.
        is_over = len(rows) < BATCH or rows[-1][1] >= before
        self._job = None if is_over else rows[-1][0]
        return files

    def _paths(self, job_id: int, number: int, *, output: bool, stderr: bool) -> list[Path]:
        wanted = [is_stderr for is_stderr, there in ((False, output), (True, stderr)) if there]
        return [output_file(self._output_dir, job_id, number, stderr=one) for one in wanted]

    # -- by size ----------------------------------------------------------------------------------

    def _list_folders(self) -> list[int]:
        """The folders of outputs, those of the oldest jobs first."""
        try:
            with os.scandir(self._output_dir) as entries:
                return sorted(int(entry.name) for entry in entries if entry.name.isdecimal())
        except OSError:
            return []

    def _count(self) -> None:
        """Add up some more files; at the end it is known how much is too much."""
        if self._entries is None:
            self._entries = self._scan(self._counting.pop(0))
        looked_at = 0
        for entry in islice(self._entries, BATCH):
            looked_at += 1
            self._total += _size(entry)
        if looked_at < BATCH:
            self._entries = None
        if not self._counting and self._entries is None:
            assert self._most_bytes is not None
            self._excess = self._total - self._most_bytes

    def _scan(self, folder: int) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self._output_dir / str(folder)) as entries:
                yield from entries
        except OSError:
            # Its last file has gone meanwhile.
            return

    def _prune_by_size(self) -> list[Path]:
        """Remove the oldest outputs until no more is there than may be."""
        if not self._candidates:
            if not self._folders:
                # What is left belongs to attempts that run.
                self._excess = 0
                return []
            self._candidates = self._attempts_in(self._folders.pop(0))
        some, self._candidates = self._candidates[:BATCH], self._candidates[BATCH:]
        files: list[Path] = []
        for job_id, number, size in some:
            if self._excess <= 0:
                break
            if attempt_rows.drop_output(self._database, job_id=job_id, number=number):
                files.extend(self._paths(job_id, number, output=True, stderr=True))
                self._excess -= size
        return files

    def _attempts_in(self, folder: int) -> list[tuple[int, int, int]]:
        """``(job, number, bytes)`` of the attempts with files in a folder, the oldest job first."""
        sizes: dict[tuple[int, int], int] = {}
        for entry in self._scan(folder):
            job_id, _, number = entry.name.removesuffix(".err").partition(".")
            if job_id.isdecimal() and number.isdecimal():
                place = int(job_id), int(number)
                sizes[place] = sizes.get(place, 0) + _size(entry)
        return [(job_id, number, size) for (job_id, number), size in sorted(sizes.items())]


def _size(entry: os.DirEntry[str]) -> int:
    """What a file takes of the disk; 0 when it is gone."""
    try:
        return entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
    except OSError:
        return 0
