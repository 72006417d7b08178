"""The lock of the one daemon of a state directory, and the name of who serves under it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.errors import StateDirectoryInUse

if TYPE_CHECKING:
    from jobctl.paths import StateDirectory

LOOK_S: Final = 0.1
"""How often it is looked who holds the lock."""

_STOPPING: Final = "stopping"


class DaemonLock:
    """The lock of a state directory, held by this process: flock(2), which the kernel gives back when the
    process ends in whatever way. No child that is executed inherits it.

    Not the package `filelock`: it loads OpenSSL and more, and a daemon would hold that for all its life.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Give it back. Only once."""
        os.close(self._fd)


def take_lock(state: StateDirectory, patience_s: float) -> DaemonLock:
    """Take the lock of the one daemon, before anything forks.

    Who holds it and does not serve is waited for: an answer without a daemon ends by itself, and so does
    a daemon that stops. One that serves is not.

    Raises:
        StateDirectoryInUse: a daemon serves, or the lock was not free within ``patience_s``.
        OSError: the lock's file cannot be made.
    """
    looks = max(1, round(patience_s / LOOK_S))
    while True:
        lock = _try(state.daemon_lock)
        if lock is not None:
            return lock
        pid, is_serving = holder_of(state)
        looks -= 1
        if is_serving or not looks:
            break
        time.sleep(LOOK_S)  # noqa: TID251 -- nothing is there yet that this process could do
    holder = "" if pid is None else f" (pid {pid})"
    raise StateDirectoryInUse(
        f'another daemon{holder} works with the state directory "{state.root}"',
        hint="Stop it (jobctl stop), or give this one another state_dir.",
    )


def _try(path: Path) -> DaemonLock | None:
    """The lock, or None when another process holds it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file that was deleted meanwhile guards nothing: the next one would make its own.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return DaemonLock(fd)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def serve(state: StateDirectory) -> None:
    """Say that this process, which holds the lock, serves from now on."""
    _say(state, f"{os.getpid()}\n")


def serve_no_more(state: StateDirectory) -> None:
    """Say that this process stops, and that the lock will be free soon."""
    _say(state, f"{os.getpid()} {_STOPPING}\n")


def _say(state: StateDirectory, text: str) -> None:
    # On a full disk a daemon serves all the same; the next one waits for the lock in vain, and is refused.
    with contextlib.suppress(OSError):
        state.daemon_pid.write_text(text)


def holder_of(state: StateDirectory) -> tuple[int | None, bool]:
    """The daemon that holds the lock of a state directory, None if it is none, and whether it serves.

    What is written proves nothing: who was killed has left it behind, and the number may be another's by
    now. So the process must have the lock's file open.
    """
    with contextlib.suppress(OSError, ValueError):
        pid, _, rest = state.daemon_pid.read_text().partition(" ")
        ours = state.daemon_lock.stat()
        for descriptor in Path(f"/proc/{int(pid)}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(descriptor.stat(), ours):
                    return int(pid), not rest
    return None, False
