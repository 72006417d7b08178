"""The calls of the kernel that Python's standard library lacks: prctl, fallocate, timers, and a name.

``ctypes`` is loaded by the template, before it forks, so that its pages are shared by all keepers.
"""

from __future__ import annotations

import ctypes
import os
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_prctl = _libc.prctl
_fallocate = _libc.fallocate
_TIMER_ABSTIME = 1
_timerfd_create = _libc.timerfd_create
_timerfd_settime = _libc.timerfd_settime
_timerfd_settime.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def become_subreaper(is_subreaper: bool = True) -> None:
    """Descendants whose parents die become children of this process (prctl(2)); or no more.

    Raises:
        OSError: the kernel refused.
    """
    if _prctl(_PR_SET_CHILD_SUBREAPER, int(is_subreaper), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def set_name(name: str) -> None:
    """Name this process for ``ps -e`` and ``top`` (15 bytes of it)."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, name.encode()[:15])
    finally:
        os.close(fd)


def punch_hole(fd: int, start: int, length: int) -> None:
    """Give the blocks of a file's middle back to the file system; its size stays (fallocate(2)).

    Raises:
        OSError: the file system cannot do it (EOPNOTSUPP), or failed.
    """
    if _fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, start, length) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def make_timer() -> int:
    """The descriptor of a timer on the monotonic clock, which can be read when it has gone off.

    Raises:
        OSError: there are too many descriptors.
    """
    fd: int = _timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return fd


def set_timer(fd: int, deadline_ns: int) -> None:
    """Let a timer go off once, at a moment of the monotonic clock; 0 stops it (timerfd_settime(2)).

    Raises:
        OSError: that descriptor is no timer.
    """
    seconds, nanoseconds = divmod(deadline_ns, 1_000_000_000)
    # struct itimerspec: the interval, which is none, and the moment.
    spec = (ctypes.c_long * 4)(0, 0, seconds, nanoseconds)
    if _timerfd_settime(fd, _TIMER_ABSTIME, spec, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
