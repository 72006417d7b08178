"""The folder of one template, worker or keeper: how it is found, and how it is known to live.

::

    run/<template>/lock          flock, held from birth to death; holds pid, start time, boot id
    run/<template>/sock          where the daemon connects
    run/<template>/outcomes/     outcomes that no daemon has acknowledged yet
    run/<template>/<worker>/     the same lock and sock for each of its children; marks and tickets

The *parent* makes folder, lock and listener, and the child inherits them: whoever is told of the
child can connect at once, and there is no moment at which the child lives without its lock. The lock
is never given back by hand (``LOCK_UN`` in one process would free it for all that share it); the
kernel does it with the last descriptor. All descriptors are close-on-exec.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import time

from jobctl.protocol.compact import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.worker.printed import Pipes

BACKLOG = 1024
"""A stopped worker's listener must take a connection from each daemon of a long row of restarts."""


COMMAND_OFFSET = 4096
"""Where in its lock file a keeper writes pid and token of its command, for whoever buries it."""

_END_OFFSET = COMMAND_OFFSET + 96
"""Where in its child's lock file a template writes how the child ended."""

_LOCK_BYTES = COMMAND_OFFSET + 128

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
"""Unit of `process_start`."""


class Instance:
    """The parent's or the child's hold on one instance's folder."""

    __slots__ = ("cgroup", "corners", "directory", "listener", "lock_fd", "name", "pipes", "timer")

    def __init__(self, directory: str, listener: _socket.socket, lock_fd: int) -> None:
        self.directory = directory
        self.name = directory.rpartition("/")[2]
        self.cgroup = ""
        self.corners: dict[str, str] = {}
        self.listener = listener
        self.lock_fd = lock_fd
        # What a function worker shares with its template: `jobctl.worker.limits` and `printed`.
        self.timer = -1
        self.pipes: Pipes | None = None

    def close(self) -> None:
        """Let go of lock and listener in this process; another process may still hold both."""
        for close in (self.listener.close, lambda: os.close(self.lock_fd)):
            try:
                close()
            except OSError:
                continue  # User code has closed what was not its own; the rest must go all the same.

    @property
    def is_deleted(self) -> bool:
        """Its folder was deleted, and with it the lock: no daemon will ever find it."""
        try:
            return os.fstat(self.lock_fd).st_nlink == 0
        except OSError:
            # User code closes what is not its own.
            return False

    def find_directory(self) -> str:
        """Where its folder is now: a state directory may be moved while jobs run (proc(5), fd)."""
        return os.readlink(f"/proc/self/fd/{self.lock_fd}").rpartition("/")[0]

    def announce(
        self,
        kind: str,
        cgroup: str = "",
        group: str = "",
        *,
        concurrency: int = 0,
        corners: dict[str, str] | None = None,
    ) -> None:
        """Write who holds the lock, so that the next daemon finds the process behind it.

        ``concurrency`` is how many jobs it makes side by side; 0: one after the other. ``corners`` are where it
        makes cgroups for attempts with limits, by controller.
        """
        self.cgroup = cgroup
        self.corners = corners or {}
        # The kernel tells whoever connects which process has called this last: not the parent any more.
        self.listener.listen(BACKLOG)
        pid = os.getpid()
        text = dumps(
            {
                "pid": pid,
                "start": process_start(pid),
                "boot": boot_id(),
                "kind": kind,
                "cgroup": cgroup,
                "group": group,
                "concurrency": concurrency,
                "corners": self.corners,
            }
        )
        os.pwrite(self.lock_fd, text.encode() + b"\n", 0)


def create(directory: str) -> Instance:
    """Make the folder, take the lock and listen. Raises OSError; then nothing is left open."""
    os.mkdir(directory, 0o700)
    lock_fd = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # What is written here later must not fail because the disk has become full.
        os.posix_fallocate(lock_fd, 0, _LOCK_BYTES)
        listener = bind(directory)
    except BaseException:
        os.close(lock_fd)
        raise
    return Instance(directory, listener, lock_fd)


def note_command(lock_fd: int, pid: int, token: int) -> None:
    """Write which attempt a keeper is about to start (``pid`` 0) or has started, and when.

    Written before the start, so that a keeper which died without the note has begun nothing.

    Raises:
        OSError: the disk refused.
    """
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS_PER_S)
    os.pwrite(lock_fd, b"%d %d %d\n" % (pid, token, now), COMMAND_OFFSET)


def noted_command(directory: str) -> tuple[int, int, int]:
    """``(pid, token, ticks since boot)`` as `note_command` wrote it; zeros when it never did.

    Raises:
        OSError: the lock file cannot be read.
    """
    lock_fd = os.open(f"{directory}/lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        words = os.pread(lock_fd, 80, COMMAND_OFFSET).split(b"\n")[0].split()
    finally:
        os.close(lock_fd)
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return (0, 0, 0)
    return (int(words[0]), int(words[1]), int(words[2]))


def note_end(directory: str, code: int) -> None:
    """Write how a child ended (negative: a signal). Only its parent knows, which may be gone, as any
    daemon, by the time that somebody asks.

    Raises:
        OSError: the folder is gone.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    lock_fd = os.open(f"{directory}/lock", flags)
    try:
        os.pwrite(lock_fd, b"%d\n" % code, _END_OFFSET)
    finally:
        os.close(lock_fd)


def noted_end(directory: str) -> int | None:
    """The code as `note_end` wrote it; None when nobody did."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock_fd = os.open(f"{directory}/lock", flags)
    except OSError:
        return None
    try:
        word = os.pread(lock_fd, 16, _END_OFFSET).partition(b"\n")[0]
    finally:
        os.close(lock_fd)
    return int(word) if word.removeprefix(b"-").isdigit() else None


def bind(directory: str) -> _socket.socket:
    """Listen at ``directory``/sock. The name goes through a descriptor: an address holds 107 bytes.

    The socket is one of the extension module: what the package adds costs every keeper memory.
    """
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(f"/proc/self/fd/{folder}/sock")
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def process_start(pid: int) -> int:
    """Start time of a process in clock ticks since boot (proc(5), stat, field 22).

    Together with the pid and the boot id it names a process for good.

    Raises:
        OSError: no such process.
    """
    # The second field is the name in brackets and may itself hold brackets and blanks.
    return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])


def boot_id() -> str:
    """Random name of this boot of the kernel."""
    return _read("/proc/sys/kernel/random/boot_id").strip().decode()


def _read(path: str) -> bytes:
    # Without a file object: the layers of one cost every keeper some 150 KiB of its own.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
