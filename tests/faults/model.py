"""The queue against a small model of it, over random histories.

A history submits (with keys), lets attempts succeed, fail and be lost, repeats outcomes, cancels, retries,
lets time pass, sets the clock, reloads, prunes, and kills the daemon: between turns, and before and after the
commit of any of these. After each step the model, which is a dictionary and some plain rules, says in which
state each job is, how its attempts ended and which ones run; store and workers must say the same. Besides:

* no attempt begins twice, and none of a job beside another;
* what was acknowledged is there, and a repeated submit with its key gives the same job (P1, P8);
* each instant of the schedules has one fate, and no two jobs of a schedule with ``skip`` are unfinished (P6);
* nothing unfinished is ever pruned; the store is whole at the end.

``python -m tests.faults.model`` runs histories and prints how many steps they had.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobctl.clock import SECOND
from jobctl.engine.base import Settled
from jobctl.logs import logger
from jobctl.plan import DaemonSettings, Plan
from jobctl.protocol import requests
from jobctl.result import Outcome, Verdict
from jobctl.store import jobs as job_rows
from tests.faults.crash_disk import memory
from tests.faults.model_daemon import Call, Crashed, ModelDaemon, Workers
from tests.support.builders import a_plan, a_schedule, a_task, rows
from tests.support.clock import FakeClock

ROOMS: Final = {("k1", "command"): 1, ("k2", "command"): 1, ("f1", "function"): 2}
KEEP_S: Final = 2 * 3600.0
DELAY_S: Final = 10.0


@dataclass(frozen=True)
class Kind:
    """A task, as the model knows it."""

    kind: str = "command"
    retries: int = 0
    retries_after_reload: int | None = None
    on_lost: str = "fail"
    max_lost: int = 2
    most: int = 10**6
    most_after_reload: int = 10**6
    is_removed: bool = False


TASKS: Final = {
    "plain": Kind(),
    "again": Kind(retries=2, retries_after_reload=0, on_lost="retry"),
    "narrow": Kind(most=1, most_after_reload=2, on_lost="retry"),
    "gone": Kind(is_removed=True),
    "count": Kind(kind="function", retries=1, on_lost="retry"),
}


def plan_of(*, is_reloaded: bool) -> Plan:
    """One of the two plans between which reloads change."""
    tasks = []
    for name, kind in TASKS.items():
        if is_reloaded and kind.is_removed:
            continue
        retries, most = kind.retries, kind.most
        if is_reloaded:
            retries = retries if kind.retries_after_reload is None else kind.retries_after_reload
            most = kind.most_after_reload
        keys: dict[str, Any] = {
            "retries": retries,
            "retry_delay": f"{DELAY_S:.0f}s",
            "retry_backoff": False,
            "retry_jitter": False,
            "on_lost": kind.on_lost,
            "max_lost": kind.max_lost,
        }
        if kind.most < 100:
            keys["concurrency"] = most
        if kind.kind == "function":
            keys["function"] = "shop.tasks:count"
        tasks.append(a_task(name, **keys))
    schedules = [
        a_schedule("minute", task="plain", every="1m", on_overlap="skip", on_missed="once"),
        a_schedule("slow", task="count", every="7m", on_overlap="allow", on_missed="skip"),
    ]
    return a_plan(tasks=tasks, schedules=schedules, settings=DaemonSettings(keep_s=KEEP_S))


PLANS: Final = {flag: plan_of(is_reloaded=flag) for flag in (False, True)}


@dataclass
class Job:
    """A job, as the model knows it. ``ready_at``: None is now."""

    id: int
    task: str
    priority: int
    ready_at: int | None
    expires_at: int | None
    state: str = "PENDING"
    failures: int = 0
    losses: int = 0
    verdicts: list[str] = field(default_factory=list)
    is_cancelled: bool = False
    finished_at: int | None = None

    @property
    def is_waiting(self) -> bool:
        return self.state in ("PENDING", "RETRY")


class Model:
    """The rules, in the plainest form."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.is_reloaded = False

    def kind(self, job: Job) -> Kind:
        return TASKS[job.task]

    def end(self, job: Job, verdict: Verdict, now: int) -> None:
        """The running attempt has ended."""
        assert job.state == "STARTED"
        kind = self.kind(job)
        job.verdicts.append(verdict.value)
        if verdict is Verdict.SUCCESS:
            self._finish(job, "SUCCESS", now)
            return
        if job.is_cancelled or verdict is Verdict.CANCELLED:
            self._finish(job, "REVOKED", now)
            return
        job.failures += verdict is Verdict.FAILURE
        job.losses += verdict is Verdict.LOST
        retries = kind.retries
        if self.is_reloaded and kind.retries_after_reload is not None:
            retries = kind.retries_after_reload
        if self.is_reloaded and kind.is_removed:
            # Nothing is known of its task any more: the defaults hold.
            retries, may_lose = 0, False
        else:
            may_lose = kind.on_lost == "retry" and job.losses < kind.max_lost
        is_again = job.failures <= retries if verdict is Verdict.FAILURE else may_lose
        if not is_again:
            self._finish(job, "FAILURE", now)
            return
        job.state, job.ready_at = "RETRY", now + int(DELAY_S * SECOND)

    def _finish(self, job: Job, state: str, now: int) -> None:
        job.state, job.finished_at = state, now

    def advance(self, now: int) -> None:
        """It is too late for some."""
        for job in self.jobs.values():
            is_new = not job.verdicts and job.expires_at is not None
            if job.is_waiting and is_new and now >= job.expires_at:  # type: ignore[operator]
                self._finish(job, "REVOKED", now)
            elif job.is_waiting and job.ready_at is not None and job.ready_at <= now:
                # Whatever the clock is set to from now on.
                job.ready_at = None

    def claim(self) -> None:
        """Whoever can run does: highest priority first, then the oldest."""
        room = Counter({"command": 2, "function": 2})
        running: Counter[str] = Counter()
        for job in self.jobs.values():
            if job.state == "STARTED":
                room[self.kind(job).kind] -= 1
                running[job.task] += 1
        for job in sorted(self.jobs.values(), key=lambda job: (-job.priority, job.id)):
            kind = self.kind(job)
            if not job.is_waiting or job.ready_at is not None:
                continue
            if self.is_reloaded and kind.is_removed:
                continue
            most = kind.most_after_reload if self.is_reloaded else kind.most
            if room[kind.kind] > 0 and running[job.task] < most:
                job.state = "STARTED"
                room[kind.kind] -= 1
                running[job.task] += 1


