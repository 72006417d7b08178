"""The daemon's view of one worker or keeper: what it holds, whether it lives, what it may be given."""

from __future__ import annotations

import fcntl
import os
import termios
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from jobctl.clock import SECOND
from jobctl.engine.base import Adoptable, Attempt, Done, Poller, Settled
from jobctl.engine.local import messages
from jobctl.engine.local.link import PROTOCOLS, Link
from jobctl.result import Outcome, Verdict
from jobctl.worker import bounds
from jobctl.worker.marks import SLOTS, TICKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

PauseAnswer: TypeAlias = "Callable[[str], None]"
"""Gets why an attempt was not paused, or did not go on; an empty text when it was done."""

BATCH_LIMIT = 128
"""Most jobs in one batch. Two batches and their outcomes must fit a worker's slots."""

BATCH_US = 4_000
"""How long a batch should take: long enough to be worth its message, short enough to be fair."""

CLAIM_LIMIT = 256
"""Most jobs that are handed at once to a worker that makes them side by side."""

TAKE_BACK_S = 0.010
"""A batch without news for this long is held up by a long job: the rest is taken back."""

assert BATCH_LIMIT * 3 < SLOTS


class Phase(Enum):
    """Where a worker stands in its life."""

    STARTING = "starting"
    """Asked for; its template has not forked it yet."""
    GREETING = "greeting"
    """It lives; it has not answered this daemon's hello (it may be busy in user code)."""
    SERVING = "serving"
    """It takes work."""
    DYING = "dying"
    """Its process has ended; its attempts are being settled."""


