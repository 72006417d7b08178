"""What every command needs: where the daemon is, the screen, the clock. Made once for a line."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.cli.render import Screen, process_screen
from jobctl.clock import SystemClock
from jobctl.errors import DaemonNotRunning
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import typer

    from jobctl.client import Client
    from jobctl.clock import Clock
    from jobctl.protocol.requests import Request

ANSWER_S = 30.0
"""How long a daemon may take for an answer that does not wait for a job."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One line's surroundings. ``socket`` and ``config`` are what was said, None if nothing was."""

    screen: Screen
    clock: Clock
    environ: Mapping[str, str]
    socket: str | None = None
    config: str | None = None
    as_json: bool = False
    color: str = "auto"

    def client(self, *, timeout_s: float | None = ANSWER_S) -> Client:
        """A client of the daemon, not connected yet."""
        from jobctl.client import Client

        return Client(self.socket_path(), timeout_s=timeout_s)

    def call(self, request: Request, *, timeout_s: float | None = ANSWER_S) -> dict[str, Any]:
        """The final answer to a request. Raises what `jobctl.client.Client` raises."""
        with self.client(timeout_s=timeout_s) as client:
            return client.call(request)

    @contextlib.contextmanager
    def reader(self, *, timeout_s: float | None = ANSWER_S) -> Iterator[Client]:
        """A client for reading: of the daemon or, when none listens, of its stand-in; says which."""
        client = self.client(timeout_s=timeout_s)
        try:
            client.connect()
        except DaemonNotRunning as absent:
            from jobctl.cli.offline import stand_in
            from jobctl.protocol.requests import Inspect

            config = self.config_path()
            named = config if config.exists() else None
            with stand_in(self.state_dir(), named, absent=absent) as stand_in_client:
                self.screen.note("daemon: down")
                trouble = stand_in_client.call(Inspect(what="ping")).get("trouble")
                if trouble:
                    self.screen.note(f"store: {trouble}")
                yield stand_in_client
            return
        with client:
            yield client

    def socket_path(self) -> Path:
        """The socket: as said, else as `jobctl.cli.places.find_socket` tells."""
        from jobctl.cli.places import UNSURE, default_socket, find_socket

        if self.socket is not None:
            return Path(self.socket)
        uid = os.getuid()
        found = find_socket(self.config, self.environ, uid)
        if found == UNSURE:
            found = self._setting("socket") or default_socket(self.environ, uid)
        return Path(found)

    def config_path(self) -> Path:
        """The configuration file: as said, else the default one; it need not exist."""
        from jobctl.paths import defaults

        return Path(self.config) if self.config else defaults(self.environ, os.getuid()).config

    def state_dir(self) -> Path:
        """The state directory: as the configuration says, else the default one."""
        from jobctl.paths import defaults

        said = self._setting("state_dir")
        return Path(said) if said else defaults(self.environ, os.getuid()).state_dir

    def _setting(self, name: str) -> str | None:
        """A key of ``[daemon]``, read without judging the rest; None if it cannot be read."""
        from jobctl.config.files import read_files

        for file in reversed(read_files(self.config_path()).files):
            table = file.table.get("daemon")
            value = table.get(name) if isinstance(table, dict) else None
            if isinstance(value, str) and value.startswith("/"):
                return value
        return None


def session_of(ctx: typer.Context, *, as_json: bool = False) -> Session:
    """The session of a command; ``--json`` counts wherever it stood on the line."""
    session = ctx.find_object(Session)
    assert session is not None, "jobctl.cli.app makes the session before any command"
    return replace(session, as_json=session.as_json or as_json)


def process_session(
    *, socket: str | None, config: str | None, as_json: bool, color: str
) -> Session:
    """The session of this process."""
    return Session(
        screen=process_screen(color, os.environ),
        clock=SystemClock(),
        environ=os.environ,
        socket=socket,
        config=config,
        as_json=as_json,
        color=color,
    )
