"""The time limits of functions, kept by the parent of their worker: it needs no daemon for that.

Each function worker shares a timer with its template (timerfd_create(2)). The worker sets it when it
begins a job with a limit and stops it afterwards; the template wakes up only when it goes off. So a limit
costs nothing to a job that has none, two calls of the kernel to one that has, and no signal, which would
be user code's own.

A timer alone proves nothing: user code may have closed the worker's descriptor, so that the timer of an
earlier job was never stopped. What counts is the begin mark, which carries the deadline.
"""

from __future__ import annotations

import os
import signal
import time

from jobctl.worker import kernel, processes
from jobctl.worker.marks import RUNNING, Mark, end_at_limit, read_marks

_LONGEST_US = 1 << 60
"""More than 30,000 years; the kernel takes no more than 63 bits of nanoseconds."""

_STOPPING_MS = 100


def deadline_us(limit_us: int) -> int:
    """When a limit that begins now is over, in microseconds of the monotonic clock; never 0."""
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
        # It belonged to an earlier job.
        set_alarm(timer, mark.deadline)
        return
    tree = processes.freeze(pid)
    _wait_until_still(pid)
    number = signal.SIGCONT
    if _limited(directory) == mark and end_at_limit(directory, mark.token, time.time_ns() // 1000):
        number = signal.SIGKILL
    for member in reversed(tree):
        processes.send(member, number)


def _limited(directory: str) -> Mark | None:
    """The mark of the job with a limit that is running; None when there is none, or marks are spoiled."""
    try:
        marks = read_marks(directory)
    except OSError:
        return None
    running = (mark for mark in marks.values() if mark.how == RUNNING and mark.deadline)
    return next(running, None)


def _wait_until_still(pid: int) -> None:
    """A signal reaches a process that computes on another processor a moment later."""
    for _ in range(_STOPPING_MS):
        if not processes.is_computing(pid):
            return
        time.sleep(0.001)
