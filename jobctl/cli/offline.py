"""Reading without a daemon: a stand-in child that answers the same protocol, once, over a socket pair.

The store belongs to the daemon, so the command line never opens it. The child takes the daemon's lock
for its second of life; see `jobctl.daemon.offline`.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from jobctl.client import Client
from jobctl.errors import DaemonNotRunning, JobctlError, Unreachable
from jobctl.protocol.requests import Inspect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_S = 30.0
_MODULE = "jobctl.daemon.offline"


@contextlib.contextmanager
def stand_in(
    state_dir: Path, config: Path | None, *, absent: DaemonNotRunning, module: str = _MODULE
) -> Iterator[Client]:
    """A client of a stand-in for ``state_dir``; the child has ended when the block is left.

    ``config`` is the configuration that a daemon would read, from which schedules are known; None if
    there is none.

    Raises DaemonNotRunning, with the cause of ``absent`` and its own, when the child cannot open the
    state directory.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(_PATIENCE_S)
    # -P: a folder that somebody else may write must not supply our modules.
    command = [sys.executable, "-P", "-m", module, "--state-dir", str(state_dir)]
    command += ["--config", str(config)] if config is not None else []
    child = subprocess.Popen(  # noqa: TID251 -- no attempt of a job: a part of this program, for a second
        [*command, "--socket-fd", str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    try:
        yield _greet(ours, child, state_dir, absent)
    finally:
        ours.close()
        _end(child)


def _greet(
    connection: socket.socket,
    child: subprocess.Popen[bytes],  # noqa: TID251 -- named, not started, here
    state_dir: Path,
    absent: DaemonNotRunning,
) -> Client:
    try:
        client = Client.over(connection)
        # A child that cannot read refuses whatever it is asked; so it is asked for nothing first.
        client.call(Inspect(what="ping"))
    except JobctlError as error:
        why = str(error)
        if isinstance(error, Unreachable):
            # It ended without a word of the protocol; its last line says why.
            connection.close()
            said = _end(child).decode(errors="replace").strip().splitlines()
            why = said[-1] if said else f"its reader ended with {child.returncode}"
        raise DaemonNotRunning(
            f'{absent.message}, and the state directory "{state_dir}" cannot be read: {why}',
            hint=absent.hint,
        ) from error
    return client


def _end(child: subprocess.Popen[bytes]) -> bytes:  # noqa: TID251 -- named, not started, here
    """Wait for the child, which ends with its connection; gives back what it complained about.

    Safe to repeat: a second call gives the same.
    """
    try:
        _, said = child.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        _, said = child.communicate()
    return said
