"""Outputs go before their jobs, by age and by size: on a real store with real files, and under a daemon."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.config.load import load
from jobctl.daemon.output_retention import ANEW_S, BATCH, COUNT_PAUSE_S
from jobctl.daemon.retention import PAUSE_S, Retention
from jobctl.paths import output_file
from jobctl.plan import DaemonSettings
from jobctl.store import attempts, jobs
from jobctl.store.attempts import row_of
from jobctl.store.database import Database, open_database
from tests.support.builders import a_job, an_outcome, claimed, rows
from tests.support.clock import START, FakeClock
from tests.support.daemon import running_daemon, with_patch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86_400
KIB = 1024


class Store:
    """A store with outputs, its clock and its retention."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.clock = FakeClock()
        self.output_dir = folder / "output"
        self.retention = Retention(database=database, clock=self.clock, output_dir=self.output_dir)

    def set(self, **settings: Any) -> None:
        self.retention.take_settings(DaemonSettings(**settings))

    def add(self, id: int, size: int, *, at_s: float = 0, stderr: int | None = None) -> None:
        """A job that ended at this time with so much output; in a file if it is longer than a row."""
        taken = claimed(self.database, a_job(id=id))
        is_long = size > 16 * KIB
        outcome = an_outcome(
            taken,
            output=b"" if is_long else b"o" * size,
            output_bytes=size,
            output_file=is_long,
            stderr_bytes=stderr,
            stderr_file=stderr is not None,
        )
        finished_at = START + int(at_s * SECOND)
        with self.database.transaction():
            jobs.succeed(self.database, [(finished_at, id, taken.token)])
            row = row_of(outcome, number=1, worker="w", claimed_at=START, ran_with=None)
            attempts.add(self.database, [row])
        if is_long:
            self.file(id, size)
        if stderr is not None:
            self.file(id, stderr, stderr=True)

    def file(self, id: int, size: int, *, stderr: bool = False) -> Path:
        path = output_file(self.output_dir, id, 1, stderr=stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"o" * size)
        return path

    def walk(self) -> int:
        """A whole walk; gives the number of its slices."""
        self.clock.advance(PAUSE_S)
        for count in range(5000):
            if not self.retention.is_due(self.clock.monotonic()):
                return count
            with self.database.transaction():
                self.retention.step(self.clock.now(), self.clock.monotonic())
        raise AssertionError("the walk does not end")

    def bare(self) -> list[int]:
        """Jobs of whose output nothing is kept."""
        return [
            row["job_id"]
            for row in rows(self.database, "attempts", "job_id")
            if row["output"] is None and not row["output_file"] and not row["stderr_file"]
        ]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.output_dir.glob("*/*"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_database(tmp_path / "jobctl.db")
    yield Store(opened, tmp_path)
    opened.close()


def test_outputs_go_by_age_and_their_jobs_stay(store: Store) -> None:
    store.add(1, 100)
    store.add(2, 20 * KIB, stderr=5)
    store.add(3, 20 * KIB, at_s=5 * DAY)
    store.set(keep_output_s=7.0 * DAY)

    store.clock.advance(7 * DAY - 2 * PAUSE_S)
    store.walk()
    assert store.bare() == []
    store.clock.advance(PAUSE_S)
    store.walk()

    assert store.bare() == [1, 2]
    assert store.files() == ["3.1"]
    sizes = [row["output_bytes"] for row in rows(store.database, "attempts", "job_id")]
    assert sizes == [100, 20 * KIB, 20 * KIB]


@pytest.mark.slow
def test_what_has_lost_its_output_is_not_looked_at_again(store: Store) -> None:
    for id in range(1, 5 * BATCH):
        store.add(id, 1)
    store.set(keep_output_s=60.0)

    assert store.walk() > 5
    assert len(store.bare()) == 5 * BATCH - 1
    assert store.walk() <= 5


def test_an_old_job_that_was_tried_again_loses_its_new_output_too(store: Store) -> None:
    store.add(1, 1)
    store.set(keep_output_s=60.0)
    store.walk()
    again = an_outcome(claimed(store.database, a_job(id=7)), output=b"new", output_bytes=3)
    row = row_of(again, number=2, worker="w", claimed_at=START, ran_with=None)
    with store.database.transaction():
        attempts.add(store.database, [(1, *row[1:])])

    store.walk()
    assert store.bare() == [1]
    store.clock.advance(ANEW_S)
    store.walk()

    assert store.bare() == [1, 1]


def test_a_job_that_runs_holds_up_only_itself(store: Store) -> None:
    store.add(1, 1)
    claimed(store.database, a_job(id=2))
    running = store.file(2, 20 * KIB)
    store.add(3, 1)
    store.set(keep_output_s=60.0, keep_output_bytes=0)

    store.walk()

    assert store.bare() == [1, 3]
    assert running.exists()


def test_the_oldest_outputs_go_when_they_take_too_much(store: Store) -> None:
    for id in (999, 1000, 1001, 20_000):
        store.add(id, 64 * KIB, stderr=20 * KIB)
    store.add(20_001, 100)
    store.set(keep_output_bytes=200 * KIB)

    store.walk()

    # 84 KiB each; the file system may give a little more.
    assert store.bare() == [999, 1000]
    assert store.files() == ["1001.1", "1001.1.err", "20000.1", "20000.1.err"]


def test_holes_do_not_count(store: Store) -> None:
    store.add(1, 20 * KIB)
    with output_file(store.output_dir, 1, 1).open("r+b") as file:
        file.truncate(1 << 30)
    store.set(keep_output_bytes=1 << 20)
    store.walk()
    assert store.bare() == []


def test_files_are_counted_once_an_hour_and_after_a_reload(store: Store) -> None:
    store.set(keep_output_bytes=50 * KIB)
    store.walk()
    for id in (1, 2):
        store.add(id, 40 * KIB)
    store.walk()
    assert store.bare() == []
    store.clock.advance(COUNT_PAUSE_S)
    store.walk()
    assert store.bare() == [1]
    store.set(keep_output_bytes=0)
    store.walk()
    assert store.bare() == [1, 2]
    assert store.files() == []


def test_many_files_are_counted_and_removed_in_slices(store: Store) -> None:
    count = 2 * BATCH + 50
    for id in range(1, count + 1):
        store.add(id, 17 * KIB)
    store.set(keep_output_bytes=0)

    # One of jobs, one of keys, one of schedules, three to count, three to remove, the end.
    assert store.walk() >= 9

    assert len(store.bare()) == count
    assert store.files() == []


def test_what_a_refused_transaction_has_removed_goes_the_next_time(store: Store) -> None:
    store.add(1, 20 * KIB)
    store.set(keep_output_s=60.0)
    store.clock.advance(PAUSE_S)
    while not store.retention._files and store.retention.is_due(store.clock.monotonic()):
        store.database.begin()
        store.retention.step(store.clock.now(), store.clock.monotonic())
        if store.retention._files:
            store.database.rollback()
            store.retention.recover()
            break
        store.database.commit()

    assert (store.bare(), store.files()) == ([], ["1.1"])
    store.walk()
    store.walk()
    assert (store.bare(), store.files()) == ([1], [])


PATCH = """
import jobctl.daemon.retention as retention
retention.PAUSE_S = 0.2
"""


def test_logs_and_status_say_that_an_output_is_not_kept_any_more() -> None:
    with running_daemon('[daemon]\nkeep_output = "100ms"\n', start=False) as daemon:
        daemon.launcher = with_patch(PATCH)
        daemon.start()
        job = daemon.shell("head -c 20000 /dev/zero | tr '\\0' x; echo e >&2", stderr="separate")
        assert daemon.ended(job)["state"] == "SUCCESS"
        path = output_file(daemon.state_dir / "output", job, 1)
        daemon.until("the output to be removed", lambda: not path.exists())
        attempt = daemon.status(job)["attempts"][0]
        assert (attempt["output_bytes"], attempt["output_tail"]) == (20000, "")
        words = [sys.executable, "-m", "jobctl", "--socket", str(daemon.socket)]
        logs = subprocess.run(
            [*words, "logs", str(job)], capture_output=True, text=True, check=True
        )
        assert logs.stdout == ""
        assert logs.stderr == (
            "jobctl: 20000 bytes of output are not kept any more\n"
            "jobctl: 2 bytes of standard error are not kept any more\n"
        )
        page = subprocess.run(
            [*words, "status", str(job)], capture_output=True, text=True, check=True
        )
        assert "output\t(20000 bytes, which are not kept any more)\n" in page.stdout


def test_an_output_that_would_outlive_its_job_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "jobctl.toml"
    path.write_text('[daemon]\nkeep = "7d"\nkeep_output = "8d"\n')
    (problem,) = load(path).problems
    assert (problem.key, problem.line) == ("daemon.keep_output", 3)
    assert "kept for 1w" in problem.message
