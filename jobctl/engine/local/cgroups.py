"""Cgroups for workers and keepers, where this daemon may make them (cgroups(7)).

One for each worker and keeper, joined at birth: one for each attempt would halve the rate of short
commands. A cgroup is the only proof that nothing is left of a keeper that was killed. Where none can
be made, sessions and environments are searched instead, and the record says ``unproved``.

These are of version 2, beside whatever else is mounted. An attempt with a limit for all its processes has
a cgroup of its own in addition, made by its keeper (`jobctl.worker.bounds`) in a corner that the
controller of that limit has (`jobctl.engine.local.corners`).
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.engine.local import corners
from jobctl.worker.bounds import folder_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping


_ABANDONED_S: Final = 3600.0


class Cgroups:
    """The daemon's own corner of the hierarchy; ``base`` is None where there is none.

    ``limiting`` are the corners of controllers, by controller; ``missing`` tells of the others why not.
    """

    def __init__(
        self,
        base: Path | None,
        limiting: Mapping[str, str] | None = None,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        self.base = base
        self.limiting = limiting or {}
        self.missing = missing or {}
        # While this process lives, no other daemon takes these corners for abandoned.
        self._held = [held for corner in self._corners() if (held := _hold(corner)) is not None]

    def make(self, instance: str) -> str:
        """A new, empty cgroup for an instance; an empty text where none can be made."""
        if self.base is None:
            return ""
        path = self.base / instance
        try:
            path.mkdir(mode=0o755)
        except FileExistsError:
            pass
        except OSError:
            return ""
        return str(path)

    def of(self, instance: str) -> str:
        """Where the cgroup of an instance is if it has one."""
        return str(self.base / instance) if self.base is not None else ""

    def remove(self, instance: str) -> None:
        """Remove an instance's cgroup, if it is there and empty."""
        if self.base is not None:
            remove(str(self.base / instance))

    def remove_attempts(self, instance: str, limiting: Mapping[str, str]) -> None:
        """Remove those that a keeper had for its attempts, as far as they are empty.

        ``limiting`` are the corners that it was born with; one that this daemon does not have goes with
        the last of them.
        """
        for corner in {Path(path) for path in limiting.values()}:
            for path in corner.glob(f"{instance}.*"):
                remove(str(path))
            if corner not in self._corners():
                with suppress(OSError):
                    corner.rmdir()

    def prune(self, known: Container[str]) -> None:
        """Remove the empty cgroups of instances that are not known any more.

        What a worker left running when it ended keeps its cgroup; the last of it leaves an empty one.
        """
        for corner in self._corners():
            for path in corner.iterdir():
                if path.is_dir() and path.name.partition(".")[0] not in known:
                    remove(str(path))

    def drop_abandoned(self, now_s: float) -> None:
        """Remove what is empty in corners beside these that no daemon holds, and the corners themselves.

        Their daemon was killed, and its state directory is gone: no other one would ever come for them.
        ``now_s`` is the time of day: a young one is left alone, since its daemon may be about to hold it.
        """
        for around in {corner.parent for corner in self._corners()}:
            for corner in around.glob(f"{corners.PREFIX}*"):
                with suppress(OSError):
                    if corner.stat().st_mtime <= now_s - _ABANDONED_S:
                        _drop(corner)

    def close(self) -> None:
        """Remove the corners themselves unless something still lives in them."""
        self.prune(())
        for corner in self._corners():
            remove(str(corner))
        while self._held:
            os.close(self._held.pop())

    def _corners(self) -> set[Path]:
        return {Path(path) for path in (self.base, *self.limiting.values()) if path is not None}


def _hold(corner: Path) -> int | None:
    try:
        held = os.open(corner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    # Waits for no longer than another daemon takes to find out that this one is young.
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _drop(corner: Path) -> None:
    looked_at = os.open(corner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(looked_at, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(str(corner))
    finally:
        os.close(looked_at)


def is_of(instance: str, path: str) -> bool:
    """``path`` is the cgroup that a daemon of ours made for this instance.

    It comes from a file that a worker wrote, which may be another user's: everything in it is killed
    one day.
    """
    folder = Path(path)
    return folder.name == instance and is_corner(folder.parent) and folder.is_dir()


def is_corner(folder: Path) -> bool:
    """``folder`` can be a corner that a daemon of ours made: its name says so, and where it lies."""
    mounts = (hierarchy.point for hierarchy in corners.hierarchies())
    return (
        folder.name.startswith(corners.PREFIX)
        and ".." not in folder.parts
        and any(folder.is_relative_to(mount) for mount in mounts)
    )


def of_attempts(limiting: Mapping[str, str], instance: str, tokens: Iterable[int]) -> list[str]:
    """The cgroups that attempts of a keeper have for their limits; empty when they have none."""
    found = {folder_of(corner, instance, token) for token in tokens for corner in limiting.values()}
    return sorted(folder for folder in found if Path(folder).is_dir())


def join(path: str, pid: int) -> bool:
    """Move a process of another user, who may not do so, into a cgroup; False when that failed."""
    try:
        (Path(path) / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return True


def remove(path: str) -> None:
    """Remove a cgroup and what is below it, as far as it is empty."""
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            return


def kill(path: str) -> bool:
    """Kill everything in a cgroup at once; False when the kernel cannot (before 5.14)."""
    try:
        (Path(path) / "cgroup.kill").write_text("1")
    except OSError:
        return False
    return True


def find(state_id: str) -> Cgroups:
    """A corner of the daemon's own cgroup, named by the state directory's id, and those of the controllers
    of limits; made if need be.

    The hierarchy is used only when it lets itself be written: a service manager that delegates
    (``Delegate=yes``), a container, or root.
    """
    name = f"{corners.PREFIX}{state_id}"
    limiting, missing = corners.find_all(name)
    return Cgroups(_find_base(name), limiting, missing)


def _find_base(name: str) -> Path | None:
    for hierarchy in corners.hierarchies():
        if not hierarchy.controllers:
            try:
                return corners.make(corners.home(hierarchy) / name)
            except corners.Unavailable:
                return None
    return None
