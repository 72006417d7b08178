"""Connecting to a template, worker or keeper through the socket in its folder.

The folder belongs to whoever runs there, and user code does what it likes with it: the socket may be
gone, be a link, or have become somebody else's. Following a link would take another worker's channel
away from its daemon, so nothing is followed, and who listens is asked of the kernel.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

_SHORTAGES: Final = frozenset(
    {errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
)
"""What passes: a full backlog (its owner is stopped, or busy), or want of something in this process."""

_PEER: Final = struct.Struct("3i")
"""pid, uid and gid of SO_PEERCRED (unix(7)): who called listen(2) last."""


class Unreachable(Exception):
    """Nobody will answer at this socket any more; the text says why."""


def connect(folder: Path, listeners: Container[int]) -> socket.socket:
    """A non-blocking connection to the instance of ``folder``; ``listeners`` are pids that may answer.

    Raises:
        Unreachable: there is no socket of its own in the folder, or nobody listens there.
        OSError: not now; later perhaps.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _connect(client, folder)
        _know(client, listeners)
    except BaseException:
        client.close()
        raise
    return client


def _know(client: socket.socket, listeners: Container[int]) -> None:
    pid, _, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if pid not in listeners:
        raise Unreachable(f"process {pid} listens at its socket")


def _connect(client: socket.socket, folder: Path) -> None:
    """Connect to the very file that was looked at, by its descriptor: an address holds 107 bytes."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        directory = os.open(folder, flags | os.O_DIRECTORY)
        try:
            place = os.open("sock", flags, dir_fd=directory)
        finally:
            os.close(directory)
        try:
            if not stat.S_ISSOCK(os.fstat(place).st_mode):
                raise Unreachable("what lies in the place of its socket is none")
            client.connect(f"/proc/self/fd/{place}")
        finally:
            os.close(place)
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise
        raise Unreachable(_REASONS.get(error.errno or 0, os.strerror(error.errno or 0))) from error


_REASONS: Final = {
    errno.ENOENT: "its socket was removed",
    errno.ECONNREFUSED: "its socket was closed",
}
