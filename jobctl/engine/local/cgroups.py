"""Cgroups for workers and keepers, where this daemon may make them (cgroups(7), version 2).

One for each worker and keeper, joined at birth: one for each attempt would halve the rate of short
commands. A cgroup is the only proof that nothing is left of a keeper that was killed. Where none can
be made, sessions and environments are searched instead, and the record says ``unproved``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

_CORNER: Final = "jobctl-"


class Cgroups:
    """The daemon's own corner of the hierarchy; ``base`` is None where there is none."""

    def __init__(self, base: Path | None) -> None:
        self.base = base

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

    def prune(self, known: Container[str]) -> None:
        """Remove the empty cgroups of instances that are not known any more.

        What a worker left running when it ended keeps its cgroup; the last of it leaves an empty one.
        """
        if self.base is None:
            return
        for path in self.base.iterdir():
            if path.is_dir() and path.name not in known:
                remove(str(path))

    def close(self) -> None:
        """Remove the corner itself unless something still lives in it."""
        if self.base is not None:
            self.prune(())
            remove(str(self.base))


def is_of(instance: str, path: str) -> bool:
    """``path`` is the cgroup that a daemon of ours made for this instance.

    It comes from a file that a worker wrote, which may be another user's: everything in it is killed
    one day.
    """
    folder = Path(path)
    mount = _mount_point()
    return (
        mount is not None
        and folder.is_relative_to(mount)
        and ".." not in folder.parts
        and folder.name == instance
        and folder.parent.name.startswith(_CORNER)
        and folder.is_dir()
    )


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
    """A corner of the daemon's own cgroup, named by the state directory's id; made if need be.

    The hierarchy is used only when it lets itself be written: a service manager that delegates
    (``Delegate=yes``), a container, or root.
    """
    mount = _mount_point()
    own = _own_path()
    if mount is None or own is None:
        return Cgroups(None)
    here = mount / own.lstrip("/")
    # A daemon that was restarted by hand from within a job must not nest corners in corners.
    for folder in (here, *here.parents):
        if folder.name.startswith(_CORNER):
            here = folder.parent
    base = here / f"{_CORNER}{state_id}"
    try:
        base.mkdir(mode=0o755, exist_ok=True)
        (base / "probe").mkdir()
        (base / "probe").rmdir()
    except OSError:
        return Cgroups(None)
    return Cgroups(base)


def _mount_point() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def _own_path() -> str | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return path
    return None
