"""Results go before their jobs, by the span of their task: on a real store, and under a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.daemon.result_retention import ANEW_S, BATCH
from jobctl.daemon.retention import PAUSE_S, Retention
from jobctl.plan import DaemonSettings
from jobctl.plan.check import retention_faults
from jobctl.store import attempts, dependencies, jobs
from jobctl.store.attempts import row_of
from jobctl.store.database import Database, open_database
from tests.support.builders import a_job, a_task, an_outcome, claimed, in_state, rows
from tests.support.clock import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3600


class Store:
    """A store with results, its clock and its retention."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.clock = FakeClock()
        self.retention = Retention(
            database=database, clock=self.clock, output_dir=folder / "output"
        )

    def set(self, default_s: float | None = None, **spans: str) -> None:
        """Go by the span of all, and by those of tasks."""
        tasks = {
            name: a_task(name, command=None, function="shop:f", result_expires=span)
            for name, span in spans.items()
        }
        self.retention.take_settings(DaemonSettings(result_expires_s=default_s), tasks)

    def add(self, id: int, *, at_s: float = 0, **job: Any) -> None:
        """A job that returned at this time."""
        taken = claimed(self.database, a_job(id=id, **job))
        outcome = an_outcome(taken, result='{"a":1}', output=b"said", output_bytes=4)
        with self.database.transaction():
            jobs.succeed(self.database, [(START + int(at_s * SECOND), id, taken.token)])
            row = row_of(outcome, number=1, worker="w", claimed_at=START, ran_with=None)
            attempts.add(self.database, [row])

    def walk(self) -> int:
        """A whole walk; gives the number of its slices."""
        self.clock.advance(PAUSE_S)
        for count in range(5000):
            if not self.retention.is_due(self.clock.monotonic()):
                return count
            with self.database.transaction():
                self.retention.step(self.clock.now(), self.clock.monotonic())
        raise AssertionError("the walk does not end")

    def with_result(self) -> list[int]:
        found = rows(self.database, "attempts", "job_id")
        assert all(row["output"] == b"said" for row in found)
        return [row["job_id"] for row in found if row["result"] is not None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_database(tmp_path / "jobctl.db")
    yield Store(opened, tmp_path)
    opened.close()


def test_results_go_by_the_span_of_their_task_and_jobs_stay(store: Store) -> None:
    store.add(1, task="quick")
    store.add(2, task="slow")
    store.add(3, task="quick", at_s=HOUR)
    store.add(4, task=None)
    store.set(quick="1h", slow="2h")

    store.clock.advance(HOUR - 2 * PAUSE_S)
    store.walk()
    assert store.with_result() == [1, 2, 3, 4]
    store.clock.advance(PAUSE_S)
    store.walk()
    assert store.with_result() == [2, 3, 4]
    store.clock.advance(HOUR)
    store.walk()

    assert store.with_result() == [4]
    assert len(rows(store.database, "jobs", "id")) == 4


def test_the_span_of_all_is_for_tasks_that_say_none(store: Store) -> None:
    store.add(1, task="other")
    store.add(2, task="slow")
    store.set(HOUR, slow="1d")

    store.clock.advance(2 * HOUR)
    store.walk()

    assert store.with_result() == [2]


def test_what_a_step_takes_that_has_not_begun_stays_with_it(store: Store) -> None:
    for id in (1, 2, 3):
        store.add(id)
    in_state(store.database, "PENDING", id=9, line="after")
    with store.database.transaction():
        dependencies.add(store.database, [(9, 2, "success", "met"), (9, 8, "success", "open")])
    store.set(HOUR)
    store.clock.advance(2 * HOUR)

    store.walk()
    assert store.with_result() == [2]
    with store.database.transaction():
        jobs.revoke_waiting(store.database, id=9, reason="over", now=store.clock.now())
    store.walk()

    assert store.with_result() == []


def test_where_no_result_expires_nothing_is_walked(store: Store) -> None:
    store.add(1)
    store.set()
    without = store.walk()
    store.set(HOUR)

    assert store.walk() == without + 1


def test_what_has_lost_its_result_is_not_looked_at_again(store: Store) -> None:
    for id in range(1, 3 * BATCH):
        store.add(id)
    store.set()
    without = store.walk()
    store.set(HOUR)
    store.clock.advance(2 * HOUR)

    assert store.walk() == without + 3
    assert store.with_result() == []
    assert store.walk() == without + 1


def test_a_job_that_was_tried_again_loses_its_new_result_a_day_later(store: Store) -> None:
    store.add(1)
    store.add(2)
    store.set(HOUR)
    store.clock.advance(2 * HOUR)
    store.walk()
    with store.database.transaction():
        store.database.execute("UPDATE attempts SET result = '7' WHERE job_id = 1")

    store.walk()
    assert store.with_result() == [1]
    store.clock.advance(ANEW_S)
    store.walk()

    assert store.with_result() == []


def test_a_job_that_runs_holds_up_nothing(store: Store) -> None:
    in_state(store.database, "STARTED", id=1)
    store.add(2)
    store.set(HOUR)
    store.clock.advance(2 * HOUR)
    store.walk()

    assert store.with_result() == []


def test_a_refused_commit_takes_no_result(store: Store) -> None:
    store.add(1)
    store.set(HOUR)
    store.clock.advance(2 * HOUR)
    store.walk()
    with store.database.transaction():
        store.database.execute("UPDATE attempts SET result = '7'")
    store.retention.recover()
    store.walk()

    assert store.with_result() == []


def test_a_result_that_would_outlive_its_job_is_refused() -> None:
    settings = DaemonSettings(keep_s=HOUR, result_expires_s=2.0 * HOUR)
    task = a_task("a", command=None, function="shop:f", result_expires="3h")

    assert [fault.path for fault in retention_faults(settings, [task])] == [
        ("daemon", "result_expires"),
        ("tasks", "a", "result_expires"),
    ]
