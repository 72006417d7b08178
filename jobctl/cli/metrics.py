"""``metrics``: what the daemon counts, for Prometheus, to standard output or into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations of this function
from jobctl.cli.session import session_of
from jobctl.errors import DaemonNotRunning, JobctlError, Unreachable, UsageError

if TYPE_CHECKING:
    from jobctl.cli.session import Session
    from jobctl.protocol.requests import Metrics


def metrics(
    ctx: typer.Context,
    write: Annotated[
        str | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help="Put them in place of this file, whole, for the textfile collector of node_exporter.",
        ),
    ] = None,
    openmetrics: Annotated[
        bool, typer.Option("--openmetrics", help="In OpenMetrics 1.0 instead of text 0.0.4.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Print metrics for Prometheus.

    With --write and without a daemon the file says that none runs, and the exit code is 3.
    """
    from jobctl.protocol.requests import Metrics

    session = session_of(ctx, as_json=as_json)
    request = Metrics(openmetrics=openmetrics)
    if write is not None:
        if openmetrics:
            raise UsageError("the textfile collector does not read OpenMetrics")
        _write(session, request, Path(write))
        return 0
    answer = session.call(request)
    if session.as_json:
        session.screen.json({name: answer.get(name) for name in ("content_type", "text")})
    else:
        session.screen.block(answer["text"])
    return 0


def _write(session: Session, request: Metrics, path: Path) -> None:
    from jobctl.exposition import gauge, render

    try:
        text = session.call(request)["text"]
    except (DaemonNotRunning, Unreachable):
        # What was written before must not go on telling that all is well.
        _put(path, render(gauge("jobctl_up", "A daemon runs.", [((), 0)]), is_open=False))
        raise
    _put(path, text)


def _put(path: Path, text: str) -> None:
    from jobctl.exposition import write_file

    try:
        write_file(path, text)
    except OSError as error:
        raise JobctlError(
            f'"{path}" cannot be written: {error.strerror}',
            hint="The folder must exist, and this user must be allowed to write into it.",
        ) from error
