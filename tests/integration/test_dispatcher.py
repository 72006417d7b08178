"""The dispatcher over a real store: claims, ends, limits, places; also after a turn that was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.engine.base import Settled
from jobctl.plan import Queue, WorkerGroup
from jobctl.result import Verdict
from jobctl.store import attempts as attempt_rows
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from tests.support.builders import a_job, a_plan, a_task, an_outcome
from tests.support.clock import START
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Dispatching]:
    database = open_database(tmp_path / "jobctl.db")
    yield Dispatching(database, tmp_path)
    database.close()


def with_task(**keys: Any) -> Any:
    return a_plan(tasks=[a_task(**keys)])


# -- claims -----------------------------------------------------------------------------------------


def test_a_job_is_claimed_once_and_started_after_its_commit(bench: Dispatching) -> None:
    bench.submit(a_job(id=1))

    bench.turn()
    bench.turn()

    assert [attempt.job_id for attempt in bench.engine.started["k1"]] == [1]
    assert bench.job(1)["state"] == "STARTED"


def test_a_refused_turn_starts_nothing_and_the_next_one_starts_it(bench: Dispatching) -> None:
    bench.submit(a_job(id=1))

    bench.spoil()

    assert bench.engine.started == {}
    assert bench.job(1)["state"] == "PENDING"
    bench.turn()
    assert [attempt.job_id for attempt in bench.engine.started["k1"]] == [1]


def test_the_highest_priority_goes_first_over_all_queues(bench: Dispatching) -> None:
    bench.engine.room = {("k1", "command"): 1, ("k2", "command"): 1}

    bench.submit(a_job(id=1, queue="a"), a_job(id=2, queue="b", priority=9), a_job(id=3))
    bench.turn()

    assert [bench.job(n)["state"] for n in (1, 2, 3)] == ["STARTED", "STARTED", "PENDING"]


def test_a_paused_queue_gives_nothing_until_it_goes_on(bench: Dispatching) -> None:
    bench.dispatcher.note_pause("default", is_paused=True)
    bench.submit(a_job(id=1))
    bench.turn()
    assert bench.engine.started == {}

    bench.dispatcher.note_pause("default", is_paused=False)
    bench.turn()

    assert bench.job(1)["state"] == "STARTED"


def test_a_queue_runs_no_more_than_its_concurrency_also_after_a_restart(
    bench: Dispatching,
) -> None:
    plan = a_plan(queues=[Queue(name="default", concurrency=2)])
    bench.take(plan)
    bench.engine.room = {(f"k{n}", "command"): 1 for n in range(5)}
    bench.submit(*(a_job(id=n) for n in range(1, 6)))
    bench.turn()
    bench.start(plan)

    bench.turns()

    assert len(job_rows.started(bench.database)) == 2


def test_a_draining_dispatcher_claims_nothing(bench: Dispatching) -> None:
    bench.dispatcher.drain()
    bench.submit(a_job(id=1))

    bench.turn()

    assert bench.job(1)["state"] == "PENDING"


def test_jobs_without_a_slot_make_the_engine_want_one(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1))

    bench.turn()

    assert bench.engine.wanted == [("command", "default")]


# -- time -------------------------------------------------------------------------------------------


def test_a_job_waits_for_its_eta_and_not_longer(bench: Dispatching) -> None:
    eta = START + 10 * SECOND
    bench.submit(a_job(id=1, eta=eta, line="eta"))
    bench.clock.advance(9.999999)
    bench.turn()
    assert bench.job(1)["state"] == "PENDING"
    assert bench.dispatcher.next_due() == eta

    bench.clock.advance(0.000001)
    bench.turn()

    assert bench.job(1)["state"] == "STARTED"
    assert bench.dispatcher.next_due() is None


def test_an_expired_job_never_starts(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1, expires_at=START + SECOND))
    bench.clock.advance(1)
    bench.engine.room = {("k1", "command"): 1}

    effects = bench.turn()

    assert (bench.job(1)["state"], bench.job(1)["reason"]) == ("REVOKED", "expired")
    assert effects.ended == [1]
    assert bench.engine.started == {}


def test_a_job_that_had_an_attempt_expires_no_more(bench: Dispatching) -> None:
    """Whatever else expires meanwhile, and also when a daemon reads everything anew."""
    bench.take(a_plan(tasks=[a_task(retries=1, retry_delay="1h", retry_jitter=False)]))
    attempt = bench.begin(a_job(expires_at=START + SECOND))
    bench.engine.room = {}
    bench.submit(a_job(id=999_999, expires_at=START + 2 * SECOND))
    bench.end(attempt, Verdict.FAILURE)
    bench.dispatcher.refresh()
    bench.clock.advance(2.0)

    bench.turn()

    assert bench.job(999_999)["state"] == "REVOKED"
    assert bench.job(attempt.job_id)["state"] == "RETRY"


def test_a_job_that_was_given_back_expires(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(expires_at=START + SECOND))
    bench.submit(a_job(id=999_999, expires_at=START + SECOND // 2))
    bench.engine.room = {}
    bench.clock.advance(0.6)
    # The other one expires: nobody waits for the moment of a job that is with a worker.
    bench.turn()
    bench.end(attempt, Verdict.RELEASED)
    bench.clock.advance(1.0)

    assert bench.dispatcher.is_due(bench.clock.now())
    bench.turn()

    assert bench.job(attempt.job_id)["reason"] == "expired"


def test_of_thousands_that_expire_at_once_none_starts(bench: Dispatching) -> None:
    bench.submit(*(a_job(id=n, expires_at=START + SECOND) for n in range(1, 2501)))
    bench.clock.advance(1)

    for _ in range(4):
        bench.turn()

    assert bench.engine.started == {}
    assert bench.dispatcher.next_due() is None


# -- ends -------------------------------------------------------------------------------------------


def test_a_success_ends_the_job_with_its_attempt(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))

    effects = bench.end(attempt)

    assert bench.job(1)["state"] == "SUCCESS"
    assert [row["verdict"] for row in attempt_rows.of_job(bench.database, 1)] == ["success"]
    assert effects.ended == [1]
    assert len(bench.engine.acknowledged) == 1


def test_a_failure_with_retries_left_waits_and_runs_again(bench: Dispatching) -> None:
    bench.take(with_task(retries=1, retry_delay="10s", retry_jitter=False))
    first = bench.begin(a_job(id=1))
    bench.end(first, Verdict.FAILURE)
    assert bench.job(1)["state"] == "RETRY"

    bench.clock.advance(10)
    bench.turn()
    second = bench.engine.started["k1"][-1]
    bench.end(second, Verdict.FAILURE)

    assert (second.number, bench.job(1)["state"]) == (2, "FAILURE")
    assert first.token != second.token


def test_a_loss_of_an_at_most_once_job_is_the_end(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))

    bench.end(attempt, Verdict.LOST, exit_code=None)

    assert (bench.job(1)["state"], bench.job(1)["reason"]) == ("FAILURE", "lost")


def test_a_job_that_is_lost_each_time_ends_after_max_lost(bench: Dispatching) -> None:
    bench.take(with_task(on_lost="retry", max_lost=3, retries=5))
    bench.submit(a_job(id=1))

    for _ in range(3):
        bench.clock.advance(3600)
        bench.turn()
        bench.end(bench.engine.started["k1"][-1], Verdict.LOST, exit_code=None)

    assert bench.job(1)["state"] == "FAILURE"
    assert bench.job(1)["failures"] == 0
    assert len(bench.engine.started["k1"]) == 3


def test_a_released_attempt_leaves_no_trace(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))
    bench.engine.room = {}

    bench.end(attempt, Verdict.RELEASED)

    assert (bench.job(1)["state"], bench.job(1)["number"]) == ("PENDING", 0)
    assert attempt_rows.of_job(bench.database, 1) == []


def test_an_outcome_that_is_told_twice_counts_once(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))
    bench.end(attempt)

    effects = bench.end(attempt)

    assert effects.ended == []
    (row,) = attempt_rows.of_job(bench.database, 1)
    assert row["late"] is None


def test_the_result_of_a_stale_token_is_recorded_and_refused(bench: Dispatching) -> None:
    """An attempt was taken for lost, ran on all the same, and succeeded."""
    bench.take(with_task(on_lost="retry"))
    attempt = bench.begin(a_job(id=1))
    bench.end(attempt, Verdict.LOST, exit_code=None)

    bench.end(attempt, Verdict.SUCCESS)

    assert bench.job(1)["state"] == "RETRY"
    (row,) = attempt_rows.of_job(bench.database, 1)
    assert row["verdict"] == "lost"
    assert '"success"' in row["late"]


def test_a_refused_settlement_is_settled_when_it_is_told_again(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))
    event = Settled("k1", outcomes=[an_outcome(attempt)])

    bench.spoil(event)

    assert bench.job(1)["state"] == "STARTED"
    bench.turn(event)
    assert bench.job(1)["state"] == "SUCCESS"


# -- cancel -----------------------------------------------------------------------------------------


def cancel(bench: Dispatching, id: int) -> str:
    with bench.database.transaction():
        return bench.dispatcher.cancel(id, bench.clock.now())


def test_a_waiting_job_is_cancelled_at_once(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1))

    assert cancel(bench, 1) == "ended"
    assert bench.job(1)["state"] == "REVOKED"


def test_a_running_job_is_stopped_and_ends_with_its_attempt(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))

    assert cancel(bench, 1) == "stopping"
    bench.turn()

    assert bench.engine.stopped == [("k1", attempt.token, "cancelled")]
    bench.end(attempt, Verdict.CANCELLED)
    assert bench.job(1)["state"] == "REVOKED"
    assert cancel(bench, 1) == "final"


def test_a_job_that_succeeds_before_the_stop_reaches_it_has_succeeded(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))
    cancel(bench, 1)

    bench.end(attempt, Verdict.SUCCESS)

    assert bench.job(1)["state"] == "SUCCESS"


def test_a_job_that_fails_while_it_is_cancelled_is_not_tried_again(bench: Dispatching) -> None:
    bench.take(with_task(retries=5))
    attempt = bench.begin(a_job(id=1))
    cancel(bench, 1)

    bench.end(attempt, Verdict.FAILURE)

    assert bench.job(1)["state"] == "REVOKED"


def test_a_cancel_is_carried_out_by_the_next_daemon_too(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))
    cancel(bench, 1)

    bench.start(a_plan())

    assert bench.engine.stopped == [("k1", attempt.token, "cancelled")]
    assert [held.job_id for held in bench.engine.adopted["k1"]] == [1]


# -- places -----------------------------------------------------------------------------------------


def test_a_job_without_its_task_is_put_aside_and_the_next_one_starts(bench: Dispatching) -> None:
    bench.submit(a_job(id=1, task="gone"), a_job(id=2, task="gone"), a_job(id=3))

    bench.turns()

    assert [bench.job(n)["line"] for n in (1, 2)] == ["task/gone"] * 2
    assert bench.job(1)["reason"] == "no such task"
    assert bench.job(3)["state"] == "STARTED"


def test_jobs_come_back_with_their_task(bench: Dispatching) -> None:
    bench.engine.room = {(f"k{n}", "command"): 1 for n in range(9)}
    bench.submit(*(a_job(id=n, task="later") for n in range(1, 4)))
    bench.turns()

    bench.take(a_plan(tasks=[a_task("later")]))
    bench.turns()

    assert {bench.job(n)["state"] for n in (1, 2, 3)} == {"STARTED"}


GROUPS = (WorkerGroup(name="other", queues=("new",)), WorkerGroup(name="default"))


def moved() -> Any:
    return a_plan(tasks=[a_task(queue="new")], groups=GROUPS)


def test_jobs_follow_their_task_in_slices_whatever_their_priority(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(*(a_job(id=n, priority=n % 3, task="backup") for n in range(1, 1601)))

    bench.take(moved())
    bench.turns()

    lines = job_rows.count_lines(bench.database)
    assert lines == {"c/new": 1600}


def test_a_queue_that_the_submitter_chose_is_kept(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1, overrides='{"queue":"default"}'), a_job(id=2, task=None))

    bench.take(moved())
    bench.turns()

    assert [bench.job(n)["line"] for n in (1, 2)] == ["c/default"] * 2


@pytest.mark.parametrize("how", ["ripened", "released", "renewed"])
def test_a_job_that_comes_to_its_line_later_is_placed_by_the_plan_of_then(
    bench: Dispatching, how: str
) -> None:
    ripens: dict[str, Any] = {"eta": START + SECOND, "line": "eta"} if how == "ripened" else {}
    bench.submit(a_job(id=1, **ripens))
    bench.turn()
    if how == "renewed":
        bench.end(bench.engine.started["k1"][0])
    bench.engine.room = {}
    bench.take(moved())
    bench.turns()

    bench.clock.advance(1)
    match how:
        case "released":
            bench.end(bench.engine.started["k1"][0], Verdict.RELEASED)
        case "renewed":
            with bench.database.transaction():
                standing = job_rows.renew(bench.database, id=1)
                assert standing is not None
                bench.dispatcher.note_standing(standing)
        case _:
            bench.turn()

    assert (bench.job(1)["line"], bench.job(1)["queue"]) == ("c/new", "new")


def test_a_walk_whose_slice_was_refused_is_begun_again(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(*(a_job(id=n) for n in range(1, 1201)))
    bench.take(moved())

    bench.spoil()
    bench.turns()

    assert job_rows.count_lines(bench.database) == {"c/new": 1200}


def test_a_walk_that_a_kill_cut_short_is_begun_again_by_the_next_daemon(
    bench: Dispatching,
) -> None:
    bench.engine.room = {}
    bench.submit(*(a_job(id=n) for n in range(1, 1201)))
    bench.take(moved())
    bench.turn()

    bench.start(moved())
    bench.turns()

    assert job_rows.count_lines(bench.database) == {"c/new": 1200}


def test_a_plan_that_moves_nothing_walks_nowhere(bench: Dispatching) -> None:
    bench.turns()

    bench.take(with_task(retries=3))

    assert not bench.dispatcher.has_chores


def test_a_plan_that_leaves_more_room_is_followed_by_a_turn(bench: Dispatching) -> None:
    bench.take(a_plan(queues=[Queue(name="default", concurrency=1)]))
    bench.submit(a_job(id=1), a_job(id=2))
    bench.turns()

    bench.take(a_plan(queues=[Queue(name="default", concurrency=2)]))

    assert bench.dispatcher.has_chores
    bench.turns()
    assert bench.job(2)["state"] == "STARTED"
    assert not bench.dispatcher.has_chores


# -- what waits for an earlier job of its schedule --------------------------------------------------


def test_a_job_that_waits_is_let_go_in_the_turn_that_ends_the_earlier_one(
    bench: Dispatching,
) -> None:
    attempt = bench.begin(a_job(id=1, schedule=7))
    bench.submit(a_job(id=2, schedule=7, line="schedule/7"))
    bench.turn()
    assert bench.job(2)["line"] == "schedule/7"

    bench.end(attempt)

    assert bench.job(2)["state"] == "STARTED"


def test_a_job_that_waits_is_let_go_when_the_earlier_one_is_cancelled(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.submit(a_job(id=1, schedule=7), a_job(id=2, schedule=7, line="schedule/7"))
    bench.turn()

    with bench.database.transaction():
        bench.dispatcher.cancel(1, START)
        bench.dispatcher.advance(START)

    assert bench.job(2)["line"] == "c/default"


def test_a_retry_of_the_earlier_job_keeps_the_other_waiting(bench: Dispatching) -> None:
    bench.take(with_task(retries=1))
    attempt = bench.begin(a_job(id=1, schedule=7))
    bench.submit(a_job(id=2, schedule=7, line="schedule/7"))

    bench.end(attempt, Verdict.FAILURE)

    assert bench.job(2)["line"] == "schedule/7"


def test_a_refused_end_lets_nothing_go_and_nothing_is_forgotten(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1, schedule=7))
    bench.submit(a_job(id=2, schedule=7, line="schedule/7"))
    bench.turn()

    bench.spoil(Settled("k1", outcomes=[an_outcome(attempt)]))

    assert bench.job(2)["line"] == "schedule/7"
    bench.end(attempt)
    assert bench.job(2)["state"] == "STARTED"
