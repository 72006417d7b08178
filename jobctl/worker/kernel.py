"""The calls of the kernel that Python's standard library lacks: prctl, fallocate, timers, and a name.

``ctypes`` is loaded by the template, before it forks, so that its pages are shared by all keepers.
"""

from __future__ import annotations

import ctypes
import errno
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
_syscall = _libc.syscall
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "loongarch64": 30, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282}  # fmt: skip
"""The number of the call, for which glibc has no name (ioprio_set(2), the kernel's syscall tables)."""
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_CLASS_SHIFT = 13
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


def set_io_priority(priority_class: int, level: int) -> None:
    """Set when this process's input and output goes: class 1 to 3, level 0 to 7 (ioprio_set(2)).

    Raises:
        OSError: the kernel refuses, or nobody knows the call's number on this machine.
    """
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    priority = priority_class << _IOPRIO_CLASS_SHIFT | level
    if _syscall(number, _IOPRIO_WHO_PROCESS, 0, priority) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
