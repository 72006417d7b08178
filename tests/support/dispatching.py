"""A dispatcher over a real store and an engine that does only what a test says."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from jobctl.dispatcher import Dispatcher
from jobctl.dispatcher.orders import Orders
from jobctl.engine.base import Adoptable, Attempt, Settled, Slot
from jobctl.plan.gates import gate_of
from jobctl.result import Verdict
from jobctl.store import jobs as job_rows
from jobctl.store.jobs import gate_line, ready_line
from tests.support.builders import a_job, a_plan, an_outcome
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobctl.dispatcher.dispatcher import Effects
    from jobctl.plan import Plan
    from jobctl.store.database import Database
    from jobctl.store.jobs import NewJob


class FakeEngine:
    """Keeps `jobctl.engine.base.Engine`: ``room`` by worker, and a book of what it was told."""

    def __init__(self) -> None:
        self.room: dict[tuple[str, str], int] = {("k1", "command"): 1}
        self.started: dict[str, list[Attempt]] = {}
        self.acknowledged: list[Settled] = []
        self.stopped: list[tuple[str, int, str]] = []
        self.wanted: list[tuple[str, str]] = []
        self.adopted: Mapping[str, Sequence[Adoptable]] = {}
        self.working: set[int] = set()
        self.paused: set[str] = set()

    def busy(self) -> int:
        """How many attempts have begun."""
        return len(self.working)

    def workers(self) -> list[dict[str, Any]]:
        """No processes."""
        return []

    def is_paused(self, worker: str) -> bool:
        """The command of a worker stands still, because a test says so by ``paused``."""
        return worker in self.paused

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        self.adopted = running

    def slots(self) -> list[Slot]:
        return [
            Slot(worker, kind, "default", room)
            for (worker, kind), room in self.room.items()
            if room > 0
        ]

    def want(self, kind: str, group: str) -> None:
        self.wanted.append((kind, group))

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        self.started.setdefault(worker, []).extend(attempts)

    def collect(self) -> list[Settled]:
        return []

    def acknowledge(self, settled: Settled) -> None:
        self.acknowledged.append(settled)

    def flush(self) -> None:
        """Nothing is held back here."""

    def stop(self, worker: str, token: int, verdict: str, *, signal: int | None = None) -> None:
        self.stopped.append((worker, token, verdict))

    def step(self, monotonic: float) -> float | None:
        return None

    def begun(self) -> set[int]:
        return self.working


class FakeHost:
    """Keeps `jobctl.dispatcher.load.HostLoad`: idle unless told; ``looks`` counts how often it was read."""

    def __init__(self) -> None:
        self.load: float | None = 0.0
        self.free: int | None = 1 << 40
        self.looks = 0

    def average(self) -> float | None:
        self.looks += 1
        return self.load

    def free_bytes(self) -> int | None:
        return self.free


class Dispatching:
    """A dispatcher and its turns."""

    def __init__(self, database: Database, folder: Path, plan: Plan | None = None) -> None:
        self.database = database
        self.folder = folder
        self.clock = FakeClock()
        self.engine = FakeEngine()
        self.host = FakeHost()
        self.start(plan or a_plan())

    def start(self, plan: Plan) -> None:
        """A new daemon's dispatcher on the same store."""
        self.dispatcher = Dispatcher(
            database=self.database,
            engine=self.engine,
            clock=self.clock,
            rng=random.Random(5),
            orders=Orders(self.folder / "output"),
            host=self.host,
        )
        self.dispatcher.recover()
        self.take(plan)

    def take(self, plan: Plan) -> None:
        """Bring a plan into force."""
        self.plan = plan
        with self.database.transaction():
            bring_into_force = self.dispatcher.prepare(plan)
        bring_into_force()

    def submit(self, *jobs: NewJob) -> None:
        """Put jobs into the store and tell of them, as the handler does."""
        with self.database.transaction():
            job_rows.submit(self.database, jobs)
        for job in jobs:
            self.dispatcher.note_ready(job.line)
            if job.eta is not None:
                self.dispatcher.note_eta(job.eta)
            if job.expires_at is not None:
                self.dispatcher.note_expiry(job.expires_at)
            if job.deadline_at is not None:
                self.dispatcher.note_deadline(job.deadline_at)

    def ask(self, task: str, *args: str, **others: Any) -> int:
        """Submit a command of the plan's task with these arguments, as the handler does; the job's id."""
        found = self.plan.task(task)
        queue = others.pop("queue", found.queue)
        gate = gate_of(found, args, {}, None)
        own = found.name if found.has_own_line else None
        line = gate_line(gate) if gate is not None else ready_line("command", queue, own)
        payload = json.dumps({"args": args, "kwargs": {}})
        job = a_job(
            task=task,
            queue=queue,
            payload=payload,
            **{"line": line, "now": self.clock.now(), **others},
        )
        self.submit(job)
        return job.id

    def settle(self) -> None:
        """Turns until nothing starts any more and nothing is left to do."""
        for _ in range(1000):
            if not self.turn().starts and not self.dispatcher.has_chores:
                return
        raise AssertionError("the dispatcher is never done")

    def running(self) -> list[int]:
        """The ids of the jobs with workers, oldest first."""
        return sorted(row.id for row in job_rows.started(self.database))

    def turn(self, *events: Settled) -> Effects:
        """One turn, and what follows its commit."""
        now = self.clock.now()
        with self.database.transaction():
            self.dispatcher.settle(events, now)
            self.dispatcher.advance(now)
            self.dispatcher.claim(now)
        effects = self.dispatcher.take_effects()
        for settled in effects.settled:
            self.engine.acknowledge(settled)
        for worker, attempts in effects.starts:
            self.engine.start(worker, attempts)
        self.dispatcher.want()
        for stop in effects.stops:
            self.engine.stop(stop.worker, stop.token, stop.verdict, signal=stop.signal)
        return effects

    def turns(self) -> None:
        """Turns until nothing of the dispatcher's own is left to do."""
        for _ in range(1000):
            self.turn()
            if not self.dispatcher.has_chores:
                return
        raise AssertionError("the dispatcher is never done")

    def spoil(self, *events: Settled) -> None:
        """A turn whose transaction is refused at its end."""
        self.database.begin()
        self.dispatcher.settle(events, self.clock.now())
        self.dispatcher.advance(self.clock.now())
        self.dispatcher.claim(self.clock.now())
        self.database.rollback()
        self.dispatcher.take_effects()
        self.dispatcher.refresh()

    def begin(self, job: NewJob | None = None) -> Attempt:
        """Submit a job and start it; its attempt."""
        new = job or a_job()
        self.submit(new)
        self.turn()
        (attempt,) = [a for a in self.engine.started["k1"] if a.job_id == new.id]
        return attempt

    def end(self, attempt: Attempt, verdict: Verdict = Verdict.SUCCESS, **others: Any) -> Effects:
        """An attempt has ended; the turn that settles it."""
        outcome = an_outcome(attempt, verdict, **{"finished_at": self.clock.now(), **others})
        return self.turn(Settled("k1", outcomes=[outcome]))

    def job(self, id: int) -> Mapping[str, Any]:
        """A job's row."""
        row = job_rows.get(self.database, id)
        assert row is not None
        return row
