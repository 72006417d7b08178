"""Where things lie: the defaults of a system's daemon and of one user's, and the state directory.

A daemon of root uses the system's folders; anyone else's uses the XDG folders. Service managers may
hand over folders of their own (``STATE_DIRECTORY``, ``RUNTIME_DIRECTORY``).
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Folders and files that hold unless a configuration or an option names others."""

    config: Path
    state_dir: Path
    socket: Path


def defaults(environ: Mapping[str, str], uid: int) -> Defaults:
    """The defaults for ``uid`` in this environment. Nothing is created or looked at."""
    if uid == 0:
        config = Path("/etc/jobctl/jobctl.toml")
        state_dir = Path("/var/lib/jobctl")
        runtime = Path("/run/jobctl")
    else:
        home = Path(environ.get("HOME", "/nonexistent"))
        config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        state_home = Path(environ.get("XDG_STATE_HOME") or home / ".local/state")
        config = config_home / "jobctl/jobctl.toml"
        state_dir = state_home / "jobctl"
        runtime_home = environ.get("XDG_RUNTIME_DIR")
        # Without a login session there is no runtime folder; the state folder is as private.
        runtime = Path(runtime_home) / "jobctl" if runtime_home else state_dir
    config = Path(environ.get("JOBCTL_CONFIG") or config)
    state_dir = Path(_first(environ.get("STATE_DIRECTORY")) or state_dir)
    runtime = Path(_first(environ.get("RUNTIME_DIRECTORY")) or runtime)
    socket_path = Path(environ.get("JOBCTL_SOCKET") or runtime / "jobctl.sock")
    return Defaults(config=config, state_dir=state_dir, socket=socket_path)


def _first(folders: str | None) -> str:
    """Service managers join several folders with colons; the first is the program's own."""
    return (folders or "").split(":")[0]


@dataclass(frozen=True)
class StateDirectory:
    """The parts of a state directory. File names are made from ids only."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file. Nobody opens it but SQLite."""
        return self.root / "jobctl.db"

    @property
    def daemon_lock(self) -> Path:
        """Held by the one daemon of this directory."""
        return self.root / "daemon.lock"

    @property
    def daemon_pid(self) -> Path:
        """Who serves: its process id, and whether it stops. What a killed daemon wrote stays."""
        return self.root / "daemon.pid"

    @property
    def ballast(self) -> Path:
        """A reserve that is given up when the disk is full."""
        return self.root / "ballast"

    @property
    def backups(self) -> Path:
        """Copies of the store that were given no other place."""
        return self.root / "backups"

    @property
    def aside(self) -> Path:
        """Stores in whose place a backup was put."""
        return self.root / "aside"

    @property
    def run(self) -> Path:
        """One folder per template, in it one per worker or keeper."""
        return self.root / "run"

    @property
    def output(self) -> Path:
        """Outputs that are too long for a row."""
        return self.root / "output"

    def output_file(self, job_id: int, number: int, *, stderr: bool = False) -> Path:
        """The file of one attempt's output; a thousand jobs share a folder."""
        return output_file(self.output, job_id, number, stderr=stderr)


def output_file(output_dir: Path, job_id: int, number: int, *, stderr: bool = False) -> Path:
    """The file of one attempt's output below ``output_dir``; of its ``stderr``, if that is kept apart."""
    return output_dir / str(job_id // 1000) / f"{job_id}.{number}{'.err' if stderr else ''}"


def bind_unix(path: Path, *, backlog: int, mode: int = 0o600) -> socket.socket:
    """A listening stream socket at ``path``, born with ``mode``; never inherited unless asked for.

    The name goes through the folder's descriptor, because a socket's address holds 107 bytes only
    (unix(7)) and a state directory may lie deeper.

    Raises:
        OSError: the name is taken, or the folder cannot be written.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        # The mode of the descriptor becomes that of the file: there is no moment with another one.
        os.fchmod(listener.fileno(), mode)
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def bind_unix_for(path: Path, *, backlog: int, gid: int | None, mode: int) -> socket.socket:
    """As `bind_unix`, for the members of a group (None: the daemon's own) or for everybody.

    It is made under another name for its owner only, then given its group and its mode, and only then its
    name: nobody ever finds it with another group or a wider mode.

    Raises:
        OSError: the folder cannot be written, or the group cannot be given (only root gives one that he is
            not in).
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}.new")
    hidden.unlink(missing_ok=True)
    listener = bind_unix(hidden, backlog=backlog)
    try:
        if gid is not None:
            os.chown(hidden, -1, gid, follow_symlinks=False)
        hidden.chmod(mode)
        hidden.rename(path)
    except BaseException:
        listener.close()
        hidden.unlink(missing_ok=True)
        raise
    return listener


def connect_unix(path: Path, *, timeout_s: float | None = 0.0) -> socket.socket:
    """A stream socket connected to ``path``; non-blocking unless ``timeout_s`` says otherwise.

    Raises:
        FileNotFoundError, ConnectionRefusedError: nobody listens.
        BlockingIOError: the listener's backlog is full: somebody lives there but does not answer.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout_s)
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            client.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except BaseException:
        client.close()
        raise
    return client
