"""Whatever happens, a job starts only after what it waits for, and none waits for what can never come.

Random histories: jobs wait for earlier ones, end in every way, are cancelled, turns are refused, daemons are
killed. The oracle works out from the states of all jobs alone which of them may have started and which must
have been revoked.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.engine.base import Settled
from jobctl.result import Verdict
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from tests.support.builders import a_job, a_plan, a_task, an_outcome, rows
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLAN = a_plan(tasks=[a_task("backup", retries=1, on_lost="retry")])
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=3)),
    st.tuples(st.just("end"), st.tuples(st.integers(0, 9), st.sampled_from(list(Verdict)))),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.sampled_from([1.0, 600.0])),
    st.tuples(st.just("turn"), st.none()),
    st.tuples(st.just("spoil"), st.integers(0, 9)),
    st.tuples(st.just("restart"), st.none()),
)


class History:
    """The dispatcher under test, and what each job waits for."""

    def __init__(self, bench: Dispatching) -> None:
        self.bench = bench
        self.wanted: dict[int, dict[int, str]] = {}
        bench.engine.room = {(f"k{n}", "command"): 1 for n in range(2)}
        bench.take(PLAN)

    def ask(self, back: list[tuple[int, bool]]) -> None:
        """Submit a job that waits for those so many before it, as the handler does."""
        job = a_job()
        known = sorted(self.wanted)
        wanted = {
            known[-n]: "end" if is_any else "success" for n, is_any in back if n <= len(known)
        }
        self.wanted[job.id] = wanted
        with self.bench.database.transaction():
            line = "after" if wanted else job.line
            job_rows.submit(self.bench.database, [job._replace(line=line)])
            added = [(job.id, on_job, until, "open") for on_job, until in wanted.items()]
            dependency_rows.add(self.bench.database, added)
            self.bench.dispatcher.note_ready(line)
            if wanted:
                self.bench.dispatcher.note_ended(list(wanted))

    def end(self, given: tuple[int, Verdict]) -> None:
        event = self._event(*given)
        if event is not None:
            self.bench.turn(event)

    def _event(self, place: int, verdict: Verdict) -> Settled | None:
        running = job_rows.started(self.bench.database)
        if not running:
            return None
        row = running[place % len(running)]
        return Settled(row.worker, outcomes=[an_outcome(row, verdict)])

    def cancel(self, place: int) -> None:
        waiting = [row["id"] for row in self.jobs().values() if row["line"] is not None]
        if waiting:
            with self.bench.database.transaction():
                self.bench.dispatcher.cancel(waiting[place % len(waiting)], self.bench.clock.now())

    def spoil(self, place: int) -> None:
        event = self._event(place, Verdict.FAILURE)
        self.bench.spoil(*([event] if event else []))

    def jobs(self) -> Mapping[int, Mapping[str, Any]]:
        return {row["id"]: row for row in rows(self.bench.database, "jobs", "id")}

    def judge(self, *, is_settled: bool) -> None:
        jobs = self.jobs()
        for job_id, wanted in self.wanted.items():
            row = jobs[job_id]
            others = [(jobs[on_job], until) for on_job, until in wanted.items()]
            is_free = all(
                other["line"] is None and (until == "end" or other["state"] == "SUCCESS")
                for other, until in others
            )
            is_doomed = any(
                other["state"] in ("FAILURE", "REVOKED") and until == "success"
                for other, until in others
            )
            if row["number"] > 0 or row["state"] == "STARTED":
                assert is_free, row
            if is_settled and is_doomed:
                assert row["state"] == "REVOKED", row
            if is_settled and is_free:
                assert row["line"] != "after", row


@settings(max_examples=150)
@given(steps=st.lists(STEPS, min_size=5, max_size=60))
def test_nobody_starts_too_early_and_nobody_waits_in_vain(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            history = History(Dispatching(database, Path(folder)))
            act: dict[str, Callable[[Any], object]] = {
                "ask": history.ask,
                "end": history.end,
                "cancel": history.cancel,
                "pass": history.bench.clock.advance,
                "turn": lambda _: history.bench.turn(),
                "spoil": history.spoil,
                "restart": lambda _: history.bench.start(PLAN),
            }
            for what, how in steps:
                act[what](how)
                history.judge(is_settled=False)
            history.bench.settle()
            history.judge(is_settled=True)
        finally:
            database.close()
