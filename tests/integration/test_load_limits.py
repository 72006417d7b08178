"""Limits by load over a real store: who begins, who is looked at and when; once with the real host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.dispatcher.load import LOOK_S
from jobctl.plan.tables import DaemonSettings
from jobctl.protocol import requests
from jobctl.result import Verdict
from jobctl.store.database import open_database
from tests.support.builders import a_job, a_plan, a_queue, a_task
from tests.support.clock import START
from tests.support.daemon import running_daemon, with_patch
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.plan import Plan


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Dispatching]:
    database = open_database(tmp_path / "jobctl.db")
    dispatching = Dispatching(database, tmp_path)
    dispatching.engine.room = {(f"k{n}", "command"): 1 for n in range(8)}
    yield dispatching
    database.close()


def limited(where: str, **keys: Any) -> Plan:
    """A plan with the tasks ``pack`` and ``other`` and a limit in the table of ``pack``, of its queue or of the
    daemon."""
    tasks = [
        a_task("pack", queue="heavy", **(keys if where == "task" else {})),
        a_task("other"),
    ]
    queues = [a_queue("heavy", **keys)] if where == "queue" else []
    settings = DaemonSettings(**keys) if where == "daemon" else DaemonSettings()
    return a_plan(tasks=tasks, queues=queues, settings=settings)


@pytest.mark.parametrize("where", ["task", "queue", "daemon"])
def test_jobs_wait_while_the_host_is_busy_and_the_reason_is_told(
    bench: Dispatching, where: str
) -> None:
    bench.take(limited(where, max_load=2.0))
    bench.host.load = 2.5
    job, other = bench.ask("pack"), bench.ask("other")

    bench.settle()

    assert bench.running() == ([] if where == "daemon" else [other])
    why = bench.dispatcher.holds_back(bench.job(job)["line"])
    assert "load of this host is 2.50" in (why or "")
    bench.host.load = 1.5
    bench.clock.advance(LOOK_S)
    bench.settle()
    assert job in bench.running()


def test_they_are_looked_at_only_while_they_wait_and_only_every_few_seconds(
    bench: Dispatching,
) -> None:
    bench.take(limited("task", max_load=2.0))
    other = bench.ask("other")
    bench.settle()
    assert (bench.host.looks, bench.dispatcher.next_due()) == (0, None)

    bench.host.load = 9.0
    job = bench.ask("pack")
    bench.settle()
    assert bench.dispatcher.next_due() == START + LOOK_S * SECOND

    with bench.database.transaction():
        bench.dispatcher.cancel(job, bench.clock.now())
    bench.settle()
    assert bench.dispatcher.next_due() is None
    assert bench.running() == [other]


def test_no_more_begin_at_once_than_the_load_leaves_room_for(bench: Dispatching) -> None:
    bench.take(limited("task", max_load=3.0))
    jobs = [bench.ask("pack") for _ in range(6)]
    bench.host.load = 1.0

    bench.settle()
    assert bench.running() == jobs[:2]
    # One ends: it weighs nothing any more.
    (first,) = [a for begun in bench.engine.started.values() for a in begun if a.job_id == jobs[0]]
    bench.end(first, Verdict.SUCCESS)
    bench.settle()
    assert bench.running() == jobs[1:3]


@pytest.mark.parametrize("how", ["restart", "spoil"])
def test_what_has_begun_is_known_after(bench: Dispatching, how: str) -> None:
    plan = limited("task", max_load=2.0)
    bench.take(plan)
    jobs = [bench.ask("pack") for _ in range(4)]

    if how == "spoil":
        bench.spoil()
    else:
        bench.settle()
        bench.start(plan)
    bench.settle()

    assert bench.running() == jobs[:2]


def test_jobs_begin_one_by_one_as_memory_becomes_free(bench: Dispatching) -> None:
    bench.take(limited("queue", min_free_memory="1GiB"))
    jobs = [bench.ask("pack") for _ in range(3)]
    bench.host.free = 2 << 30

    bench.settle()
    assert bench.running() == jobs[:1]
    bench.clock.advance(LOOK_S)
    bench.settle()
    assert bench.running() == jobs[:2]
    bench.host.free = (1 << 30) - 1
    bench.clock.advance(LOOK_S)
    bench.settle()
    assert bench.running() == jobs[:2]
    assert "MiB of free memory" in (bench.dispatcher.holds_back(bench.job(jobs[2])["line"]) or "")


def test_a_clock_that_is_set_back_makes_nothing_weigh_more(bench: Dispatching) -> None:
    bench.take(limited("task", max_load=4.0))
    jobs = [bench.ask("pack") for _ in range(6)]
    bench.settle()
    assert bench.running() == jobs[:4]

    bench.clock.step(-86_400)
    bench.settle()
    assert bench.running() == jobs[:4]
    bench.clock.advance(86_400 + 600)
    bench.settle()

    assert bench.running() == jobs


def test_a_plan_that_asks_for_less_lets_those_go_that_wait(bench: Dispatching) -> None:
    bench.take(limited("task", min_free_memory="1000TiB"))
    job = bench.ask("pack")
    bench.settle()
    assert bench.running() == []

    bench.take(limited("task", min_free_memory="1KiB"))
    assert bench.dispatcher.has_chores
    bench.settle()

    assert bench.running() == [job]


def test_functions_with_a_limit_do_not_wait_in_a_batch(bench: Dispatching) -> None:
    bench.engine.room = {("w1", "function"): 16}
    tasks = [a_task("f", function="a:b", max_load=3.0)]
    bench.take(a_plan(tasks=tasks))

    bench.submit(*(a_job(id=n, task="f", kind="limited", line="l/default/f") for n in range(1, 9)))

    bench.turn()

    assert bench.running() == [1]


# -- the real one -----------------------------------------------------------------------------------

MORE_THAN_THERE_IS = """
[tasks.pack]
command = ["true"]
min_free_memory = "1000TiB"
"""


def test_a_job_waits_for_the_real_host_and_others_pass_it_by() -> None:
    with running_daemon(MORE_THAN_THERE_IS) as daemon:
        job = daemon.submit(task="pack")
        assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"

        waits = daemon.status(job)
        (listed,) = daemon.call(requests.List(states=["PENDING"]))["jobs"]
        told = daemon.call(requests.Why(name=str(job)))["sentences"][-1]

    assert 'MiB of free memory, and task "pack" starts jobs from 1000TiB on' in waits["reason"]
    assert listed["reason"].endswith("from 1000TiB on")
    assert "has not begun: this host has" in told


def test_a_job_that_waits_for_the_host_begins_when_that_has_room(
    tmp_path: Path,
) -> None:
    def tell(load: str) -> None:
        (tmp_path / "new").write_text(f"{load} 0.0 0.0 1/100 4711\n")
        (tmp_path / "new").rename(tmp_path / "loadavg")

    tell("9.50")
    patch = f"""
from pathlib import Path
from jobctl.daemon.host_load import ProcLoad
from jobctl.dispatcher import allowances
ProcLoad.__init__.__defaults__ = (Path({str(tmp_path)!r}),)
allowances.LOOK_S = 0.1
"""
    done = tmp_path / "done"
    config = f'[tasks.pack]\ncommand = ["touch", "{done}"]\nmax_load = 2\n'
    with running_daemon(config, start=False) as daemon:
        daemon.launcher = with_patch(patch)
        daemon.start()
        job = daemon.submit(task="pack")
        assert "load of this host is 9.50" in daemon.status(job)["reason"]

        tell("1.50")

        # Nobody asks the daemon anything meanwhile: it looks by itself.
        daemon.until("the job to run", done.exists)
