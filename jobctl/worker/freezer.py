"""Pausing a command: everything that it runs stands still in a frozen cgroup (cgroups(7), cgroup.freeze).

A keeper shares its cgroup with its command, and must not stand still with it. So what the command runs is
moved into a cgroup below, which is frozen, and back when it goes on. That cgroup is there exactly as long as
the command is paused: whoever asks, this daemon, the next one or a command line without any, looks for it.

SIGSTOP was refused. A shell that waits for its child takes the stop for news and acts on it, a process may
send SIGCONT to itself or its children, and what a command had stopped by its own will would go on with the
rest. The freezer is seen by nobody, and SIGKILL reaches what is frozen.

Standard library only: keepers use it.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = "paused"

_ROUNDS = 1000
"""How often the processes are looked for. Each round finds what was started by one that was not moved yet; a
thing that starts others faster than they are moved, in all rounds, is not paused."""


def can_freeze(cgroup: str) -> bool:
    """Commands in this cgroup can be paused: there is one, and the kernel has a freezer (5.2)."""
    return bool(cgroup) and os.path.exists(f"{cgroup}/cgroup.freeze")


def is_frozen(cgroup: str) -> bool:
    """The command in this cgroup is paused."""
    try:
        with open(f"{cgroup}/{_FOLDER}/cgroup.freeze", "rb") as file:
            return bool(cgroup) and file.read(1) == b"1"
    except OSError:
        return False


def freeze(cgroup: str, keeper: int, also: Sequence[str] = ()) -> None:
    """Let everything in a cgroup stand still but its keeper. Safe to repeat.

    ``also`` are groups that the command has for itself (`jobctl.worker.bounds`), beside the keeper's; those
    of version 1 are none of a freezer, and what is in them is in the keeper's cgroup, too.

    A process that hangs in the kernel stands still when it comes back from there.

    Raises:
        OSError: the kernel refused, or something starts processes too fast; everything goes on.
    """
    paused = f"{cgroup}/{_FOLDER}"
    try:
        os.mkdir(paused, 0o755)
    except FileExistsError:
        pass
    try:
        # Frozen before the first process comes: none of them starts another one from then on.
        _write(f"{paused}/cgroup.freeze", "1")
        for folder in _whole_groups(cgroup, also):
            _write(f"{folder}/cgroup.freeze", "1")
        _gather(cgroup, paused, keeper)
    except OSError:
        thaw(cgroup, also)
        raise


def _gather(cgroup: str, paused: str, keeper: int) -> None:
    for _ in range(_ROUNDS):
        found = [pid for pid in _processes(cgroup) if pid != keeper]
        if not found:
            return
        for pid in found:
            _move(pid, paused)
    raise OSError("it starts processes faster than they can be stopped")


def thaw(cgroup: str, also: Sequence[str] = ()) -> None:
    """Let everything go on that `freeze` has stopped with the same groups. Harmless when nothing is.

    Raises:
        OSError: the kernel refused; then it may still stand still.
    """
    paused = f"{cgroup}/{_FOLDER}"
    if not os.path.isdir(paused):
        return
    for folder in _whole_groups(cgroup, also):
        _write(f"{folder}/cgroup.freeze", "0")
    # Moved while they are frozen: what cannot start anything is found whole.
    for _ in range(_ROUNDS):
        for pid in _processes(paused):
            _move(pid, cgroup)
        try:
            os.rmdir(paused)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        else:
            return
    # Something in it takes long to die. It is empty and removed the next time, or with its keeper.
    _write(f"{paused}/cgroup.freeze", "0")


def _whole_groups(cgroup: str, also: Sequence[str]) -> list[str]:
    """Cgroups in which the keeper is not: those that the command has for itself, and those that it has made
    below the keeper's."""
    with os.scandir(cgroup) as entries:
        made = [entry.path for entry in entries if entry.is_dir() and entry.name != _FOLDER]
    return made + [folder for folder in also if can_freeze(folder)]


def _processes(cgroup: str) -> list[int]:
    with open(f"{cgroup}/cgroup.procs", "rb") as file:
        # 0 stands for what this one cannot see, of another namespace; written back it would mean this one.
        return [int(pid) for pid in file.read().split() if pid != b"0"]


def _move(pid: int, cgroup: str) -> None:
    try:
        _write(f"{cgroup}/cgroup.procs", str(pid))
    except ProcessLookupError:
        return  # It has ended meanwhile.


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
