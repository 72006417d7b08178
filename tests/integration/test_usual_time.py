"""Time limits that are a share of the usual time: what is counted, and that a claim goes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.clock import SECOND
from jobctl.dispatcher.run_times import RunTimes
from jobctl.result import Verdict
from jobctl.store.database import Database, open_database
from jobctl.task.usual import LEAST_SAMPLES, MOST_SAMPLES
from tests.support.builders import a_job, a_plan, a_task
from tests.support.daemon import running_daemon
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASK = a_task("report", timeout="300%")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "jobctl.db")
    yield opened
    opened.close()


def attempt(
    dispatching: Dispatching, span_s: float = 10, verdict: Verdict = Verdict.SUCCESS
) -> float | None:
    """Make one attempt that takes so long; its limit."""
    made = dispatching.begin(a_job(task="report"))
    now = dispatching.clock.now()
    finished_at = now + round(span_s * SECOND)
    dispatching.end(made, verdict, started_at=now, finished_at=finished_at)
    return made.timeout_s


def test_there_is_no_limit_before_enough_attempts_have_succeeded(
    database: Database, tmp_path: Path
) -> None:
    dispatching = Dispatching(database, tmp_path, a_plan(tasks=[TASK]))

    limits = [attempt(dispatching) for _ in range(LEAST_SAMPLES + 1)]

    assert limits == [None] * LEAST_SAMPLES + [30.0]


def test_only_success_is_usual(database: Database, tmp_path: Path) -> None:
    dispatching = Dispatching(database, tmp_path, a_plan(tasks=[TASK]))
    for _ in range(LEAST_SAMPLES):
        attempt(dispatching, verdict=Verdict.FAILURE)
        attempt(dispatching, 2)

    assert attempt(dispatching) == 6.0


def test_the_median_goes_with_the_last_attempts(database: Database, tmp_path: Path) -> None:
    dispatching = Dispatching(database, tmp_path, a_plan(tasks=[TASK]))
    for _ in range(MOST_SAMPLES):
        attempt(dispatching, 2)
    attempt(dispatching, 1000)
    assert attempt(dispatching, 20) == 6.0
    for _ in range(MOST_SAMPLES):
        attempt(dispatching, 20)

    assert attempt(dispatching) == 60.0


def test_what_is_usual_is_known_after_a_restart(database: Database, tmp_path: Path) -> None:
    dispatching = Dispatching(database, tmp_path, a_plan(tasks=[TASK]))
    for _ in range(LEAST_SAMPLES):
        attempt(dispatching)
    dispatching.start(a_plan(tasks=[TASK]))

    assert attempt(dispatching) == 30.0


def test_a_transaction_that_is_refused_leaves_no_run_time(database: Database) -> None:
    times = RunTimes(database)
    for _ in range(LEAST_SAMPLES):
        database.begin()
        times.note(TASK, 5)
        database.rollback()
        times.refresh()

    assert times.limit_s(TASK) is None


def test_an_override_is_stronger(database: Database, tmp_path: Path) -> None:
    dispatching = Dispatching(database, tmp_path, a_plan(tasks=[TASK]))
    for _ in range(LEAST_SAMPLES):
        attempt(dispatching)

    assert dispatching.begin(a_job(task="report", overrides='{"timeout_s":7}')).timeout_s == 7


def test_an_attempt_that_takes_unusually_long_is_stopped() -> None:
    config = """
    [tasks.report]
    shell = "[ $1 = quick ] || exec sleep 1000"
    timeout = "300%"
    """
    with running_daemon(config) as daemon:
        for _ in range(LEAST_SAMPLES):
            daemon.ended(daemon.submit(task="report", args=["quick"]))

        job = daemon.ended(daemon.submit(task="report", args=["slow"]))

        assert job["attempts"][0]["outcome"] == "timeout"
        assert job["reason"] == "timed out"
