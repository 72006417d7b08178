"""A reserve on the disk of the store, given up when the disk is full.

A full disk must not lose the end of what runs. So a part of it is taken beforehand; when the store cannot
grow, the reserve is released, and what it held is there for outcomes: the store's rows and the records that
workers leave. Nothing new is taken until the disk has room for the reserve again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 8 << 20
"""Outcomes of thousands of jobs."""

SHARE: Final = 16
"""No more than this part of what is free is taken."""

LEAST_BYTES: Final = 64 << 10
"""Less is of no use."""


class Ballast:
    """The reserve. ``is_released``: it was given up, and the disk had no room for it since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = 0
        self.is_released = False

    def take(self) -> bool:
        """Take the reserve, or take it again; False when the disk has no room. Raises nothing."""
        size = self._bytes or self._fitting()
        if not size:
            return False
        try:
            if self.is_released and self._free() < 2 * size:
                # It would be full again with the next jobs.
                return False
            flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(self._path, flags, 0o600)
            try:
                os.posix_fallocate(file, 0, size)
            finally:
                os.close(file)
        except OSError:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        self._bytes = size
        self.is_released = False
        return True

    def release(self) -> bool:
        """Give the reserve up; False when there is none. Raises nothing."""
        if not self._bytes or self.is_released:
            return False
        try:
            self._path.unlink()
        except OSError:
            return False
        self.is_released = True
        return True

    def _fitting(self) -> int:
        """How much to take: with what an earlier daemon has taken, which is taken over; 0: nothing."""
        try:
            held = self._path.lstat().st_blocks * 512
        except OSError:
            held = 0
        try:
            size = min(MOST_BYTES, (self._free() + held) // SHARE)
        except OSError:
            return 0
        return size if size >= LEAST_BYTES else 0

    def _free(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize
