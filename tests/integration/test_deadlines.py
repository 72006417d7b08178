"""Deadlines: over a real store, what may still start; with a real daemon, what is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.dispatcher.dispatcher import RIPEN_LIMIT
from jobctl.errors import UsageError
from jobctl.job import Reason
from jobctl.protocol import requests
from jobctl.result import Verdict
from jobctl.store.database import open_database
from tests.support.builders import a_job, a_plan, a_task
from tests.support.clock import START
from tests.support.configurations import functions
from tests.support.daemon import Daemon, running_daemon
from tests.support.dispatching import Dispatching
from tests.support.processes import is_running, pids_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = START + 10 * SECOND


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Dispatching]:
    database = open_database(tmp_path / "jobctl.db")
    yield Dispatching(database, tmp_path)
    database.close()


def end_of(bench: Dispatching, job: int) -> tuple[str, str | None]:
    row = bench.job(job)
    return row["state"], row["reason"]


PASSED = Reason.DEADLINE.value


# -- what may start ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", [{}, {"line": "eta", "eta": START + 9 * SECOND}, {"line": "after"}]
)
def test_a_job_that_waits_is_revoked_at_its_deadline_and_not_before(
    bench: Dispatching, place: dict[str, Any]
) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1, deadline_at=DEADLINE, **place))
    bench.clock.advance(9.999999)
    bench.turn()
    assert bench.job(1)["state"] == "PENDING"
    assert bench.dispatcher.next_due() == DEADLINE

    bench.clock.advance(0.000001)
    effects = bench.turn()

    assert end_of(bench, 1) == ("REVOKED", PASSED)
    assert effects.ended == [1]
    assert bench.dispatcher.next_due() is None


def test_a_deadline_that_passed_while_no_daemon_ran_ends_the_job_before_it_can_start(
    bench: Dispatching,
) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1, deadline_at=DEADLINE))
    bench.clock.advance(3600)
    bench.engine.room = {("k1", "command"): 1}

    bench.start(a_plan())
    bench.turn()

    assert end_of(bench, 1) == ("REVOKED", PASSED)
    assert bench.engine.started == {}


def test_none_starts_while_more_are_too_late_than_one_turn_ends(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(*(a_job(id=n, deadline_at=DEADLINE) for n in range(1, RIPEN_LIMIT + 2)))
    bench.clock.advance(10)
    bench.engine.room = {("k1", "command"): 1}

    bench.turn()
    bench.turn()

    assert bench.engine.started == {}
    assert end_of(bench, RIPEN_LIMIT + 1) == ("REVOKED", PASSED)


@pytest.mark.parametrize(("timeout", "limit_s"), [({}, 6.0), ({"timeout": "2s"}, 2.0)])
def test_an_attempt_may_take_no_longer_than_is_left(
    bench: Dispatching, timeout: dict[str, str], limit_s: float
) -> None:
    bench.take(a_plan(tasks=[a_task(**timeout)]))
    bench.clock.advance(4)

    attempt = bench.begin(a_job(deadline_at=DEADLINE))

    assert attempt.timeout_s == limit_s
    assert attempt.order is not None
    assert attempt.order["timeout_s"] == limit_s


def test_a_retry_that_waits_is_ended_at_the_deadline_too(bench: Dispatching) -> None:
    rule: dict[str, Any] = {"retries": 5, "retry_delay": "4s", "retry_backoff": False}
    bench.take(a_plan(tasks=[a_task(**rule, retry_jitter=False)]))
    attempt = bench.begin(a_job(deadline_at=DEADLINE))
    bench.end(attempt, Verdict.FAILURE)
    assert bench.job(attempt.job_id)["state"] == "RETRY"
    bench.engine.room = {}

    # At 4 s it is ready, and nobody has room for it.
    bench.clock.advance(4)
    bench.turn()
    bench.clock.advance(6)
    bench.turn()

    assert end_of(bench, attempt.job_id) == ("REVOKED", PASSED)


def test_a_job_that_was_given_back_is_ended_at_its_deadline(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(deadline_at=DEADLINE))
    bench.submit(a_job(id=999_999, deadline_at=START + SECOND))
    bench.clock.advance(1)
    # The deadline of the other one passes: that of a job that runs is not waited for.
    bench.turn()
    assert bench.dispatcher.next_due() is None
    bench.engine.room = {}
    bench.end(attempt, Verdict.RELEASED)

    assert bench.dispatcher.next_due() == DEADLINE


# -- what is stopped --------------------------------------------------------------------------------

TASKS = """
[tasks.hang]
shell = 'echo $$ >> "$1"; trap "echo told" TERM; while :; do sleep 0.05; done'
deadline = "1s"
retries = 5
retry_delay = 0
stop = "TERM,0.1s,KILL"
[tasks.once]
command = ["true"]
deadline = "1h"
"""


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_command_is_stopped_by_its_sequence_at_the_deadline_and_not_tried_again(
    is_killed: bool,
) -> None:
    with running_daemon(TASKS) as daemon:
        began = daemon.folder / "began"
        job = daemon.submit(task="hang", args=[str(began)])
        daemon.until("the command to run", lambda: began.exists() and pids_in(began))
        (pid,) = pids_in(began)
        if is_killed:
            daemon.kill()
            daemon.until("the command to be stopped", lambda: not is_running(pid))
            daemon.start()

        ended = daemon.ended(job)

        (attempt,) = ended["attempts"]
        assert (ended["state"], ended["reason"]) == ("FAILURE", PASSED)
        assert (attempt["outcome"], attempt["signal"]) == ("timeout", 9)
        assert daemon.output(job).endswith("told\n")
        assert ended["deadline_at"] == ended["submitted_at"] + SECOND
        assert attempt["finished_at"] >= ended["deadline_at"]


def test_a_function_is_ended_at_its_deadline() -> None:
    with running_daemon(functions({"hold": "retries = 3"})) as daemon:
        job = daemon.submit(
            task="hold",
            typed=True,
            args=[str(daemon.folder / "began"), str(daemon.folder / "go")],
            deadline_s=0.5,
        )

        ended = daemon.ended(job)

        assert (ended["state"], ended["reason"]) == ("FAILURE", PASSED)
        assert [attempt["outcome"] for attempt in ended["attempts"]] == ["timeout"]


def test_a_fresh_round_has_as_long_as_the_first_one() -> None:
    with running_daemon(TASKS) as daemon:
        job = daemon.submit(task="once", deadline_s=100.5)
        first = daemon.ended(job)

        daemon.call(requests.Retry(job=job))
        again = daemon.ended(job)

        spent = again["attempts"][1]["started_at"] - first["submitted_at"]
        assert 0 < again["deadline_at"] - first["deadline_at"] <= spent


@pytest.mark.parametrize(
    "options", [{"deadline_s": 0.0}, {"deadline_s": -1.0}, {"delay_s": 3600.0}], ids=str
)
def test_a_deadline_that_leaves_no_time_is_refused(plain: Daemon, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="deadline"):
        plain.submit(task="once", **options)


@pytest.fixture(scope="module")
def plain() -> Iterator[Daemon]:
    with running_daemon(TASKS) as daemon:
        yield daemon
