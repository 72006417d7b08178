"""A beat over a real store with a clock that tests move; jobs are made and ended by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.beat import Beat
from jobctl.clock import SECOND
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from tests.support.builders import a_job, a_plan, a_schedule
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from jobctl.clock import Moment
    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.store.database import Database


class Beating:
    """One beat and what the daemon would do around it."""

    def __init__(self, database: Database, clock: FakeClock | None = None) -> None:
        self.database = database
        self.clock = clock or FakeClock()
        self.boot_id = "boot-1"
        self.cancelled: list[int] = []
        self._next_id = job_rows.highest_id(database)
        self.plan: Plan = a_plan()
        self.start()

    def start(self) -> None:
        """A new daemon on the same store; it has no plan yet."""
        self.beat = Beat(
            database=self.database,
            make_job=self._make_job,
            cancel=self._cancel,
            host="host",
            boot_id=self.boot_id,
            clock=self.clock,
        )

    def take(self, *schedules: ScheduleSpec, **plan: Any) -> None:
        """Bring a plan with these schedules into force."""
        self.plan = a_plan(schedules=schedules, **plan)
        self.take_again()

    def take_again(self) -> None:
        """Bring the plan into force that was: what a restart or an idle reload does."""
        with self.database.transaction():
            bring_into_force = self.beat.prepare(self.plan, self.clock.now())
        bring_into_force()

    def add(self, spec: ScheduleSpec) -> None:
        """Add a schedule to the plan in force, or exchange one."""
        self.change(self.plan.with_schedule(spec), spec.name)

    def drop(self, name: str) -> None:
        """Remove a schedule from the plan in force."""
        self.change(self.plan.without_schedule(name), name)

    def change(self, plan: Plan, name: str) -> None:
        """Bring a plan into force that differs in one schedule."""
        with self.database.transaction():
            bring_into_force = self.beat.change(plan, [name], self.clock.now())
        bring_into_force()
        self.plan = plan

    def pause(self, name: str = "backup", *, until_s: float | None = None) -> None:
        """Pause a schedule for so long, or until `resume`."""
        now = self.clock.now()
        until = None if until_s is None else now + round(until_s * SECOND)
        with self.database.transaction():
            bring_into_force = self.beat.pause(name, until, now)
        bring_into_force()

    def resume(self, name: str = "backup") -> None:
        """End the pause of a schedule."""
        with self.database.transaction():
            bring_into_force = self.beat.resume(name, self.clock.now())
        bring_into_force()

    def step(self) -> None:
        """A turn, or several when more is due than one serves."""
        while True:
            with self.database.transaction():
                self.beat.step(self.clock.now())
            if not self.beat.is_due(self.clock.now()):
                return

    def spoil(self) -> None:
        """A turn whose transaction is refused at its end."""
        self.database.begin()
        self.beat.step(self.clock.now())
        self.database.rollback()
        self.beat.recover()

    def after(self, seconds: float) -> None:
        """Time passes while the daemon sleeps, then it takes a turn."""
        self.clock.advance(seconds)
        self.step()

    def _make_job(
        self, spec: ScheduleSpec, schedule: int, instant: Moment, *, waits: bool
    ) -> job_rows.NewJob:
        self._next_id += 1
        return a_job(
            id=self._next_id,
            task=spec.task,
            schedule=schedule,
            line=job_rows.schedule_line(schedule) if waits else None,
            now=self.clock.now(),
        )

    def _cancel(self, job_id: int, now: Moment) -> str:
        self.cancelled.append(job_id)
        if job_rows.revoke_waiting(self.database, id=job_id, reason="cancelled", now=now):
            return "ended"
        asked = job_rows.ask_stop(self.database, id=job_id, reason="cancelled")
        return "final" if asked is None else "stopping"

    # -- the jobs -----------------------------------------------------------------------------------

    def begin_all(self) -> None:
        """Claim every job that is ready."""
        with self.database.transaction():
            job_rows.claim(
                self.database, line="c/default", instance="w1", limit=1000, now=self.clock.now()
            )

    def end_all(self) -> None:
        """Everything that runs succeeds, and what waited for it is let go."""
        now = self.clock.now()
        with self.database.transaction():
            running = job_rows.started(self.database)
            job_rows.succeed(self.database, [(now, job.id, job.token) for job in running])
            for schedule in {job_rows.schedule_of(self.database, job.id) for job in running}:
                assert schedule is not None
                job_rows.let_go(self.database, schedule=schedule)

    def unfinished(self, schedule: int = 1) -> list[job_rows.Unfinished]:
        """The unfinished jobs of a schedule."""
        return job_rows.unfinished_of_schedule(self.database, schedule=schedule)

    # -- the fires ----------------------------------------------------------------------------------

    def fires(self, name: str = "backup") -> Sequence[Mapping[str, Any]]:
        """The fates of a schedule, oldest first."""
        rows = fire_rows.of_schedule(self.database, name=name, before=2**62, limit=1_000_000)
        return rows[::-1]

    def fates(self, name: str = "backup") -> list[tuple[str, int]]:
        """``(fate, count)`` of a schedule's rows, oldest first."""
        return [(row["fate"], row["count"]) for row in self.fires(name)]


def every(span: str, **others: Any) -> ScheduleSpec:
    """A schedule that is due each time this span has passed."""
    return a_schedule(every=span, **others)
