"""Batches and limits of function workers: what is taken back, and what is ended.

A limit is kept by the worker's template (`jobctl.worker.limits`), also while no daemon runs; here it is
kept a second time, a little later, for workers whose template is dead.

A worker may hold several short jobs. When one of them takes long, the ones behind it are taken back
and given to others. A function cannot be asked from outside to stop: its worker is ended, with all that
it started, and another one is forked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.clock import SECOND
from jobctl.engine.base import Settled
from jobctl.engine.local import burial
from jobctl.engine.local.worker import BATCH_LIMIT, BATCH_US, TAKE_BACK_S, Phase, Worker
from jobctl.result import Outcome, Verdict
from jobctl.worker import processes
from jobctl.worker.marks import read_marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.engine.base import Adoptable, Attempt
    from jobctl.engine.local.house import House
    from jobctl.worker.marks import Mark


_TEMPLATE_S = 1.0
"""How long a template may take to end a job that is over its limit."""


class Batches:
    """See the module."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._check_at: float | None = None
        # By worker: a job with a limit of its own is the only one that its worker holds.
        self._limits: dict[str, tuple[float, int]] = {}

    def given(self, worker: Worker, attempts: Sequence[Attempt], monotonic: float) -> None:
        """These were handed over just now."""
        if len(worker.attempts) > 1 and self._check_at is None:
            self._check_at = monotonic + TAKE_BACK_S
        for attempt in attempts:
            if attempt.timeout_s is not None:
                self._limits[worker.instance] = (
                    monotonic + attempt.timeout_s + _TEMPLATE_S,
                    attempt.token,
                )

    def adopted(self, worker: Worker, attempts: Iterable[Adoptable | Attempt]) -> None:
        """These were found with a worker that lives: take back what waits behind the first of them.

        A job that has begun keeps its limit. Its worker may be busy for
        hours and hear nothing, so nothing here asks it. What has no mark is certainly unbegun if there
        is still a ticket for each: else the worker is just about to begin one of them, and will say so
        when it answers.
        """
        try:
            marks = read_marks(str(worker.directory))
        except OSError:
            # The folder may be another user's, who put something else there: its worker keeps what it
            # has, and a job that had begun has its limit counted from the claim.
            self._keep_limits(worker, attempts, {})
            return
        self._keep_limits(worker, attempts, marks)
        now = self._house.clock.now()
        try:
            worker.open_tickets()
        except OSError:
            return
        unbegun = [a for a in worker.attempts.values() if a.token not in marks]
        if worker.drain_tickets() < len(unbegun):
            return
        for attempt in unbegun:
            del worker.attempts[attempt.token]
        self._release(worker, unbegun, now)

    def _keep_limits(
        self,
        worker: Worker,
        attempts: Iterable[Adoptable | Attempt],
        marks: Mapping[int, Mark],
    ) -> None:
        now, monotonic = self._house.clock.now(), self._house.clock.monotonic()
        for attempt in attempts:
            if attempt.timeout_s is not None:
                mark = marks.get(attempt.token)
                if mark is not None and mark.deadline:
                    at = mark.deadline / SECOND
                else:
                    waited_s = max(now - attempt.claimed_at, 0) / SECOND
                    at = monotonic + max(attempt.timeout_s - waited_s, 0.0)
                self._limits[worker.instance] = (at + _TEMPLATE_S, attempt.token)

    def step(self, monotonic: float) -> None:
        """Take back what is held up, end what is over its limit."""
        if self._check_at is not None and self._check_at <= monotonic:
            self._take_back_held_up(monotonic)
        for instance, (at, token) in list(self._limits.items()):
            worker = self._house.workers.get(instance)
            if worker is None or token not in worker.attempts or self._house.outbox.has(token):
                del self._limits[instance]
            elif at <= monotonic:
                del self._limits[instance]
                self.stop(worker, token, Verdict.TIMEOUT)

    @property
    def deadline(self) -> float | None:
        """When `step` has something to do."""
        found = [at for at, _ in self._limits.values()]
        if self._check_at is not None:
            found.append(self._check_at)
        return min(found, default=None)

    def _take_back_held_up(self, monotonic: float) -> None:
        self._check_at = None
        now = self._house.clock.now()
        for worker in self._house.workers.values():
            if worker.kind != "function" or len(worker.attempts) < 2:
                continue
            if worker.phase is Phase.SERVING and worker.is_held_up(monotonic):
                taken = worker.take_back()
                if taken:
                    # Whatever it is that takes so long: one at a time until shorter ones have ended.
                    worker.mean_us = float(BATCH_US * BATCH_LIMIT)
                    self._release(worker, taken, now)
            if len(worker.attempts) > 1 and not worker.is_forgetting:
                self._check_at = monotonic + TAKE_BACK_S

    def release_unbegun(self) -> None:
        """Take back what no worker has begun."""
        now = self._house.clock.now()
        for worker in self._house.workers.values():
            self._release(worker, worker.take_back(), now)

    def _release(
        self, worker: Worker, attempts: Iterable[Attempt | Adoptable], now: Moment
    ) -> None:
        outcomes = [burial.released(attempt, now) for attempt in attempts]
        self._house.outbox.emit(Settled(worker.instance, (), outcomes))

    def stop(self, worker: Worker, token: int, verdict: Verdict) -> None:
        """End one attempt: at once if nothing of it has begun, else with its worker."""
        worker.stopping[token] = verdict.value
        now = self._house.clock.now()
        outcomes = []
        for taken in worker.take_back():
            chosen = verdict if taken.token == token else Verdict.RELEASED
            outcomes.append(
                Outcome(token=taken.token, job_id=taken.job_id, verdict=chosen, finished_at=now)
            )
        self._house.outbox.emit(Settled(worker.instance, (), outcomes))
        if token in worker.attempts and worker.phase is not Phase.DYING:
            processes.end_tree(worker.pid)
