"""Clients that wait for jobs to end: answered by the turn in which the job ends, without polling."""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobctl.daemon.server import Call, Connection


class Waiter:
    """One wait: ``answer`` is called once, with True when all jobs have ended, else on time-out."""

    __slots__ = ("answer", "call", "is_over", "pending")

    def __init__(self, call: Call, pending: set[int], answer: Callable[[bool], None]) -> None:
        self.call = call
        self.pending = pending
        self.answer = answer
        self.is_over = False


class Waiters:
    """Everybody who waits, by job."""

    def __init__(self) -> None:
        self._by_job: dict[int, list[Waiter]] = defaultdict(list)
        self._by_connection: dict[Connection, list[Waiter]] = defaultdict(list)
        self._deadlines: list[tuple[float, int, Waiter]] = []
        self._count = 0

    def add(
        self,
        call: Call,
        jobs: Iterable[int],
        answer: Callable[[bool], None],
        *,
        deadline: float | None = None,
    ) -> None:
        """Call ``answer`` when all of these jobs have ended; all of them are unfinished now."""
        waiter = Waiter(call, set(jobs), answer)
        for job in waiter.pending:
            self._by_job[job].append(waiter)
        self._by_connection[call.connection].append(waiter)
        if deadline is not None:
            self._count += 1
            heapq.heappush(self._deadlines, (deadline, self._count, waiter))

    def end(self, jobs: Iterable[int]) -> None:
        """These jobs have ended, durably."""
        for job in jobs:
            for waiter in self._by_job.pop(job, ()):
                waiter.pending.discard(job)
                if not waiter.pending:
                    self._finish(waiter, is_complete=True)

    def step(self, monotonic: float) -> float | None:
        """Answer the waits whose time is over; gives back the next deadline."""
        while self._deadlines and (
            self._deadlines[0][0] <= monotonic or self._deadlines[0][2].is_over
        ):
            waiter = heapq.heappop(self._deadlines)[2]
            self._finish(waiter, is_complete=False)
        return self._deadlines[0][0] if self._deadlines else None

    def _finish(self, waiter: Waiter, *, is_complete: bool) -> None:
        if waiter.is_over:
            return
        self._drop(waiter)
        mine = self._by_connection.get(waiter.call.connection)
        if mine is not None:
            mine.remove(waiter)
            if not mine:
                del self._by_connection[waiter.call.connection]
        waiter.answer(is_complete)

    def _drop(self, waiter: Waiter) -> None:
        waiter.is_over = True
        for job in waiter.pending:
            others = self._by_job.get(job)
            if others is not None:
                others.remove(waiter)
                if not others:
                    del self._by_job[job]

    def forget(self, connection: Connection) -> None:
        """The client has gone."""
        for waiter in self._by_connection.pop(connection, ()):
            self._drop(waiter)

    def __len__(self) -> int:
        return sum(len(waiters) for waiters in self._by_connection.values())
