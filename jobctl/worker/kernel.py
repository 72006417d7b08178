"""The three calls of the kernel that Python's standard library lacks: prctl, fallocate, and a name.

``ctypes`` is loaded by the template, before it forks, so that its pages are shared by all keepers.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_prctl = _libc.prctl
_fallocate = _libc.fallocate
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
