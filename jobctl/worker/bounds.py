"""The limits of a command as a whole, whatever it starts: control groups of one attempt.

A limit of a process (setrlimit(2)) holds for each process alone, and the kernel has none for the memory that
a process uses. A control group counts all of them together. It is made for an attempt that asks for such a
limit, and for no other: one for each attempt would halve the rate of short commands.

Both hierarchies are served, told apart by the files that the kernel puts into a new group: version 2
(Documentation/admin-guide/cgroup-v2.rst), where one group has every controller, and version 1, where each
controller has a hierarchy of its own. Under version 2 the kernel ends the whole command when it needs more
memory than it may; under version 1 it ends the largest process of it, and what becomes of the others is
up to them.

The group lies beside the keeper's and not above it, so that the keeper is neither counted nor killed. Its
name tells instance and token: whoever buries a keeper finds it again.
"""

from __future__ import annotations

import os

from jobctl.worker.failure import CannotStart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTROLLERS = {"memory": "memory", "processes": "pids"}
"""Which controller keeps which key of a task."""


def folder_of(corner: str, instance: str, token: int) -> str:
    """The group of an attempt below one of the daemon's corners."""
    return f"{corner}/{instance}.{token:016x}"


class Bounds:
    """The groups of one attempt, made and not joined yet.

    ``corners`` are folders in which groups may be made, by controller; ``asked`` are bytes of ``memory`` and
    a number of ``processes``, at least one of them.

    Raises:
        CannotStart: a limit cannot be kept. Nothing is left behind.
    """

    def __init__(
        self, corners: Mapping[str, str], instance: str, token: int, asked: Mapping[str, int]
    ) -> None:
        self.asked = asked
        self.folders: list[str] = []
        try:
            for key, value in asked.items():
                self._bound(corners.get(CONTROLLERS[key], ""), instance, token, key, value)
        except CannotStart:
            self.remove()
            raise

    def _bound(self, corner: str, instance: str, token: int, key: str, value: int) -> None:
        controller = CONTROLLERS[key]
        if not corner:
            why = f'the daemon can make no control group with the controller "{controller}"'
            raise _refused(key, value, f"{why}; its log says why")
        folder = folder_of(corner, instance, token)
        try:
            if folder not in self.folders:
                os.mkdir(folder, 0o755)
                self.folders.append(folder)
            if key == "processes":
                _write(f"{folder}/pids.max", value)
            elif os.path.exists(f"{folder}/memory.max"):
                _write(f"{folder}/memory.max", value)
                # Swapped out, it would use as much as it likes. A kernel may count no swap.
                _try_to_write(f"{folder}/memory.swap.max", 0)
                _try_to_write(f"{folder}/memory.oom.group", 1)
            else:
                _write(f"{folder}/memory.limit_in_bytes", value)
                _try_to_write(f"{folder}/memory.memsw.limit_in_bytes", value)
        except OSError as error:
            raise _refused(key, value, f'"{folder}": {error.strerror}') from None

    def peak_bytes(self) -> int | None:
        """The most memory that was used at once; None where nobody has counted (before Linux 5.19)."""
        for folder in self.folders:
            for name in ("memory.peak", "memory.max_usage_in_bytes"):
                text = _read(f"{folder}/{name}").strip()
                if text.isdigit():
                    return int(text)
        return None

    def oom_kills(self) -> int:
        """How many processes the kernel has ended here for want of memory."""
        return sum(oom_kills(folder) or 0 for folder in self.folders)

    def remove(self) -> None:
        """Remove the groups, in which nothing must be left; what cannot be removed goes with the keeper's."""
        for folder in self.folders:
            try:
                os.rmdir(folder)
            except OSError:
                continue
        self.folders = []


def join(folders: Iterable[str]) -> None:
    """Move this process into groups.

    Raises:
        CannotStart: the kernel refuses it.
    """
    for folder in folders:
        try:
            _write(f"{folder}/cgroup.procs", 0)
        except OSError as error:
            message = f'control group "{folder}" cannot be joined: {error.strerror}'
            raise CannotStart("LimitRefused", message, 126) from None


def oom_kills(folder: str) -> int | None:
    """How many processes of a group the kernel has ended for want of memory; None: it does not count them."""
    for name in ("memory.events", "memory.oom_control"):
        words = _read(f"{folder}/{name}").split()
        if b"oom_kill" in words:
            return int(words[words.index(b"oom_kill") + 1])
    return None


def oom_counter(cgroup: str, corners: Mapping[str, str]) -> str:
    """The group that counts the processes that end for want of memory, one in ``cgroup`` included.

    ``cgroup`` itself or, where the controller is not on for it, the nearest one above: a service's own,
    mostly. In version 1 that is the group around the corner. Empty where nobody counts.
    """
    folder = cgroup
    while folder.count("/") > 1:
        if os.path.exists(f"{folder}/memory.events"):
            return folder
        folder = folder.rpartition("/")[0]
    around = corners.get("memory", "").rpartition("/")[0]
    return around if os.path.exists(f"{around}/memory.oom_control") else ""


def shown(key: str, value: int) -> str:
    """A limit as the file could have it."""
    if key != "memory":
        return f"{key} = {value}"
    return f"{key} = {value >> 20}MiB" if value % (1 << 20) == 0 else f"{key} = {value}B"


def _refused(key: str, value: int, why: str) -> CannotStart:
    return CannotStart("LimitRefused", f"{shown(key, value)}: {why}", 126)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _write(path: str, value: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"%d" % value)
    finally:
        os.close(fd)


def _try_to_write(path: str, value: int) -> None:
    try:
        _write(path, value)
    except OSError:
        return
