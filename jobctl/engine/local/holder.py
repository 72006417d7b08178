"""Who holds an instance's lock, and whether that process lives.

A held lock alone proves nothing: forks of user code share it (flock(2)). So the lock file names the
process by pid, start time and boot, and only that process counts.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.values import dataclass
from jobctl.worker import processes
from jobctl.worker.instance import COMMAND_OFFSET, boot_id, process_start

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """What the holder of a lock wrote about itself (`jobctl.worker.instance.Instance.announce`)."""

    pid: int
    start: int
    boot: str
    kind: str
    cgroup: str
    group: str
    concurrency: int
    corners: Mapping[str, str]

    @property
    def is_of_this_boot(self) -> bool:
        """It was written since the kernel started; otherwise its pid means nothing."""
        return self.boot == boot_id()


def read(folder: Path) -> Holder | None:
    """The holder of an instance's lock, dead or alive; None when nobody has written there."""
    try:
        fd = os.open(folder / "lock", os.O_RDONLY | _FLAGS)
    except OSError:
        return None
    try:
        line = os.pread(fd, COMMAND_OFFSET, 0).split(b"\n")[0]
    finally:
        os.close(fd)
    try:
        said = json.loads(line)
        return Holder(
            pid=int(said["pid"]),
            start=int(said["start"]),
            boot=str(said["boot"]),
            kind=str(said["kind"]),
            cgroup=str(said["cgroup"]),
            group=str(said["group"]),
            concurrency=int(said["concurrency"]),
            corners={str(name): str(path) for name, path in said["corners"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def living(folder: Path) -> Holder | None:
    """The process that holds an instance's lock, if it is the one that wrote itself there.

    A held lock without that process is a fork of user code: the worker is dead.
    """
    if not is_locked(folder):
        return None
    found = read(folder)
    if found is None:
        return None
    try:
        is_same = found.is_of_this_boot and process_start(found.pid) == found.start
        # Another user's worker could name any process there, and have this daemon signal it.
        is_same = is_same and processes.uid_of(found.pid) == folder.stat().st_uid
    except OSError:
        return None
    # A zombie would still pass kill(pid, 0).
    return found if is_same and processes.is_alive(found.pid) else None


def is_locked(folder: Path) -> bool:
    """Somebody holds the lock of an instance; False also when there is no such instance."""
    try:
        fd = os.open(folder / "lock", os.O_RDWR | _FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def shares_mounts(pid: int) -> bool:
    """The process sees the same file systems as this one; True when it cannot be known.

    A service manager may give each start of the daemon folders of its own (PrivateTmp); what survives
    from an earlier start keeps the old ones, and would hand them to new jobs.
    """
    try:
        return Path(f"/proc/{pid}/ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink()
    except OSError:
        return True
