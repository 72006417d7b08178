"""Rates over a real store: when the next job starts, who is woken up, what survives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.store import rates
from jobctl.store.database import open_database
from tests.support.builders import a_job, a_plan, a_queue, a_task
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


def rated(rate: str = "1/s", **keys: Any) -> Plan:
    return a_plan(tasks=[a_task("mail", rate_limit=rate, **keys), a_task("other")])


def test_jobs_of_a_task_start_spread_evenly_and_others_pass_them_by(bench: Dispatching) -> None:
    bench.take(rated())
    mails = [bench.ask("mail") for _ in range(3)]
    others = [bench.ask("other") for _ in range(3)]

    bench.settle()
    assert bench.running() == [mails[0], *others]
    assert bench.dispatcher.next_due() == START + SECOND
    bench.clock.advance(0.999999)
    bench.settle()
    assert len(bench.running()) == 4
    bench.clock.advance(0.000001)
    bench.settle()

    assert bench.running() == [*mails[:2], *others]


def test_a_burst_starts_at_once_after_a_pause(bench: Dispatching) -> None:
    bench.take(rated("1/m", rate_burst=3))
    mails = [bench.ask("mail") for _ in range(5)]

    bench.settle()
    assert bench.running() == mails[:3]
    bench.clock.advance(60)
    bench.settle()

    assert bench.running() == mails[:4]


def test_all_jobs_of_a_queue_share_its_rate(bench: Dispatching) -> None:
    bench.take(a_plan(tasks=[a_task("a"), a_task("b")], queues=[a_queue(rate_limit="2/s")]))
    jobs = [bench.ask("a"), bench.ask("b"), bench.ask("a")]

    for moment in range(3):
        bench.settle()
        assert bench.running() == jobs[: moment + 1]
        bench.clock.advance(0.5)


def test_a_task_and_its_queue_may_both_have_a_rate(bench: Dispatching) -> None:
    tasks = [a_task("slow", rate_limit="1/10s"), a_task("fast")]
    bench.take(a_plan(tasks=tasks, queues=[a_queue(rate_limit="1/s")]))
    slow = [bench.ask("slow"), bench.ask("slow")]
    fast = [bench.ask("fast"), bench.ask("fast")]

    starts = []
    for _ in range(12):
        bench.settle()
        starts.append(bench.running())
        bench.clock.advance(1)

    assert starts[2] == [slow[0], *fast]
    assert starts[9] == [slow[0], *fast]
    assert starts[10] == [*slow, *fast]


@pytest.mark.parametrize("how", ["restart", "spoil"])
def test_what_was_used_of_a_rate_is_known_after(bench: Dispatching, how: str) -> None:
    plan = rated("1/h")
    bench.take(plan)
    first, second = bench.ask("mail"), bench.ask("mail")
    bench.settle()
    bench.clock.advance(1800)

    if how == "restart":
        bench.start(plan)
    else:
        bench.spoil()
    bench.settle()
    assert bench.running() == [first]
    assert bench.dispatcher.next_due() == START + 3600 * SECOND
    bench.clock.advance(1800)
    bench.settle()

    assert bench.running() == [first, second]


def test_a_start_that_was_refused_uses_nothing(bench: Dispatching) -> None:
    bench.take(rated("1/h"))
    job = bench.ask("mail")

    bench.spoil()
    bench.settle()

    assert bench.running() == [job]


def test_a_clock_that_is_set_back_does_not_stop_a_task(bench: Dispatching) -> None:
    bench.take(rated("1/s"))
    jobs = [bench.ask("mail") for _ in range(3)]
    bench.settle()

    bench.clock.step(-86_400)
    bench.settle()
    assert bench.running() == jobs[:1]
    bench.clock.advance(1)
    bench.settle()
    assert bench.running() == jobs[:2]


def test_a_higher_rate_holds_at_once(bench: Dispatching) -> None:
    bench.take(rated("1/h"))
    jobs = [bench.ask("mail") for _ in range(3)]
    bench.settle()

    bench.take(rated("1/s"))
    bench.settle()
    bench.clock.advance(1)
    bench.settle()
    bench.clock.advance(1)
    bench.settle()

    assert bench.running() == jobs


def test_a_rate_that_is_new_holds_for_jobs_that_wait_already(bench: Dispatching) -> None:
    for _ in range(1200):
        bench.ask("backup")

    bench.take(a_plan(tasks=[a_task(rate_limit="1/m", rate_burst=2)]))
    bench.settle()

    assert len(bench.running()) == 2


def test_nobody_is_woken_up_when_no_worker_is_free(bench: Dispatching) -> None:
    bench.take(rated())
    bench.ask("mail")
    bench.settle()
    bench.ask("mail")
    bench.engine.room = {}
    bench.clock.advance(5)

    bench.settle()

    assert bench.dispatcher.next_due() is None
    assert bench.engine.wanted[-1] == ("command", "default")


def test_a_rate_wakes_up_also_where_there_is_no_worker_yet(bench: Dispatching) -> None:
    bench.take(rated())
    bench.ask("mail")
    bench.settle()
    bench.engine.room = {}
    bench.engine.wanted.clear()
    bench.ask("mail")

    bench.settle()
    assert bench.engine.wanted == []
    assert bench.dispatcher.next_due() == START + SECOND
    bench.clock.advance(1)
    bench.settle()

    assert bench.engine.wanted == [("command", "default")]


def test_a_paused_queue_wakes_nobody_up_for_a_rate(bench: Dispatching) -> None:
    bench.take(rated())
    bench.ask("mail")
    bench.settle()
    bench.ask("mail")
    bench.dispatcher.note_pause("default", is_paused=True)

    bench.settle()

    assert bench.dispatcher.next_due() is None


def test_functions_of_a_rate_never_wait_behind_another_with_a_worker(bench: Dispatching) -> None:
    """Claimed together they would begin whenever the worker gets to them."""
    task = a_task("call", function="shop:call", rate_limit="1000/s")
    bench.take(a_plan(tasks=[task]))
    bench.engine.room = {("w1", "function"): 50}
    for _ in range(5):
        bench.submit(a_job(kind="function", task="call", line="f/default/call"))

    bench.turn()
    bench.engine.room = {}
    bench.settle()

    assert [attempt.may_share for attempt in bench.engine.started["w1"]] == [False]


def test_a_job_that_cannot_run_uses_nothing_of_a_rate(bench: Dispatching) -> None:
    bench.engine.room = {}
    bench.take(rated("1/h"))
    bench.ask("mail"), bench.ask("mail", "a")
    bench.settle()
    bench.take(rated("1/h", command=["echo", "{1}"]))
    bench.engine.room = {("k1", "command"): 1}

    bench.settle()

    assert len(bench.running()) == 1


def test_what_has_passed_is_forgotten(bench: Dispatching) -> None:
    bench.take(rated("1/s"))
    bench.ask("mail")
    bench.settle()
    assert rates.all(bench.database) == {"task/mail": START + SECOND}
    bench.clock.advance(1)

    bench.take(rated("2/s"))

    assert rates.all(bench.database) == {}


def test_a_job_that_a_rate_holds_back_says_so(bench: Dispatching) -> None:
    bench.take(rated())
    bench.ask("mail"), bench.ask("mail")
    bench.settle()

    reason = bench.dispatcher.holds_back("c/default/mail")

    assert reason == 'task "mail" starts no more jobs than its rate_limit allows'
    assert bench.dispatcher.next_due() == START + SECOND
