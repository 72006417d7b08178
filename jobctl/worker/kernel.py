"""The three calls of the kernel that Python's standard library lacks: prctl, fallocate, and a name.

``ctypes`` is loaded by the template, before it forks, so that its pages are shared by all keepers.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NAME = 15
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_fallocate = _libc.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def become_subreaper() -> None:
    """Descendants whose parents die become children of this process (prctl(2)).

    Raises:
        OSError: the kernel refused.
    """
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def set_name(name: str) -> None:
    """Name this process for ``ps -e`` and ``top`` (15 bytes of it)."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def punch_hole(fd: int, start: int, length: int) -> None:
    """Give the blocks of a file's middle back to the file system; its size stays (fallocate(2)).

    Raises:
        OSError: the file system cannot do it (EOPNOTSUPP), or failed.
    """
    if _fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, start, length) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
