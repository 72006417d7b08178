"""The time limits of functions, kept by the parent of their worker: it needs no daemon for that.

Each function worker shares a timer with its template (timerfd_create(2)). The worker sets it when it
begins a job with a limit and stops it afterwards; the template wakes up only when it goes off. So a limit
costs nothing to a job that has none, two calls of the kernel to one that has, and no signal, which would
be user code's own.

A soft limit goes the same way: the timer goes off earlier, and the template sends the worker a signal that
hardly anything uses. Its handler is the worker's, knows whether the job that runs now has a soft limit and
whether that is over, and raises `jobctl.SoftTimeout` in the main thread; nothing else is to be proved, since
a signal that comes too late or for no reason does nothing.

A worker of many coroutines ends a job at its limit by itself. Its begin marks carry the moment `HARD_S`
later: at that it is ended like any other, because the job could not be cancelled or the loop stands still.

A timer alone proves nothing: user code may have closed the worker's descriptor, so that the timer of an
earlier job was never stopped. What counts is the begin mark, which carries the deadline.
"""

from __future__ import annotations

import os
import signal
import time

from jobctl.raised import SoftTimeout
from jobctl.worker import kernel, processes
from jobctl.worker.marks import RUNNING, Mark, end_at_limit, read_marks

_LONGEST_US = 1 << 60
"""More than 30,000 years; the kernel takes no more than 63 bits of nanoseconds."""

_STOPPING_MS = 100

CANCEL_S = 5.0
"""How long a coroutine may take to end that was cancelled; then its worker takes no more jobs."""

DRAIN_S = 5.0
"""How long that worker is left to the other jobs that it is making; then it is ended with all of them."""

HARD_S = CANCEL_S + DRAIN_S

SOFT_SIGNAL = signal.SIGRTMAX - 3
"""What a template sends at a soft limit. Real-time signals have no meaning of their own; the last ones of them
are used by nothing that we know of."""


class SoftLimit:
    """The soft limit of the job that a worker makes; the handler of `SOFT_SIGNAL`."""

    def __init__(self) -> None:
        self.deadline = 0
        signal.signal(SOFT_SIGNAL, self)

    def begin(self, limit_us: int) -> int:
        """It begins now; its deadline, as `deadline_us` gives it. To end it, set `deadline` to 0: that must not
        be a call, which a signal could interrupt at its end."""
        self.deadline = deadline_us(limit_us)
        return self.deadline

    def __call__(self, _number: int, _frame: object) -> None:
        """Raise SoftTimeout, once, if the limit is over."""
        if self.deadline and self.deadline <= time.monotonic_ns() // 1000:
            self.deadline = 0
            raise SoftTimeout("the soft time limit of this attempt is over")

    def restore(self) -> None:
        """Give the signal its default back if nobody else has taken it: this process is a fork of user code."""
        if signal.getsignal(SOFT_SIGNAL) is self:
            signal.signal(SOFT_SIGNAL, signal.SIG_DFL)


def deadline_us(limit_us: int) -> int:
    """When a limit that begins now is over, in microseconds of the monotonic clock; never 0. A limit of 0 is
    over in 30,000 years."""
    limit_us = limit_us or _LONGEST_US
    return time.monotonic_ns() // 1000 + min(limit_us, _LONGEST_US) + 1


def set_alarm(timer: int, deadline: int) -> None:
    """Let ``timer`` go off at ``deadline``; 0 stops it. Whatever user code has put there is left alone."""
    try:
        kernel.set_timer(timer, deadline * 1000)
    except OSError:
        # The worker's descriptor was closed. The daemon, if there is one, ends the job a little later.
        return


def end_overdue(directory: str, pid: int, timer: int) -> None:
    """The timer of the worker ``pid`` has gone off: end it with all that it started, if that is due.

    Nobody ends a job that has returned meanwhile: the tree stands still before the mark is read for good.
    """
    try:
        os.read(timer, 8)
    except BlockingIOError:
        return
    mark = _limited(directory)
    if mark is None:
        return
    if mark.deadline > time.monotonic_ns() // 1000:
        # It belonged to an earlier job, or it is the soft limit of this one: its worker knows.
        set_alarm(timer, mark.deadline)
        if mark.is_soft:
            processes.send(pid, SOFT_SIGNAL)
        return
    tree = processes.freeze(pid)
    _wait_until_still(pid)
    number = signal.SIGCONT
    if _limited(directory) == mark and end_at_limit(directory, mark.token, time.time_ns() // 1000):
        number = signal.SIGKILL
    for member in reversed(tree):
        processes.send(member, number)


def _limited(directory: str) -> Mark | None:
    """The mark of the running job whose limit ends first; None when there is none, or marks are spoiled."""
    try:
        marks = read_marks(directory)
    except OSError:
        return None
    running = (mark for mark in marks.values() if mark.how == RUNNING and mark.deadline)
    return min(running, key=lambda mark: mark.deadline, default=None)


def _wait_until_still(pid: int) -> None:
    """A signal reaches a process that computes on another processor a moment later."""
    for _ in range(_STOPPING_MS):
        if not processes.is_computing(pid):
            return
        time.sleep(0.001)
