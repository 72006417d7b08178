"""Folders that nobody needs any more: removed in slices, however much user code has put into them.

A folder is renamed first, to a name next to those of the templates: from then on it is found by nobody but
the trash, also that of the next daemon (`Trash.resume`). Then its entries go, a bounded number in each turn
of the loop. A folder within it is moved beside it instead of being entered, so that no depth is too deep,
and everything is reached through a descriptor of its folder: a worker group's user may put a link in the
place of anything at any time.

What the system refuses to remove is left for the next daemon to try again.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.engine.local.timers import Timers

SUFFIX: Final = ".trash"

SLICE: Final = 200
"""Entries that are removed in one turn."""


class Trash:
    """What is to be removed below ``run_dir``; see the module."""

    def __init__(self, run_dir: Path, timers: Timers) -> None:
        self._run_dir = run_dir
        self._timers = timers
        self._waiting: deque[Path] = deque()
        self._open: _Folder | None = None
        self._is_due = False

    def resume(self) -> None:
        """Go on with what an earlier daemon has not finished."""
        self._waiting.extend(path for path in self._run_dir.iterdir() if path.name.endswith(SUFFIX))
        self._go_on()

    @property
    def is_empty(self) -> bool:
        """Nothing is left to be removed."""
        return not self._waiting and self._open is None

    def put(self, folder: Path) -> None:
        """Remove ``folder`` with all that is in it; a small one is gone when this returns, unless others are
        before it. Never raises for what cannot be removed."""
        moved = self._new_name()
        try:
            folder.rename(moved)
        except FileNotFoundError:
            return
        except OSError:
            # A disk that is full, for one. The next daemon finds it where it was.
            moved = folder
        self._waiting.append(moved)
        if not self._is_due:
            self._step()

    def close(self) -> None:
        """Let go of the folder that is being emptied."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _new_name(self) -> Path:
        return self._run_dir / f"{os.urandom(8).hex()}{SUFFIX}"

    def _step(self) -> None:
        self._is_due = False
        for _ in range(SLICE):
            if self._open is None:
                if not self._waiting:
                    return
                self._begin(self._waiting.popleft())
            elif not self._remove_next(self._open):
                self._end(self._open)
        self._go_on()

    def _go_on(self) -> None:
        if not self.is_empty:
            self._is_due = True
            self._timers.after(0.0, self._step)

    def _begin(self, path: Path) -> None:
        try:
            self._open = _Folder(path)
        except OSError:
            # Something else has been put into its place, or it is gone.
            with suppress(OSError):
                path.unlink()

    def _remove_next(self, folder: _Folder) -> bool:
        """Remove an entry; False: none is left to try."""
        name = folder.next_name()
        if name is None:
            return False
        try:
            os.unlink(name, dir_fd=folder.fd)
        except IsADirectoryError:
            inner = self._new_name()
            with suppress(OSError):
                os.rename(name, inner, src_dir_fd=folder.fd)
                self._waiting.append(inner)
                folder.has_changed = True
        except OSError:
            return True
        else:
            folder.has_changed = True
        return True

    def _end(self, folder: _Folder) -> None:
        self.close()
        try:
            folder.path.rmdir()
        except OSError:
            # Entries may be passed over while others are removed (readdir(3)), and may still be added. Once
            # nothing can be removed any more it is left alone.
            if folder.has_changed:
                self._waiting.append(folder.path)


class _Folder:
    """A folder that is being emptied. Raises OSError when it cannot be opened, or is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.has_changed = False
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._entries: Iterator[os.DirEntry[str]] = os.scandir(self.fd)
        except OSError:
            os.close(self.fd)
            raise

    def next_name(self) -> str | None:
        """The next entry's name, None at the end."""
        try:
            return next(self._entries).name
        except (StopIteration, OSError):
            return None

    def close(self) -> None:
        """Let go of it."""
        self._entries.close()  # type: ignore[attr-defined]
        os.close(self.fd)
