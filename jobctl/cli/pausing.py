"""``pause`` and ``resume``: a command that runs stands still for a while."""

from __future__ import annotations

from typing import Any

import typer  # noqa: TC002 -- Typer reads the annotations of these functions

from jobctl.cli import options, shapes
from jobctl.cli.jobs import each_or_one
from jobctl.cli.session import session_of


def pause(ctx: typer.Context, ids: options.JobIds, as_json: options.Json = False) -> int:
    """Let commands that run stand still, until "resume".

    All of their processes stop where they are and use no processor; what they hold they keep: memory, files,
    their place in every limit. Their timeout stands still with them, a deadline does not. They stay paused
    over restarts of the daemon; "cancel" ends them as ever. It needs cgroups of version 2; functions cannot
    be paused.
    """
    return _set(ctx, ids, as_json, paused=True)


def resume(ctx: typer.Context, ids: options.JobIds, as_json: options.Json = False) -> int:
    """Let paused commands go on."""
    return _set(ctx, ids, as_json, paused=False)


def _set(ctx: typer.Context, ids: list[int], as_json: bool, *, paused: bool) -> int:
    from jobctl.protocol.requests import PauseJob

    session = session_of(ctx, as_json=as_json)

    def show(job: dict[str, Any]) -> None:
        session.screen.row(job["id"], "paused" if job["paused"] else "resumed")

    with session.client() as client:
        return each_or_one(
            session,
            ids,
            lambda number: client.call(PauseJob(job=number, paused=paused)),
            shape=shapes.paused,
            show=show,
        )