MOMENTS = st.sampled_from([None, "before", "after"])
"""When the daemon dies in a step: not at all, or before or after its commit."""


class Queue(RuleBasedStateMachine):
    """The histories."""

    steps = 0
    crashes = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="jobctl-", dir=memory()))
        self.clock = FakeClock()
        self.workers = Workers(ROOMS)
        self.model = Model()
        self.daemon = ModelDaemon(self.folder / "d", self.clock, self.workers, PLANS[False])
        self.ended: list[tuple[str, int, int]] = []
        self.keys: dict[str, int] = {}
        self.created: set[int] = set()
        self.renewed: set[int] = set()
        self.pruned = 0

    def teardown(self) -> None:
        try:
            self.settle()
            assert self.daemon.database.rows("PRAGMA integrity_check") == [("ok",)]
            assert self.daemon.database.rows("PRAGMA foreign_key_check") == []
        finally:
            self.daemon.close()
            shutil.rmtree(self.folder)

    @property
    def plan(self) -> Plan:
        return PLANS[self.model.is_reloaded]

    def note(self, what: str) -> None:
        type(self).steps += 1
        type(self).seen[what] += 1

    def do(self, request: requests.Request, dies: str | None) -> Call | None:
        """Ask for something; None: the daemon died before it could answer."""
        call = Call(request)
        self.daemon.dies = dies
        try:
            self.daemon.turn(call)
        except Crashed:
            type(self).crashes += 1
            self.daemon._bury(self.plan)
            return None
        self.daemon.dies = None
        return call

    def pass_turn(self, dies: str | None) -> None:
        """A turn without a request."""
        self.daemon.dies = dies
        try:
            self.daemon.turn()
        except Crashed:
            type(self).crashes += 1
            self.daemon._bury(self.plan)
        self.daemon.dies = None

    # -- what happens ----------------------------------------------------------------------------------

    @rule(
        task=st.sampled_from(sorted(TASKS)),
        priority=st.integers(0, 2),
        delay_s=st.sampled_from([None, None, 5.0, 90.0]),
        expires_s=st.sampled_from([None, None, None, 1.0, 30.0, 600.0]),
        dies=MOMENTS,
    )
    def submit(
        self,
        task: str,
        priority: int,
        delay_s: float | None,
        expires_s: float | None,
        dies: str | None,
    ) -> None:
        self.note("submit")
        if self.model.is_reloaded and TASKS[task].is_removed:
            return
        now = self.clock.now()
        if delay_s is not None and expires_s is not None:
            expires_s += delay_s
        data = {
            "task": task,
            "priority": priority,
            "delay_s": delay_s,
            "expires_at": None if expires_s is None else now + round(expires_s * SECOND),
            "key": f"k{len(self.keys):08}",
        }
        job = {name: value for name, value in data.items() if value is not None}
        request = requests.Submit(jobs=[job])
        call = self.do(request, dies)
        if call is None:
            # The client does not know what became of it, and asks again.
            call = self.do(request, None)
        assert call is not None
        assert call.refusal is None, call.refusal
        (answer,) = json.loads(str(call.answered))["jobs"]
        assert answer["id"] not in self.model.jobs or answer["duplicate"]
        assert answer.get("duplicate", False) == (dies == "after")
        self.keys[str(data["key"])] = answer["id"]
        ready_at = None if delay_s is None else now + round(delay_s * SECOND)
        expires: Any = data["expires_at"]
        self.model.jobs[answer["id"]] = Job(answer["id"], task, priority, ready_at, expires)

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        """A key that was used gives the same job, whatever became of it."""
        self.note("submit again")
        key = data.draw(st.sampled_from(sorted(self.keys)))
        found = self.daemon.database.row("SELECT job_id FROM keys WHERE key = ?", (key,))
        if found is not None:
            assert found == (self.keys[key],)
        else:
            assert self.keys[key] not in self.model.jobs or self.pruned

    @precondition(lambda self: self.workers.held)
    @rule(
        place=st.integers(0, 3),
        verdict=st.sampled_from(["success", "failure", "lost"]),
        dies=MOMENTS,
    )
    def finish(self, place: int, verdict: str, dies: str | None) -> None:
        self.note(verdict)
        # Not by token, which is random: the same history is to do the same.
        in_order = sorted(self.workers.held, key=lambda token: self.workers.held[token][1].job_id)
        token = in_order[place % len(in_order)]
        worker, attempt = self.workers.held[token]
        end = Verdict(verdict)
        if token in self.workers.to_stop and end is Verdict.FAILURE:
            end = Verdict.CANCELLED
        now = self.clock.now()
        self.workers.end(token, end, now)
        self.pass_turn(dies)
        self.ended.append((worker, attempt.job_id, token))
        self.model.end(self.model.jobs[attempt.job_id], end, now)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), verdict=st.sampled_from(["success", "failure", "lost"]))
    def repeat(self, data: st.DataObject, verdict: str) -> None:
        """The outcome of an attempt that has ended comes again, or another one: nothing changes."""
        self.note("late")
        worker, job_id, token = data.draw(st.sampled_from(self.ended))
        now = self.clock.now()
        outcome = Outcome(token=token, job_id=job_id, verdict=Verdict(verdict), finished_at=now)
        self.workers.repeat(Settled(worker, outcomes=[outcome]))

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), dies=MOMENTS)
    def cancel(self, data: st.DataObject, dies: str | None) -> None:
        self.note("cancel")
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        call = self.do(requests.Cancel(job=job.id), dies)
        if call is None and dies == "before":
            self.do(requests.Cancel(job=job.id), None)
        # A turn settles and expires before it claims: the request comes before both.
        if job.is_waiting:
            job.state, job.finished_at = "REVOKED", self.clock.now()
        elif job.state == "STARTED":
            job.is_cancelled = True
            tokens = [
                t for t, (_, attempt) in self.workers.held.items() if attempt.job_id == job.id
            ]
            assert set(tokens) <= self.workers.to_stop, "an attempt that is cancelled runs on"

    @precondition(lambda self: any(job.finished_at for job in self.model.jobs.values()))
    @rule(data=st.data(), dies=MOMENTS)
    def retry(self, data: st.DataObject, dies: str | None) -> None:
        self.note("retry")
        ended = [job.id for job in self.model.jobs.values() if job.finished_at is not None]
        job = self.model.jobs[data.draw(st.sampled_from(sorted(ended)))]
        call = self.do(requests.Retry(job=job.id), dies)
        if call is None and dies == "before":
            call = self.do(requests.Retry(job=job.id), None)
        assert call is None or call.refusal is None, call.refusal
        self.renewed.add(job.id)
        job.state, job.finished_at, job.failures, job.losses = "PENDING", None, 0, 0
        job.ready_at = job.expires_at = None
        job.is_cancelled = False

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 10.0, 59.0, 61.0, 600.0]), dies=MOMENTS)
    def tick(self, seconds: float, dies: str | None) -> None:
        self.note("tick")
        self.clock.advance(seconds)
        self.pass_turn(dies)

    @rule(seconds=st.sampled_from([-7200.0, -300.0, -1.0, 1.0, 300.0, 7200.0]))
    def step_clock(self, seconds: float) -> None:
        self.note("clock step")
        self.clock.step(seconds)

    @precondition(lambda self: self.model.jobs)
    @rule()
    def crash(self) -> None:
        self.note("crash")
        type(self).crashes += 1
        self.daemon.crash(self.plan)

    @rule()
    def reload(self) -> None:
        self.note("reload")
        self.model.is_reloaded = not self.model.is_reloaded
        self.daemon.take(self.plan)

    @rule()
    def prune(self) -> None:
        """The retention walks the whole store."""
        self.note("prune")
        self.clock.advance(600.0)
        self.settle()
        before = self.clock.now() - round(KEEP_S * SECOND)
        left = {row["id"] for row in rows(self.daemon.database, "jobs", "id")}
        for job in list(self.model.jobs.values()):
            if job.id not in left:
                assert job.finished_at is not None, f"pruned although unfinished: {job}"
                assert job.finished_at < before, f"pruned too early: {job}"
                del self.model.jobs[job.id]
                self.pruned += 1

    # -- what must hold --------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything that can happen at this moment happens, here and there."""
        self.daemon.settle()
        self._learn_of_instants()
        self.model.advance(self.clock.now())
        self.model.claim()

    def _learn_of_instants(self) -> None:
        """The beat decides which instants make jobs; that each has one fate is looked at by itself."""
        task_of = {spec.name: spec.task for spec in self.plan.schedules.values()}
        names = {row["id"]: row["name"] for row in rows(self.daemon.database, "schedules")}
        for row in rows(self.daemon.database, "fires"):
            job_id = row["job_id"]
            if job_id is not None and job_id not in self.created:
                name = names[row["schedule"]]
                self.created.add(job_id)
                self.model.jobs[job_id] = Job(job_id, task_of[name], 0, None, None)

    @invariant()
    def agree(self) -> None:
        """Store, workers and model say the same."""
        self.settle()
        found = {row["id"]: row for row in rows(self.daemon.database, "jobs", "id")}
        for job in list(self.model.jobs.values()):
            if job.id not in found and job.finished_at is not None:
                # Pruned by the walk that time has brought.
                assert job.finished_at < self.clock.now() - round(KEEP_S * SECOND), job
                del self.model.jobs[job.id]
                self.pruned += 1
        assert found.keys() == self.model.jobs.keys()
        attempts: dict[int, list[str]] = {id: [] for id in found}
        for row in rows(self.daemon.database, "attempts", "job_id, number"):
            attempts[row["job_id"]].append(row["verdict"])
        for id, job in self.model.jobs.items():
            row = found[id]
            told = (row["state"], row["failures"], row["losses"], attempts[id])
            assert told == (job.state, job.failures, job.losses, job.verdicts), (job, dict(row))
        held = [attempt.job_id for _, attempt in self.workers.held.values()]
        assert len(held) == len(set(held)), "two attempts of a job run beside each other"
        running = {job.id for job in self.model.jobs.values() if job.state == "STARTED"}
        assert set(held) == running
        begun = [token for _, token in self.workers.begun_ever]
        assert len(begun) == len(set(begun)), "an attempt has begun twice"

    @invariant()
    def each_instant_has_one_fate(self) -> None:
        """No gap and no overlap in the rows of a rule; no two unfinished jobs where ``skip`` forbids it."""
        database = self.daemon.database
        for schedule in rows(database, "schedules"):
            unfinished = job_rows.unfinished_of_schedule(database, schedule=schedule["id"])
            if schedule["name"] == "minute":
                by_itself = [job.id for job in unfinished if job.id not in self.renewed]
                assert len(by_itself) <= 1, unfinished
        for rule_row in rows(database, "rules", "schedule, number"):
            period = {1: 60, 2: 420}[rule_row["schedule"]] * SECOND
            fires = database.dicts(
                "SELECT * FROM fires WHERE schedule = ? AND rule = ? ORDER BY first",
                (rule_row["schedule"], rule_row["number"]),
            )
            for fire, following in pairwise(fires):
                assert fire["last"] + period == following["first"], (fire, following)
            for fire in fires:
                assert fire["last"] - fire["first"] == (fire["count"] - 1) * period, fire


def run(histories: int, steps: int, number: int, *, is_shrunk: bool = True) -> None:
    """Run histories; raises AssertionError with the shortest history that breaks a promise."""
    phases = [Phase.generate, *([Phase.shrink] if is_shrunk else [])]
    wanted = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        report_multiple_bugs=False,
    )
    level = logger.level
    # It refuses late outcomes all the time here, and says so.
    logger.setLevel(logging.CRITICAL)
    try:
        run_state_machine_as_test(seed(number)(Queue), settings=wanted)
    finally:
        logger.setLevel(level)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    run(given.histories, given.steps, given.seed)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(Queue.seen.items()))
    sys.stdout.write(
        f"seed {given.seed}\n{given.histories} histories, {Queue.steps} steps ({counts}), "
        f"{Queue.crashes} crashes, 0 violations\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
