"""Batches and limits of function workers: what is taken back, and what is ended.

A limit is kept by the worker's template (`jobctl.worker.limits`), also while no daemon runs; here it is
kept a second time, a little later, for workers whose template is dead.

A worker may hold several short jobs. When one of them takes long, the ones behind it are taken back
and given to others. A function cannot be asked from outside to stop: its worker is ended, with all that
it started, and another one is forked.

A coroutine can be asked: its worker cancels it (`jobctl.worker.coroutines`). Only one that does not end
then is ended with its worker. Nothing waits behind it either, unless its code holds the loop up: what has
not begun by then is taken back, and the log names the job.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from jobctl.clock import SECOND, earliest
from jobctl.engine.base import Settled
from jobctl.engine.local import burial
from jobctl.engine.local.worker import BATCH_LIMIT, BATCH_US, TAKE_BACK_S, Phase, Worker
from jobctl.logs import fields, logger
from jobctl.result import Outcome, Verdict
from jobctl.worker import processes
from jobctl.worker.limits import HARD_S
from jobctl.worker.marks import Step, read_marks, read_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.engine.base import Adoptable, Attempt
    from jobctl.engine.local.house import House
    from jobctl.worker.marks import Mark


_TEMPLATE_S = 1.0
"""How long a template may take to end a job that is over its limit."""

BLOCKED_S = 1.0
"""So long a worker of many coroutines may leave jobs unbegun: after that, something holds its loop up."""

_HELD_UP_S = 0.25
"""From when on one is shown whose code has run for so long in one step."""


class _Limits:
    """When to end which attempts, whoever holds them by then. Most of them end long before."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, Verdict]] = []
        self._roomy = 64

    def add(
        self, at: float, worker: Worker, token: int, verdict: Verdict = Verdict.TIMEOUT
    ) -> None:
        """End this attempt at a moment of the monotonic clock."""
        heapq.heappush(self._heap, (at, token, worker.instance, verdict))

    def due(self, monotonic: float) -> Iterator[tuple[int, str, Verdict]]:
        """Token, worker and verdict of those whose moment has come; each once."""
        while self._heap and self._heap[0][0] <= monotonic:
            yield heapq.heappop(self._heap)[1:]

    def prune(self, is_over: Callable[[int, str], bool]) -> None:
        """Let go of those that are over: at once of the next ones, so that nobody wakes up for them, and of
        all when there are twice as many as there were left the last time."""
        while self._heap and is_over(*self._heap[0][1:3]):
            heapq.heappop(self._heap)
        if len(self._heap) > self._roomy:
            self._heap = [entry for entry in self._heap if not is_over(*entry[1:3])]
            heapq.heapify(self._heap)
            self._roomy = max(2 * len(self._heap), 64)

    @property
    def next_at(self) -> float | None:
        """When the first is due."""
        return self._heap[0][0] if self._heap else None


