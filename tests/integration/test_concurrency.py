"""Limits of tasks and keys over a real store: who may run, who is next, what a new plan changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.dispatcher.gates import SLICE
from jobctl.result import Verdict
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from tests.support.builders import a_plan, a_queue, a_task
from tests.support.clock import START
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.plan import Plan


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Dispatching]:
    database = open_database(tmp_path / "jobctl.db")
    dispatching = Dispatching(database, tmp_path)
    dispatching.engine.room = {(f"k{n}", "command"): 1 for n in range(4)}
    yield dispatching
    database.close()


def keyed(per_key: int = 1, **keys: Any) -> Plan:
    task = a_task("sync", concurrency_key="{1}", concurrency_per_key=per_key, **keys)
    return a_plan(tasks=[task, a_task("other")])


def end(bench: Dispatching, job: int, verdict: Verdict = Verdict.SUCCESS, **others: Any) -> None:
    (attempt,) = [
        attempt
        for attempts in bench.engine.started.values()
        for attempt in attempts
        if attempt.job_id == job and attempt.number == bench.job(job)["number"]
    ]
    bench.end(attempt, verdict, **others)


# -- per task ---------------------------------------------------------------------------------------


def test_a_task_runs_no_more_than_its_concurrency_whatever_the_queue(bench: Dispatching) -> None:
    bench.take(a_plan(tasks=[a_task("one", concurrency=2), a_task("other")]))
    jobs = [bench.ask("one", queue=queue) for queue in ("default", "q2", "q3", "default")]
    other = bench.ask("other")

    bench.settle()

    assert bench.running() == [*jobs[:2], other]
    end(bench, jobs[0])
    assert bench.running() == [jobs[1], jobs[2], other]


def test_the_limit_of_a_task_holds_in_the_next_daemon(bench: Dispatching) -> None:
    plan = a_plan(tasks=[a_task("one", concurrency=1)])
    bench.take(plan)
    first, _ = bench.ask("one"), bench.ask("one")
    bench.settle()

    bench.start(plan)
    bench.settle()

    assert bench.running() == [first]


def test_jobs_that_were_submitted_before_a_renaming_count(bench: Dispatching) -> None:
    bench.take(a_plan(tasks=[a_task("old", concurrency=1)]))
    first = bench.ask("old")
    bench.settle()

    bench.take(a_plan(tasks=[a_task("new", concurrency=1, aliases=["old"])]))
    bench.ask("new")
    bench.settle()

    assert bench.running() == [first]


def test_a_limit_that_is_new_holds_for_jobs_that_wait_already(bench: Dispatching) -> None:
    for _ in range(1200):
        bench.ask("backup")

    bench.take(a_plan(tasks=[a_task(concurrency=3)]))
    bench.settle()

    assert len(bench.running()) == 3
    assert job_rows.count_lines(bench.database)["c/default/backup"] == 1197


def test_a_limit_that_is_removed_holds_nobody_back(bench: Dispatching) -> None:
    bench.take(a_plan(tasks=[a_task(concurrency=1)]))
    jobs = [bench.ask("backup") for _ in range(5)]
    bench.settle()

    bench.take(a_plan())
    bench.settle()

    assert bench.running() == jobs


def test_a_task_at_its_limit_wants_no_worker_and_says_why(bench: Dispatching) -> None:
    bench.take(a_plan(tasks=[a_task("one", concurrency=1)]))
    bench.ask("one")
    bench.settle()
    bench.engine.room = {}
    bench.engine.wanted.clear()
    bench.ask("one")

    bench.settle()

    assert bench.engine.wanted == []
    assert "concurrency" in str(bench.dispatcher.holds_back("c/default/one"))


# -- per key ----------------------------------------------------------------------------------------


def test_jobs_with_one_key_run_one_after_the_other_and_other_keys_beside(
    bench: Dispatching,
) -> None:
    bench.take(keyed())
    a1, a2, b1 = bench.ask("sync", "a"), bench.ask("sync", "a"), bench.ask("sync", "b")

    bench.settle()
    assert bench.running() == [a1, b1]
    end(bench, a1)

    assert bench.running() == [a2, b1]


def test_a_job_that_waits_for_its_key_is_in_no_line_that_a_claim_reads(bench: Dispatching) -> None:
    bench.take(keyed())
    for _ in range(5):
        bench.ask("sync", "a")
    bench.engine.room = {}

    bench.settle()

    assert job_rows.count_lines(bench.database) == {"c/default": 1, "gate": 4}


@pytest.mark.parametrize("how", ["failed", "lost", "released", "cancelled", "expired", "retried"])
def test_however_a_job_leaves_its_gate_the_next_one_comes_in(bench: Dispatching, how: str) -> None:
    bench.take(keyed(retries=1, retry_delay="1h", on_lost="retry"))
    expires: dict[str, Any] = {"expires_at": START + SECOND} if how == "expired" else {}
    first = bench.ask("sync", "a", **expires)
    if how in ("expired", "cancelled"):
        bench.engine.room = {}
    bench.settle()
    second = bench.ask("sync", "a", priority=1 if how == "released" else 0)
    bench.settle()

    match how:
        case "cancelled":
            with bench.database.transaction():
                bench.dispatcher.cancel(first, START)
        case "expired":
            bench.clock.advance(1)
        case "released":
            end(bench, first, Verdict.RELEASED)
        case "lost":
            end(bench, first, Verdict.LOST, exit_code=None)
        case _:
            end(bench, first, Verdict.FAILURE)
    bench.engine.room = {("k1", "command"): 1}
    bench.settle()

    assert bench.running() == [second]


def test_a_job_that_comes_back_for_another_attempt_waits_for_its_key(bench: Dispatching) -> None:
    bench.take(keyed(retries=1, retry_delay="10s", retry_jitter=False))
    first, second = bench.ask("sync", "a"), bench.ask("sync", "a")
    bench.settle()
    end(bench, first, Verdict.FAILURE)
    assert bench.running() == [second]

    bench.clock.advance(10)
    bench.settle()
    assert bench.running() == [second]
    assert bench.job(first)["state"] == "RETRY"
    end(bench, second)

    assert bench.running() == [first]


def test_a_fresh_round_of_a_job_waits_for_its_key(bench: Dispatching) -> None:
    bench.take(keyed())
    first, second = bench.ask("sync", "a"), bench.ask("sync", "a")
    bench.settle()
    end(bench, first)

    with bench.database.transaction():
        renewed = job_rows.renew(bench.database, id=first)
        assert renewed is not None
        bench.dispatcher.note_standing(renewed)
    bench.settle()

    assert bench.running() == [second]


def test_a_job_with_a_higher_priority_goes_before_one_that_was_let_in(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.take(keyed())
    low = bench.ask("sync", "a")
    bench.settle()
    high = bench.ask("sync", "a", priority=5)
    bench.settle()

    bench.engine.room = {("k1", "command"): 1}
    bench.settle()

    assert bench.running() == [high]
    assert bench.job(low)["line"] == "gate/sync/a"


def test_a_key_may_let_several_run(bench: Dispatching) -> None:
    bench.take(keyed(per_key=3))
    jobs = [bench.ask("sync", "a") for _ in range(5)]

    bench.settle()
    assert bench.running() == jobs[:3]
    end(bench, jobs[1])

    assert bench.running() == [jobs[0], jobs[2], jobs[3]]


def test_key_and_task_limit_together(bench: Dispatching) -> None:
    bench.take(keyed(per_key=2, concurrency=3))
    jobs = [bench.ask("sync", key) for key in "aaabbb"]

    bench.settle()

    assert bench.running() == [jobs[0], jobs[1], jobs[3]]


def test_a_paused_queue_keeps_its_job_out_and_the_key_for_it(bench: Dispatching) -> None:
    """What waits is let in by priority and age alone: a pause holds the key, and says so."""
    bench.take(keyed())
    bench.dispatcher.note_pause("q2", is_paused=True)
    first = bench.ask("sync", "a", queue="q2", overrides='{"queue":"q2"}')
    bench.ask("sync", "a")

    bench.settle()

    assert bench.running() == []
    bench.dispatcher.note_pause("q2", is_paused=False)
    bench.settle()
    assert bench.running() == [first]


# -- a new plan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_another_limit_per_key_holds_at_once(bench: Dispatching, before: int, after: int) -> None:
    bench.engine.room = {}
    bench.take(keyed(per_key=before))
    jobs = [bench.ask("sync", "a") for _ in range(5)]
    bench.settle()

    bench.take(keyed(per_key=after))
    bench.engine.room = {("k1", "command"): 1}
    bench.settle()

    assert bench.running() == jobs[:after]


def test_a_key_that_is_new_holds_for_those_that_wait_and_those_that_run(bench: Dispatching) -> None:
    bench.take(a_plan(tasks=[a_task("sync")]))
    bench.engine.room = {("k1", "command"): 1}
    running = bench.ask("sync", "k0")
    bench.turn()
    jobs = [bench.ask("sync", f"k{n % 2}") for n in range(1200)]

    bench.take(keyed())
    bench.settle()

    assert bench.running() == [running, jobs[1]]


def test_a_key_that_is_removed_holds_nobody_back(bench: Dispatching) -> None:
    bench.take(keyed())
    jobs = [bench.ask("sync", f"k{n % 3}") for n in range(30)]
    bench.settle()

    bench.take(a_plan(tasks=[a_task("sync")]))
    bench.settle()

    assert bench.running() == jobs


def test_another_key_is_another_limit(bench: Dispatching) -> None:
    bench.take(keyed())
    jobs = [bench.ask("sync", "a", f"region-{n % 2}") for n in range(6)]
    bench.settle()
    assert bench.running() == jobs[:1]

    bench.take(a_plan(tasks=[a_task("sync", concurrency_key="{2}")]))
    bench.settle()

    assert bench.running() == jobs[:2]


def test_jobs_that_lack_the_argument_of_a_new_key_share_one(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.take(a_plan(tasks=[a_task("sync")]))
    jobs = [bench.ask("sync") for _ in range(3)]
    bench.settle()

    bench.take(keyed())
    bench.engine.room = {("k1", "command"): 1}
    bench.settle()

    assert bench.running() == jobs[:1]


def test_a_renamed_task_keeps_its_keys(bench: Dispatching) -> None:
    bench.take(keyed())
    first, second = bench.ask("sync", "a"), bench.ask("sync", "a")
    bench.settle()

    bench.take(a_plan(tasks=[a_task("sync2", concurrency_key="{1}", aliases=["sync"])]))
    bench.settle()
    assert bench.running() == [first]
    end(bench, first)

    assert bench.running() == [second]


def test_a_task_that_goes_and_comes_back_keeps_its_keys(bench: Dispatching) -> None:
    bench.take(keyed())
    first, second = bench.ask("sync", "a"), bench.ask("sync", "a")
    bench.settle()
    bench.take(a_plan(tasks=[a_task("other")]))
    bench.settle()
    assert bench.job(second)["line"] == "task/sync"

    bench.take(keyed())
    bench.settle()
    assert bench.running() == [first]
    end(bench, first)

    assert bench.running() == [second]


# -- crashes ----------------------------------------------------------------------------------------


def test_a_refused_end_lets_nobody_in_and_nothing_is_forgotten(bench: Dispatching) -> None:
    from jobctl.engine.base import Settled
    from tests.support.builders import an_outcome

    bench.take(keyed())
    first, second = bench.ask("sync", "a"), bench.ask("sync", "a")
    bench.settle()
    (attempt,) = [a for list_ in bench.engine.started.values() for a in list_ if a.job_id == first]
    event = Settled("k0", outcomes=[an_outcome(attempt)])

    bench.spoil(event)
    bench.settle()
    assert bench.running() == [first]
    bench.turn(event)

    assert bench.running() == [second]


def test_jobs_that_a_killed_daemon_left_at_their_gates_are_let_in(bench: Dispatching) -> None:
    """It was killed after the submit was stored and before the gates were looked at."""
    plan = keyed()
    bench.take(plan)
    bench.engine.room = {("k1", "command"): 1}
    jobs = [bench.ask("sync", f"k{n}") for n in range(2 * SLICE + 50)]

    bench.start(plan)
    bench.settle()

    assert bench.running() == jobs


def test_a_job_that_cannot_run_any_more_does_not_keep_the_next_one_out(bench: Dispatching) -> None:
    """Found at its claim: the task's command needs an argument now that the job has not."""
    bench.engine.room = {}
    bench.take(keyed())
    first, second = bench.ask("sync", "a"), bench.ask("sync", "a", "b")
    bench.settle()

    bench.take(keyed(command=["echo", "{1}", "{2}"]))
    bench.engine.room = {("k1", "command"): 1}
    bench.settle()

    assert bench.job(first)["state"] == "FAILURE"
    assert bench.running() == [second]


def test_limits_of_a_queue_and_of_a_task_hold_together(bench: Dispatching) -> None:
    task = a_task("one", concurrency=2)
    bench.take(a_plan(tasks=[task, a_task("two")], queues=[a_queue(concurrency=3)]))
    jobs = [bench.ask("one") for _ in range(3)] + [bench.ask("two") for _ in range(3)]

    bench.settle()

    assert bench.running() == [jobs[0], jobs[1], jobs[3]]
