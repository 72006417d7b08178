"""The listening socket that a service manager made and hands over (sd_listen_fds(3), systemd.socket(5)).

The manager holds the socket while no daemon runs: who connects meanwhile waits in its backlog, and is served by
the daemon that comes next. So nobody is refused over a restart. The path stays the manager's: a daemon that ends
removes nothing of it.

A daemon that cannot start must not leave those who wait in the backlog: the manager would start the next one for
them at once, and again and again. They are told why, and sent away.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.daemon.roles import peer_of
from jobctl.daemon.server import describe
from jobctl.errors import StateDirectoryUnusable

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from jobctl.errors import JobctlError

FIRST_FD: Final = 3
"""Where the descriptors begin that are handed over (SD_LISTEN_FDS_START)."""


def take_listener(
    environ: MutableMapping[str, str], first_fd: int = FIRST_FD
) -> socket.socket | None:
    """The socket that was handed over, None when none was; what tells of it is taken out of ``environ``.

    What the daemon starts does not inherit it.

    Raises:
        StateDirectoryUnusable: more than one was handed over, or something else than a listening stream socket
            with a path.
    """
    # All three at once: a child that found some of them would take descriptors of its own for these.
    pid, count, _names = (
        environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if pid != str(os.getpid()) or not count.isdecimal() or count == "0":
        return None
    if count != "1":
        raise StateDirectoryUnusable(
            f"the service manager hands over {count} sockets; the daemon listens at one",
            hint="Keep one ListenStream= in the socket unit.",
        )
    try:
        listener = socket.socket(fileno=first_fd)
    except OSError as error:
        raise _not_ours(error.strerror or str(error)) from error
    listener.set_inheritable(False)
    listener.setblocking(False)
    why = _why_not(listener)
    if why:
        listener.close()
        raise _not_ours(why)
    return listener


def _why_not(listener: socket.socket) -> str:
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM:
        return "it is no Unix stream socket"
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "nobody listens at it; with Accept=yes each connection would get a daemon"
    if _path_of(listener) is None:
        return "it has no path in the file system"
    return ""


def _not_ours(why: str) -> StateDirectoryUnusable:
    return StateDirectoryUnusable(
        f"the socket that the service manager hands over cannot be used: {why}",
        hint="The socket unit needs ListenStream= with a path, and Accept=no.",
    )


def _path_of(listener: socket.socket) -> Path | None:
    name = listener.getsockname()
    return Path(name) if isinstance(name, str) and name.startswith("/") else None


def check_place(listener: socket.socket, expected: Path) -> None:
    """Make sure that clients look where the manager listens. Raises StateDirectoryUnusable."""
    path = _path_of(listener)
    assert path is not None
    if _real(path) != _real(expected):
        raise StateDirectoryUnusable(
            f'the service manager listens on "{path}", and clients would look for "{expected}"',
            hint="Write the same path as ListenStream= of the socket unit and as socket of [daemon].",
        )


def give_access(path: Path, *, gid: int | None, mode: int) -> None:
    """Give the manager's socket the group (None: leave it) and the mode that the configuration names.

    Raises:
        StateDirectoryUnusable: this process may not.
    """
    try:
        # A unit that takes chown(2) away may have made it with that group.
        if gid is not None and path.stat().st_gid != gid:
            os.chown(path, -1, gid)
        path.chmod(mode)
    except OSError as error:
        raise StateDirectoryUnusable(
            f'the service manager\'s socket "{path}" cannot be given the group and mode of the '
            f"configuration: {error.strerror}",
            hint="Write the daemon's user as SocketUser=, and the group as SocketGroup=, into the socket unit.",
        ) from error


def _real(path: Path) -> Path:
    """``/var/run`` is another name of ``/run``."""
    return path.parent.resolve() / path.name


def turn_away(listener: socket.socket, error: JobctlError) -> None:
    """Tell everybody who waits in the backlog that there is no daemon, and those whom it concerns why."""
    public = StateDirectoryUnusable("the daemon could not start", hint="Its log says why.")
    while True:
        try:
            connection, _address = listener.accept()
        except OSError:
            return
        concerned = peer_of(connection).uid in (0, os.geteuid())
        told = describe(error if concerned else public)
        with connection, suppress(OSError):
            # What was sent and never read would take the place of the answer when the connection ends.
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.recv(1 << 16)
            connection.sendall(json.dumps({"id": None, "error": told}).encode() + b"\n")
