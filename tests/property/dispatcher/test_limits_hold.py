"""Whatever happens, no limit is exceeded, and nobody waits who could run.

Random histories of jobs with keys, tasks and queues: jobs are submitted with any priority, claimed, end in
every way, are cancelled, turns are refused, daemons are killed and started again, and the plan changes
limits and keys under them. After each turn that started something the oracle counts what runs; when
nothing is left to do it looks for jobs that wait although every limit of theirs has room, and for jobs that
were let in before others that should go first.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.engine.base import Settled
from jobctl.result import Verdict
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from tests.support.builders import a_plan, a_queue, a_task, an_outcome, rows
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jobctl.plan import Plan

KEYS = ("a", "b")
QUEUES = ("default", "q2")

LIMITS = st.fixed_dictionaries(
    {
        "key": st.sampled_from([None, "{1}", "{2}"]),
        "per_key": st.integers(1, 2),
        "task": st.sampled_from([None, 1, 2, 3]),
        "queue": st.sampled_from([None, 1, 2, 3]),
        "is_there": st.sampled_from([True, True, True, False]),
    }
)
STEPS = st.one_of(
    st.tuples(
        st.just("ask"),
        st.tuples(
            st.sampled_from(["keyed", "plain"]),
            st.sampled_from(KEYS),
            st.sampled_from(KEYS),
            st.integers(0, 2),
            st.sampled_from(QUEUES),
        ),
    ),
    st.tuples(st.just("end"), st.tuples(st.integers(0, 9), st.sampled_from(list(Verdict)))),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("renew"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 5.0, 600.0])),
    st.tuples(st.just("turn"), st.none()),
    st.tuples(st.just("spoil"), st.integers(0, 9)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("limits"), LIMITS),
)


def plan_of(limits: Mapping[str, Any]) -> Plan:
    keys: dict[str, Any] = {"retries": 1, "on_lost": "retry"}
    if limits["key"] is not None:
        keys.update(concurrency_key=limits["key"], concurrency_per_key=limits["per_key"])
        if limits["task"] is not None:
            keys["concurrency_per_key"] = min(limits["per_key"], limits["task"])
    if limits["task"] is not None:
        keys["concurrency"] = limits["task"]
    tasks = [a_task("plain")]
    if limits["is_there"]:
        tasks.append(a_task("keyed", **keys))
    queue: dict[str, Any] = {} if limits["queue"] is None else {"concurrency": limits["queue"]}
    return a_plan(tasks=tasks, queues=[a_queue(**queue)])


class History:
    """The dispatcher under test, and the oracle's view of its jobs."""

    def __init__(self, bench: Dispatching, limits: Mapping[str, Any]) -> None:
        self.bench = bench
        self.limits = limits
        bench.engine.room = {(f"k{n}", "command"): 1 for n in range(2)}
        bench.take(plan_of(limits))

    # -- what happens -----------------------------------------------------------------------------

    def ask(self, given: tuple[str, str, str, int, str]) -> None:
        task, first, second, priority, queue = given
        if task == "keyed" and not self.limits["is_there"]:
            return
        chosen = json.dumps({"queue": queue})
        self.bench.ask(task, first, second, priority=priority, queue=queue, overrides=chosen)

    def end(self, given: tuple[int, Verdict]) -> None:
        place, verdict = given
        event = self._event(place, verdict)
        if event is not None:
            self.turn(event)

    def _event(self, place: int, verdict: Verdict) -> Settled | None:
        running = job_rows.started(self.bench.database)
        if not running:
            return None
        row = running[place % len(running)]
        return Settled(row.worker, outcomes=[an_outcome(row, verdict)])

    def cancel(self, place: int) -> None:
        found = self.jobs()
        if found:
            with self.bench.database.transaction():
                self.bench.dispatcher.cancel(
                    found[place % len(found)]["id"], self.bench.clock.now()
                )

    def renew(self, place: int) -> None:
        found = [row for row in rows(self.bench.database, "jobs") if row["line"] is None]
        if found:
            with self.bench.database.transaction():
                standing = job_rows.renew(self.bench.database, id=found[place % len(found)]["id"])
                assert standing is not None
                self.bench.dispatcher.note_standing(standing)

    def elapse(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    def turn(self, *events: Settled) -> None:
        before = set(self.bench.running())
        self.bench.turn(*events)
        self.judge_starts(set(self.bench.running()) - before)

    def spoil(self, place: int) -> None:
        event = self._event(place, Verdict.SUCCESS)
        self.bench.spoil(*([event] if event else []))

    def restart(self, _: None) -> None:
        self.bench.start(plan_of(self.limits))

    def change(self, limits: Mapping[str, Any]) -> None:
        self.limits = limits
        self.bench.take(plan_of(limits))

    # -- the oracle -------------------------------------------------------------------------------

    def jobs(self) -> list[Mapping[str, Any]]:
        return [row for row in rows(self.bench.database, "jobs", "id") if row["line"] is not None]

    def names(self, row: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
        """Every limit that a job is under, by its name."""
        if row["queue"] == "default" and self.limits["queue"] is not None:
            yield "queue", self.limits["queue"]
        if row["task"] != "keyed" or not self.limits["is_there"]:
            return
        if self.limits["task"] is not None:
            yield "task", self.limits["task"]
        if self.limits["key"] is not None:
            yield self.key(row), min(self.limits["per_key"], self.limits["task"] or 9)

    def key(self, row: Mapping[str, Any]) -> str:
        args = json.loads(row["payload"])["args"]
        return f"key {args[int(self.limits['key'][1]) - 1]}"

    def judge_starts(self, begun: set[int]) -> None:
        """Nothing started above a limit. What ran before a limit was lowered may still run."""
        running = [row for row in self.jobs() if row["state"] == "STARTED"]
        counts = Counter(name for row in running for name, _ in self.names(row))
        for row in running:
            if row["id"] in begun:
                assert all(counts[name] <= most for name, most in self.names(row)), (row, counts)

    def judge_waiting(self) -> None:
        """Nobody waits who could run, once nothing is left to do."""
        for _ in range(1000):
            before = self.bench.running()
            self.turn()
            if self.bench.running() == before and not self.bench.dispatcher.has_chores:
                break
        found = self.jobs()
        running = [row for row in found if row["state"] == "STARTED"]
        counts = Counter(name for row in running for name, _ in self.names(row))
        free = [row for row in found if row["state"] != "STARTED" and row["line"] != "eta"]
        for row in free:
            if row["task"] == "keyed" and not self.limits["is_there"]:
                assert row["line"] == "task/keyed", row
                continue
            if any(counts[name] >= most for name, most in self.names(row)):
                continue
            # Of its key only as many are let in as may run: they may wait for another limit.
            assert row["line"].startswith("gate/"), row
            let_in = [o for o in found if o["gate"] and self.key(o) == self.key(row)]
            most = min(self.limits["per_key"], self.limits["task"] or 9)
            assert len(let_in) >= most, row
        for row in free:
            if row["line"].startswith("gate/"):
                ahead = [o for o in free if o["gate"] and self.key(o) == self.key(row)]
                assert all(_order(other) < _order(row) for other in ahead), row


def _order(row: Mapping[str, Any]) -> tuple[int, int]:
    return -row["priority"], row["id"]


@settings(max_examples=150)
@given(limits=LIMITS, steps=st.lists(STEPS, min_size=5, max_size=60))
def test_no_limit_is_exceeded_and_nobody_waits_who_could_run(
    limits: Mapping[str, Any], steps: list[tuple[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            history = History(Dispatching(database, Path(folder)), limits)
            act: dict[str, Callable[[Any], None]] = {
                "ask": history.ask,
                "end": history.end,
                "cancel": history.cancel,
                "renew": history.renew,
                "pass": history.elapse,
                "turn": lambda _: history.turn(),
                "spoil": history.spoil,
                "restart": history.restart,
                "limits": history.change,
            }
            for what, how in steps:
                act[what](how)
            history.judge_waiting()
        finally:
            database.close()
