"""``doctor``: what a daemon needs of this host, and what to do where that is not so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.child import run_child
from jobctl.cli.session import session_of

_MODULE = "jobctl.daemon.doctor"


def doctor(
    ctx: typer.Context,
    state_dir: Annotated[
        str | None,
        typer.Option("--state-dir", metavar="DIR", help="Instead of the configuration's."),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Look at the host: what a daemon needs of it, and what to do where that is not so.

    Versions, file system and space, permissions, limits, clock, control groups, what dead daemons have left,
    the interpreters of worker groups. Changes nothing. Exit code 1 when something is wrong, 0 with warnings.
    """
    session = session_of(ctx, as_json=as_json)
    state = Path(state_dir) if state_dir else session.state_dir()
    found = run_child(
        _MODULE,
        *("--state-dir", str(state.absolute())),
        *("--config", str(session.config_path().absolute())),
        *("--socket", str(session.socket_path().absolute())),
    )
    code = 0 if found["ok"] else 1
    if session.as_json:
        session.screen.json(found)
        return code
    for finding in found["findings"]:
        level, subject = finding["level"], finding["subject"]
        if not session.screen.is_terminal:
            session.screen.row(level, subject, finding["message"], finding["hint"])
            continue
        session.screen.line(f"{level:<8} {subject}: {finding['message']}")
        if finding["hint"]:
            session.screen.line(f"{'':<8} {finding['hint']}")
    return code
