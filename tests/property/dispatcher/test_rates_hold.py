"""Whatever happens, no span of time sees more starts than a rate gives, and nobody waits longer than it asks.

Random histories: jobs come and go, time passes, turns are refused, daemons are killed. The oracle knows
nothing of how a rate is kept: it looks at the moments of all starts and counts in every window of them.
Afterwards the dispatcher is woken up only when it asked for it; it must have started everything after as
many wake-ups as there are jobs, at the latest when an even spread would have.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.clock import SECOND
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from tests.support.builders import a_plan, a_queue, a_task
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from jobctl.plan import Plan

RATES = st.sampled_from([("1/s", 1), ("10/s", 1), ("1/s", 3), ("3/10s", 2), ("1000/s", 100)])
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(1, 5)),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.001, 0.1, 0.5, 0.999999, 1.0, 3.5, 60.0])),
    st.tuples(st.just("spoil"), st.none()),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("turn"), st.none()),
)


def plan_of(rate: tuple[str, int], *, is_of_queue: bool) -> Plan:
    keys: dict[str, Any] = {"rate_limit": rate[0], "rate_burst": rate[1]}
    if is_of_queue:
        return a_plan(tasks=[a_task("mail")], queues=[a_queue(**keys)])
    return a_plan(tasks=[a_task("mail", **keys)])


def turns(bench: Dispatching, starts: list[int]) -> None:
    """Turns at this moment until nothing starts; the moments of the starts."""
    before = len(bench.running())
    bench.settle()
    starts += [bench.clock.now()] * (len(bench.running()) - before)


@settings(max_examples=150)
@given(rate=RATES, is_of_queue=st.booleans(), steps=st.lists(STEPS, max_size=40))
def test_no_window_sees_more_starts_than_its_rate_gives(
    rate: tuple[str, int], is_of_queue: bool, steps: list[tuple[str, Any]]
) -> None:
    plan = plan_of(rate, is_of_queue=is_of_queue)
    limit = a_task(rate_limit=rate[0]).rate_limit
    assert limit is not None
    spacing, burst = limit.spacing_us, rate[1]
    starts: list[int] = []
    asked = 0
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            bench = Dispatching(database, Path(folder))
            bench.engine.room = {(f"k{n}", "command"): 1 for n in range(3)}
            bench.take(plan)
            for what, how in steps:
                match what:
                    case "ask":
                        asked += how
                        for _ in range(how):
                            bench.ask("mail")
                    case "pass":
                        bench.clock.advance(how)
                    case "spoil":
                        bench.spoil()
                    case "restart":
                        bench.start(plan)
                    case _:
                        turns(bench, starts)
            turns(bench, starts)
            began, left = bench.clock.now(), asked - len(starts)
            for _ in range(left):
                due = bench.dispatcher.next_due()
                assert due is not None, "somebody waits and nobody is woken up"
                assert due > bench.clock.now(), "woken up again and again"
                bench.clock.set(due)
                turns(bench, starts)
            assert len(job_rows.started(database)) == asked
            assert bench.clock.now() - began <= left * spacing
            assert bench.dispatcher.next_due() is None
        finally:
            database.close()
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            span = starts[last] - starts[first]
            assert last - first + 1 <= burst + span // spacing, (span / SECOND, starts)