class Batches:
    """See the module."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._check_at: float | None = None
        self._limits = _Limits()
        self._watched: set[str] = set()

    def given(self, worker: Worker, attempts: Sequence[Attempt], monotonic: float) -> None:
        """These were handed over just now."""
        if worker.is_concurrent:
            self._watch(worker)
        elif len(worker.attempts) > 1 and self._check_at is None:
            self._check_at = monotonic + TAKE_BACK_S
        for attempt in attempts:
            if attempt.timeout_s is not None:
                at = monotonic + attempt.timeout_s + _grace_s(worker)
                self._limits.add(at, worker, attempt.token)

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
                    at = mark.deadline / SECOND + _TEMPLATE_S
                else:
                    waited_s = max(now - attempt.claimed_at, 0) / SECOND
                    at = monotonic + max(attempt.timeout_s - waited_s, 0.0) + _grace_s(worker)
                self._limits.add(at, worker, attempt.token)

    def step(self, monotonic: float) -> None:
        """Take back what is held up, end what is over its limit."""
        if self._check_at is not None and self._check_at <= monotonic:
            self._take_back_held_up(monotonic)
        self._limits.prune(self._is_over)
        for token, instance, verdict in self._limits.due(monotonic):
            if not self._is_over(token, instance):
                self._end(self._house.workers[instance], token, verdict)

    def _is_over(self, token: int, instance: str) -> bool:
        worker = self._house.workers.get(instance)
        return worker is None or token not in worker.attempts or self._house.outbox.has(token)

    @property
    def deadline(self) -> float | None:
        """When `step` has something to do."""
        return earliest(self._limits.next_at, self._check_at)

    def _take_back_held_up(self, monotonic: float) -> None:
        self._check_at = None
        now = self._house.clock.now()
        for worker in self._house.workers.values():
            if worker.kind != "function" or worker.is_concurrent or len(worker.attempts) < 2:
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

    # -- stopping one -----------------------------------------------------------------------------

    def stop(self, worker: Worker, token: int, verdict: Verdict) -> None:
        """End one attempt: at once if nothing of it has begun, else by itself or with its worker."""
        if not worker.is_concurrent:
            self._end(worker, token, verdict)
            return
        worker.stopping[token] = verdict.value
        self._take_back_for(worker, token, verdict)
        if token not in worker.attempts:
            return
        if worker.phase is Phase.SERVING:
            worker.stop(token, verdict.value, ())
        # One that does not answer yet is told when it does, or ended then.
        at = self._house.clock.monotonic() + HARD_S + _TEMPLATE_S
        self._limits.add(at, worker, token, verdict)

    def _end(self, worker: Worker, token: int, verdict: Verdict) -> None:
        """End one attempt; if it has begun, with its worker."""
        worker.stopping.setdefault(token, verdict.value)
        self._take_back_for(worker, token, verdict)
        if token in worker.attempts and worker.phase is not Phase.DYING:
            worker.ended_for = worker.attempts[token].job_id
            processes.end_tree(worker.pid)

    def _take_back_for(self, worker: Worker, token: int, verdict: Verdict) -> None:
        """Take back what has not begun; of that, the one to be stopped has ended with this."""
        now = self._house.clock.now()
        outcomes = []
        for taken in worker.take_back():
            chosen = verdict if taken.token == token else Verdict.RELEASED
            outcomes.append(
                Outcome(token=taken.token, job_id=taken.job_id, verdict=chosen, finished_at=now)
            )
        self._house.outbox.emit(Settled(worker.instance, (), outcomes))

    # -- many side by side ------------------------------------------------------------------------

    def _watch(self, worker: Worker) -> None:
        """Look after a while whether it has begun what it was given."""
        if worker.instance not in self._watched:
            self._watched.add(worker.instance)
            self._house.timers.after(BLOCKED_S, lambda: self._look_at(worker))

    def _look_at(self, worker: Worker) -> None:
        self._watched.discard(worker.instance)
        if worker.phase is not Phase.SERVING or not worker.has_untaken_tickets():
            return
        monotonic = self._house.clock.monotonic()
        step = self._long_step(worker, monotonic, BLOCKED_S)
        if step is None and monotonic - worker.news_at < BLOCKED_S:
            self._watch(worker)
            return
        logger.warning(
            "a worker begins nothing any more, because the code of one job holds all others up",
            extra=fields(
                pid=worker.pid, group=worker.group, job=step.job_id if step is not None else None
            ),
        )
        self._release(worker, worker.take_back(), self._house.clock.now())

    def blocked_by(self, worker: Worker) -> int | None:
        """The job whose code holds up all others of its worker at this moment, and has for a while."""
        if not worker.is_concurrent or worker.phase is Phase.DYING:
            return None
        step = self._long_step(worker, self._house.clock.monotonic(), _HELD_UP_S)
        return step.job_id if step is not None else None

    @staticmethod
    def _long_step(worker: Worker, monotonic: float, longer_than_s: float) -> Step | None:
        step = read_step(str(worker.directory))
        if step is None or monotonic - step.since / SECOND < longer_than_s:
            return None
        return step


def _grace_s(worker: Worker) -> float:
    """How long after a limit its attempt is ended from here: whoever is nearer shall have had the time."""
    return _TEMPLATE_S + (HARD_S if worker.is_concurrent else 0.0)
