"""The daemon's own commands: ``daemon``, ``reload``, ``stop``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.session import session_of


class LogFormat(StrEnum):
    """How the daemon writes its log."""

    TEXT = "text"
    JSON = "json"


class Mode(StrEnum):
    """What stopping does to jobs that run."""

    KEEP = "keep"
    DRAIN = "drain"
    KILL = "kill"


def daemon(
    ctx: typer.Context,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="The configuration.")
    ] = None,
    state_dir: Annotated[
        str | None,
        typer.Option("--state-dir", metavar="DIR", help="Instead of the configuration's."),
    ] = None,
    socket: Annotated[
        str | None, typer.Option("--socket", metavar="PATH", help="Instead of the configuration's.")
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option("--log-format", help="Instead of the configuration's.")
    ] = None,
    in_container: Annotated[
        bool,
        typer.Option(
            "--container",
            help="Jobs end with the daemon, so TERM waits for them; the log goes to standard output, as "
            "JSON lines without moments unless --log-format says otherwise.",
        ),
    ] = False,
) -> int:
    """Run the daemon in the foreground.

    For systemd, supervisor and containers.
    """
    from jobctl.daemon.main import run

    session = session_of(ctx)
    config, socket = config or session.config, socket or session.socket
    return run(
        Path(config) if config else None,
        state_dir=Path(state_dir) if state_dir else None,
        socket=Path(socket) if socket else None,
        log_format=log_format.value if log_format else None,
        in_container=in_container,
    )


def reload(ctx: typer.Context, as_json: options.Json = False) -> int:
    """Read the configuration again, all or nothing.

    Prints what changed.
    """
    from jobctl.protocol.requests import Reload

    session = session_of(ctx, as_json=as_json)
    # Templates import the code of the tasks before the answer comes; that takes what it takes.
    changes = session.call(Reload(), timeout_s=None)["changes"]
    if session.as_json:
        session.screen.json({"changes": changes})
        return 0
    for change in changes:
        session.screen.line(change)
    if not changes:
        session.screen.line("nothing changed")
    return 0


def stop(
    ctx: typer.Context,
    mode: Annotated[
        Mode | None,
        typer.Option(
            "--mode",
            help="keep: jobs run on, the next daemon adopts them; drain: wait for them; kill: stop "
            "them. Else as configured.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Stop the daemon.

    Returns when it has ended.
    """
    from jobctl.protocol.requests import Stop

    session = session_of(ctx, as_json=as_json)
    with session.client(timeout_s=None) as client:
        answer = client.call(Stop(mode=mode.value if mode else None))
        if not session.as_json and session.screen.is_terminal and answer["running"]:
            count = answer["running"]
            jobs = "1 running job" if count == 1 else f"{count} running jobs"
            session.screen.note(f"{jobs}: {answer['mode']}")
        client.wait_closed()
    if session.as_json:
        session.screen.json({name: answer.get(name) for name in ("mode", "running")})
    else:
        session.screen.line("stopped")
    return 0
