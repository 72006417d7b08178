"""Whatever happens, no job begins on a host that is too busy for it, and none waits on one that is idle.

Random histories: jobs come and end, time passes, the load changes, turns are refused, daemons are killed. The
oracle keeps a book of its own of what runs since when, and judges each start by it. Afterwards the host is
idle and the dispatcher is woken up only when it asked for it: everything must have begun after as many
wake-ups as the weight of what has just begun takes to fade.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.clock import SECOND
from jobctl.dispatcher.load import AVERAGE_S, LOOK_S
from jobctl.result import Verdict
from jobctl.store.database import open_database
from tests.support.builders import a_plan, a_task
from tests.support.dispatching import Dispatching

STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(1, 4)),
    st.tuples(st.just("end"), st.integers(0, 7)),
    st.tuples(st.just("load"), st.sampled_from([0.0, 0.5, 1.99, 2.0, 3.0])),
    st.tuples(st.just("pass"), st.sampled_from([0.05, 1.0, LOOK_S, 60.0, 3600.0])),
    st.tuples(st.just("spoil"), st.none()),
    st.tuples(st.just("restart"), st.none()),
)
MOST_AT_ONCE = 8


class Book:
    """What runs since when, as the oracle saw it begin."""

    def __init__(self, bench: Dispatching, limit: float) -> None:
        self.bench = bench
        self.limit = limit
        self.since: dict[int, float] = {}

    def turns(self) -> None:
        """Turns at this moment; each start is judged as if it came alone, one after the other."""
        self.bench.settle()
        now_s = self.bench.clock.now() / SECOND
        assert self.bench.host.load is not None
        for job in sorted(set(self.bench.running()) - self.since.keys()):
            weights = (math.exp(-(now_s - since_s) / AVERAGE_S) for since_s in self.since.values())
            assert self.bench.host.load + sum(weights) < self.limit + 1e-9
            self.since[job] = now_s

    def end(self, nth: int) -> None:
        """One of those that run ends."""
        if not self.since:
            return
        job = sorted(self.since)[nth % len(self.since)]
        begun = [a for attempts in self.bench.engine.started.values() for a in attempts]
        (attempt,) = [a for a in begun if a.job_id == job]
        del self.since[job]
        self.bench.end(attempt, Verdict.SUCCESS)


@settings(max_examples=40)
@given(limit=st.sampled_from([0.5, 2.0, 3.5]), steps=st.lists(STEPS, max_size=25))
def test_no_job_begins_on_a_busy_host_and_all_do_on_an_idle_one(
    limit: float, steps: list[tuple[str, Any]]
) -> None:
    plan = a_plan(tasks=[a_task("pack", max_load=limit)])
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        bench = Dispatching(database, Path(folder))
        # Wide enough that only the load says how many run.
        # Room enough at several places, each of which is served by itself.
        bench.engine.room = {(f"k{n}", "command"): 1000 for n in range(3)}
        bench.take(plan)
        book = Book(bench, limit)
        asked = 0
        for do, value in steps:
            match do:
                case "ask":
                    for _ in range(value):
                        bench.ask("pack")
                    asked += value
                case "end":
                    book.end(value)
                case "load":
                    bench.host.load = value
                    # The figures are a tenth of a second old at most.
                    bench.clock.advance(0.1)
                case "pass":
                    bench.clock.advance(value)
                case "spoil":
                    bench.spoil()
                case _:
                    bench.start(plan)
            book.turns()

        bench.host.load = 0.0
        for _ in range(asked * int(AVERAGE_S * 5 / LOOK_S) + 1):
            due = bench.dispatcher.next_due()
            if due is None:
                break
            bench.clock.advance(max((due - bench.clock.now()) / SECOND, 0.0))
            while len(book.since) >= MOST_AT_ONCE:
                book.end(0)
            book.turns()
        begun = {a.job_id for attempts in bench.engine.started.values() for a in attempts}
        assert len(begun) == asked
        database.close()