class Worker:
    """One worker of either kind.

    ``concurrency`` is how many functions it makes side by side; 0: one after the other, in batches.
    """

    def __init__(
        self,
        *,
        instance: str,
        kind: str,
        group: str,
        directory: Path,
        cgroup: str,
    ) -> None:
        self.instance = instance
        self.kind = kind
        self.group = group
        self.directory = directory
        self.cgroup = cgroup
        # Where it makes cgroups for attempts with limits, by controller.
        self.corners: Mapping[str, str] = {}
        self.concurrency = 0
        # Who counts its processes that the kernel ends for want of memory, and how many there were.
        self._oom_counter = ""
        self._oom_kills = 0
        self.phase = Phase.STARTING
        self.pid = 0
        self.pidfd = -1
        self.link: Link | None = None
        self.attempts: dict[int, Attempt | Adoptable] = {}
        self._ended: set[int] = set()
        self.made = 0
        self.exit_code: int | None = None
        self.is_retiring = False
        self.is_worn = False
        self.has_leftovers = False
        self.is_forgetting = False
        self.mean_us = float(BATCH_US)
        self.news_at = 0.0
        self.stopping: dict[int, str] = {}
        self.not_running: list[int] = []
        self.is_buried = False
        self.unreachable = ""
        # The job for which this daemon has ended it, because that did not end alone.
        self.ended_for: int | None = None
        self.is_from_earlier_boot = False
        self.is_nameless = False
        self.born_at: float | None = None
        self.idle_since = 0.0
        self._tickets = -1
        self._owed_tickets = 0
        # Signals with which stop sequences shall begin, until they have been told.
        self.first_signals: dict[int, int] = {}
        self._sent_stops: set[int] = set()
        # Who waits for a word on an attempt that shall be paused, or go on.
        self._pausing: dict[int, list[PauseAnswer]] = {}

    # -- life -------------------------------------------------------------------------------------

    def connect(self, link: Link) -> None:
        """Greet the worker over a new connection."""
        self._leave_unanswered("the connection to its keeper has ended")
        self.link = link
        self.phase = Phase.GREETING
        # What the last connection did not take has never arrived.
        self._owed_tickets = 0
        link.send({"do": "hello", "protocol": list(PROTOCOLS)})
        if self.is_retiring:
            # Said before there was a connection to say it over.
            link.send({"do": "retire"})

    def serve(self) -> None:
        """It has answered: it takes work from now on."""
        self.phase = Phase.SERVING
        if self.kind == "function" and self._tickets < 0:
            self.open_tickets()

    def open_tickets(self) -> None:
        """Open the pipe of tickets. Raises OSError when the worker has not made it."""
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        self._tickets = os.open(self.directory / TICKETS, flags)

    def watch_memory(self, limiting: Mapping[str, str]) -> None:
        """Count from now on what the kernel ends for want of memory; ``limiting`` are the daemon's corners."""
        self._oom_counter = bounds.oom_counter(self.cgroup, limiting)
        self._oom_kills = self._count_oom_kills()

    @property
    def has_lacked_memory(self) -> bool:
        """The kernel has ended something in its cgroup, or in the nearest that is counted."""
        return self._count_oom_kills() > self._oom_kills

    def _count_oom_kills(self) -> int:
        return (bounds.oom_kills(self._oom_counter) or 0) if self._oom_counter else 0

    def retire(self) -> None:
        """Let it go when its work is done."""
        self.is_retiring = True
        if self.link is not None:
            self.link.send({"do": "retire"})

    def close(self, poller: Poller) -> None:
        """Let go of everything this process holds of it."""
        self._leave_unanswered("its keeper has ended")
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.pidfd >= 0:
            poller.unwatch(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1
        if self._tickets >= 0:
            os.close(self._tickets)
            self._tickets = -1

    @property
    def is_concurrent(self) -> bool:
        """It makes functions side by side: one can be stopped, and none waits behind another."""
        return self.concurrency > 0

    # -- work -------------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more attempts it may be claimed for now.

        Those whose outcomes are on their way to the store take no room: the transaction that claims
        settles them too, and they are acknowledged before the next ones are handed over.
        """
        if self.phase is not Phase.SERVING or self.is_retiring or self.has_leftovers:
            return 0
        held = len(self.attempts) - len(self._ended)
        if self.kind == "keeper":
            return 1 - held
        if self.is_forgetting:
            return 0
        if self.is_concurrent:
            return max(min(self.concurrency - held, CLAIM_LIMIT), 0)
        if held == 0:
            return self.batch()
        batch = self.batch()
        if batch == 1 or held > batch or not self._all_share():
            return 0
        return batch

    def batch(self) -> int:
        """How many jobs make a batch, going by how long the last ones took."""
        return max(1, min(BATCH_LIMIT, int(BATCH_US / max(self.mean_us, 1.0))))

    def _all_share(self) -> bool:
        return all(
            isinstance(attempt, Attempt) and attempt.may_share for attempt in self.attempts.values()
        )

    def give(self, attempts: Sequence[Attempt], monotonic: float) -> None:
        """Hand attempts over; their claims are durable."""
        assert self.link is not None
        for attempt in attempts:
            self.attempts[attempt.token] = attempt
        self.made += len(attempts)
        self.news_at = monotonic
        if self.kind == "keeper":
            (attempt,) = attempts
            assert attempt.order is not None
            self.link.send({"do": "run", "order": dict(attempt.order)})
            return
        jobs = ",".join(
            f'[{attempt.token},{attempt.job_id},"{attempt.task}",{_limits(attempt)},{attempt.payload}]'
            for attempt in attempts
        )
        self.link.send_bytes(f'{{"do":"run","jobs":[{jobs}]}}\n'.encode())
        self._owed_tickets += len(attempts)
        self.pay_tickets()

    def pay_tickets(self) -> None:
        """Allow the jobs that were handed over to begin, once their message has left this process.

        A ticket must not arrive before its message: the worker would begin a job that it has been
        told to forget.
        """
        if self._owed_tickets and self.link is not None and self.link.is_drained:
            os.write(self._tickets, b"." * self._owed_tickets)
            self._owed_tickets = 0

    def drain_tickets(self) -> int:
        """Take every ticket back that the worker has not taken; how many."""
        try:
            return len(os.read(self._tickets, 65_536))
        except BlockingIOError:
            return 0

    def has_untaken_tickets(self) -> bool:
        """It has not begun all that it was given."""
        if self._owed_tickets or self._tickets < 0:
            return self._owed_tickets > 0
        left = bytearray(4)
        fcntl.ioctl(self._tickets, termios.FIONREAD, left)
        return any(left)

    def take_back(self) -> list[Attempt | Adoptable]:
        """Take back what it has not begun and now never will; in the order of handing over."""
        if self._tickets < 0:
            return []
        count = self.drain_tickets() + self._owed_tickets
        self._owed_tickets = 0
        if not count:
            return []
        taken = list(self.attempts.values())[-count:]
        for attempt in taken:
            del self.attempts[attempt.token]
        self.made -= len(taken)
        if self.link is not None:
            self.is_forgetting = True
            self.link.send({"do": "forget", "tokens": [attempt.token for attempt in taken]})
        return taken

    def is_held_up(self, monotonic: float) -> bool:
        """Jobs wait behind one that takes long."""
        return len(self.attempts) > 1 and monotonic - self.news_at >= TAKE_BACK_S

    def stop(self, token: int, verdict: str, stop: Iterable[tuple[int, float]]) -> None:
        """Ask a keeper to stop its command, or a worker to cancel one of its coroutines. Repeating it is
        harmless, and begins the sequence anew only for another first signal."""
        if self.link is None or (token in self._sent_stops and token not in self.first_signals):
            return
        self._sent_stops.add(token)
        steps = [[number, wait_s] for number, wait_s in stop]
        message = {"do": "stop", "token": token, "steps": steps, "verdict": verdict}
        if token in self.first_signals:
            message["signal"] = self.first_signals.pop(token)
        self.link.send(message)

    def pause(self, token: int, *, is_paused: bool, answer: PauseAnswer) -> None:
        """Ask a keeper that serves to pause its command, or to let it go on; repeating it is harmless."""
        assert self.link is not None
        self._pausing.setdefault(token, []).append(answer)
        self.link.send({"do": "pause" if is_paused else "resume", "token": token})

    def answer_pause(self, token: int, error: str) -> None:
        """The keeper's word on it; empty: done. Each is asked for and answered in turn."""
        waiting = self._pausing.get(token)
        if waiting:
            answer = waiting.pop(0)
            if not waiting:
                del self._pausing[token]
            answer(error)

    def _leave_unanswered(self, reason: str) -> None:
        pausing, self._pausing = self._pausing, {}
        for waiting in pausing.values():
            for answer in waiting:
                answer(reason)

    def take_outcomes(self, message: dict[str, Any], monotonic: float) -> Settled:
        """What a message of outcomes says; the attempts stay until they are acknowledged.

        Raises:
            ProtocolError: it cannot be read; nothing has changed.
        """
        outcomes = messages.outcomes(message)
        done = []
        for row in messages.done_rows(message):
            attempt = self.attempts.get(row.token)
            if attempt is not None:
                done.append(Done(*row, attempt.number, attempt.claimed_at, attempt.task))
            else:
                # Settled already, or none of its own: the store decides.
                outcomes.append(Outcome(verdict=Verdict.SUCCESS, **row._asdict()))
        self.news_at = monotonic
        if done:
            spent_us = sum(row.finished_at - row.started_at for row in done) / len(done)
            # Slow to trust, quick to doubt: one long job ends large batches at once.
            self.mean_us = max(spent_us, (self.mean_us + spent_us) / 2, 1.0)
        elif outcomes and self.kind == "function":
            last = outcomes[-1]
            if last.started_at is not None:
                self.mean_us = max(float(last.finished_at - last.started_at), 1.0)
        self._ended.update(row.token for row in done)
        self._ended.update(o.token for o in outcomes if o.token in self.attempts)
        if "leftovers" in message:
            self.has_leftovers = bool(message["leftovers"])
        return Settled(self.instance, done, outcomes)

    def forget(self, settled: Settled) -> None:
        """The outcomes are durable: the worker may forget them, and has room again."""
        tokens = [row.token for row in settled.done]
        tokens.extend(outcome.token for outcome in settled.outcomes)
        for token in tokens:
            self.attempts.pop(token, None)
        self._ended.difference_update(tokens)
        if self._sent_stops or self.stopping or self.first_signals:
            for token in tokens:
                self._sent_stops.discard(token)
                self.stopping.pop(token, None)
                self.first_signals.pop(token, None)
        if self.link is not None:
            self.link.send_later(f'{{"do":"ack","tokens":{tokens}}}\n'.encode())


def _limits(attempt: Attempt) -> str:
    """Both time limits, as its worker is told them."""
    if attempt.timeout_s is None and attempt.soft_timeout_s is None:
        return "0,0"
    return f"{_limit_us(attempt.timeout_s)},{_limit_us(attempt.soft_timeout_s)}"


def _limit_us(limit_s: float | None) -> int:
    """A limit in microseconds, at least one; 0: there is none."""
    return 0 if limit_s is None else max(int(limit_s * SECOND), 1)
